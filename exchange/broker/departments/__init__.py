"""Departments: the catalogue, principals and secrets, API tokens, mergers and splits."""
