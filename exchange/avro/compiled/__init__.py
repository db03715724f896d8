"""Schemas compiled into Python functions: encode, decode, check and slice, and the values and walks they share."""
