"""Marriages, to enter joint ownership."""

from exchange.connect import sink, table

marriages = sink("population.marriage", table("marriages"))
