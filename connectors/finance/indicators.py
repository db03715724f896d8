"""Indicators, for the budget."""

from exchange.connect import sink, table

indicators = sink("macro-economy.indicator", table("indicators"))
