"""The store: the topic is the database. Commands, the leader's term that decides them, and followers that read.

May import: fold, state, events; it alone reaches Kafka.
"""
