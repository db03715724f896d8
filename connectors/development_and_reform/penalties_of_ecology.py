"""Penalties of the environmental authority, for the credit office: the same table."""

from exchange.connect import sink, table

penalties = sink("credit.penalty", table("penalties"), provider="ecology-and-environment")
