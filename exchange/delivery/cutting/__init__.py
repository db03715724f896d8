"""Cutting compiled: one generated function for each version of a schema and set of shares, and what it is made of."""
