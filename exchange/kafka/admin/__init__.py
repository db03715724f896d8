"""Looking at and changing what Kafka has: topics and their settings, rights, secrets, quotas, committed offsets.

May import: client.
"""
