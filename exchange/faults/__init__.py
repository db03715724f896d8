"""The faults log of a department: rows of its connectors that did not map, records that did not apply.

Written by intake and handover; nothing of the lines is imported here.
"""
