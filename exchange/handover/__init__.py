"""The handover line: the records of a grant's share become rows of the grantee's database."""
