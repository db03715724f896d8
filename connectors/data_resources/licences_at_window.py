"""Licences of market regulation, shown at the government service windows instead of paper."""

from exchange.connect import sink, table

licences = sink("e-licence.licence", table("licences_at_window"), provider="market-regulation")
