"""Indicators, for the plan."""

from exchange.connect import sink, table

indicators = sink("macro-economy.indicator", table("indicators"))
