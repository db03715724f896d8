"""Deaths that cremations prove: the same table, another source (`sink.sql`)."""

from exchange.connect import sink, table

deaths = sink("population.death", table("deaths"), provider="civil-affairs")
