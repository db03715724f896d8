"""Rights in real estate, for property and deed tax."""

from exchange.connect import sink, table

rights = sink("natural-resources.real-estate-right", table("real_estate_rights"))
