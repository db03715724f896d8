"""Permits of market regulation, for the credit office."""

from exchange.connect import sink, table

permits = sink("credit.permit", table("permits"), provider="market-regulation")
