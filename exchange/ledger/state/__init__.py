"""What the ledger says: departments, demands, grants, shares, and the indexes that find them.

Data without rules. May import: no other room of the ledger.
"""
