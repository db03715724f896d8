"""Events: their shape, their canonical text and hash chain, and how Kafka carries them.

May import: no other room of the ledger.
"""
