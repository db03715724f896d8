"""What really happens, observed: lines, grantees and sources, and the books that must close.

`look` is one look at Kafka; `judge` says what was seen means. Only transitions enter the ledger. May import: grants,
demands, the seams, the states that the lines write.
"""
