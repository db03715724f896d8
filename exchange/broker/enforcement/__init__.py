"""Kafka brought in line with the ledger: topics, rights and quotas."""
