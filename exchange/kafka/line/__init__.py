"""The skeleton of the inner lines: a batch in, outputs and offsets and state in one transaction, unit by unit.

May import: client.
"""
