"""The HTTP API and the read part of the schema registry API."""
