"""Grants and their shares: placed, activated, served, amended, suspended, ended; what grantees say of their use."""
