"""Kafka brought in line with the ledger: topics, rights and quotas.

`wanted` is a pure function of the state; `reconciler` makes the difference go away. May import: grants, departments,
demands, the seams.
"""
