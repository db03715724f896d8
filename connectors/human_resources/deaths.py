"""Deaths, to stop pensions."""

from exchange.connect import sink, table

deaths = sink("population.death", table("deaths"))
