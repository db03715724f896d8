"""What the ledger says: departments, demands, grants, shares, and the indexes that find them."""
