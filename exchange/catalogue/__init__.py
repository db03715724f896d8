"""Departments, resources and code sets as code: read, checked, looked up. A proposal only: the ledger is the truth."""
