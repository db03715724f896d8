"""Rows that are as they were: they need neither mapping nor encoding.

`digests` tells by 16 bytes whether a row is, to the type of each value, the one of which a record was made;
`mapping_version` whether the same code would make it again. May import the forms of readings and declarations.
"""
