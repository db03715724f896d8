"""Deaths that ended a household registration: the same table, another source (`sink.sql`)."""

from exchange.connect import sink, table

deaths = sink("population.death", table("deaths"), provider="public-security")
