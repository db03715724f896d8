"""Commands that ask the broker service over its API."""
