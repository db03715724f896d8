"""Deaths that hospitals certified, to stop pensions (`sink.sql`)."""

from exchange.connect import sink, table

deaths = sink("population.death", table("deaths"), provider="health")
