"""The tests, and what they run parts of the exchange on (`harness`)."""
