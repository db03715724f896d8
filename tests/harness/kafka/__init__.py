"""Harnesses on a real Kafka."""
