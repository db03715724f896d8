"""Events: their shape, their canonical text and hash chain, and how Kafka carries them."""
