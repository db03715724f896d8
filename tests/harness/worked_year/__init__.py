"""A year of demands lived through over the HTTP API, from one seed."""
