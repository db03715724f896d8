"""Penalties of market regulation, for the credit office."""

from exchange.connect import sink, table

penalties = sink("credit.penalty", table("penalties"), provider="market-regulation")
