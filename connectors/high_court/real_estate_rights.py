"""Rights in real estate, to find what a debtor owns."""

from exchange.connect import sink, table

rights = sink("natural-resources.real-estate-right", table("real_estate_rights"))
