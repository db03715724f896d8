"""Connectors of departments, one folder each. `exchange run <department>.<connector>` finds them by name."""
