"""Births, to register the child in its mother's or father's household."""

from exchange.connect import sink, table

births = sink("population.birth", table("births_to_register"))
