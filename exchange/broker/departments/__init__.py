"""Departments: the catalogue brought into the ledger, principals and secrets, API tokens, mergers and splits.

May import: demands.
"""
