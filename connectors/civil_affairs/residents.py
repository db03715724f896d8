"""Residents of the households that are checked for social assistance."""

from exchange.connect import sink, table

residents = sink("population.resident", table("checked_residents"))
