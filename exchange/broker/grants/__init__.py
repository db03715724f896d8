"""Grants and their shares: placed, activated, served, amended, suspended, ended; what grantees say of their use.

Commands, harmless when repeated: enforcement and evidence say them again after a crash. May import: demands.
"""
