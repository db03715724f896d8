"""What really happens, observed: lines, grantees and sources, and the books that must close."""
