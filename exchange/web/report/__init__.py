"""The yearly report as a page and as a table.

May import: broker.rate. Also used by `exchange report`, without a server.
"""
