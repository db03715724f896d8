"""The faults log of a department: rows of its connectors that did not map, records that did not apply."""
