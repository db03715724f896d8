"""The faults log of a department: rows of its connectors that did not map, records that did not apply.

Written by intake and by handover, which share this form. May import the vocabulary only: clock, errors, names.
"""
