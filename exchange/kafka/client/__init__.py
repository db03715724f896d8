"""Writing and reading records: connections, producers, consumers, and the border where their errors become ours.

May import: no other room of kafka.
"""
