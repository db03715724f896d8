"""Snapshots of the state: a shorter way to it, never the truth. Rows, their bytes, the signed manifest, the topic.

A snapshot belongs to one event of one chain and to one form of the code. One that does not fit is thrown away.
May import: fold, state, events, and Kafka for its own topic.
"""
