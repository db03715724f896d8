"""The memory of a source: what it has sent of each row, in one SQLite database of its state folder.

`tables` is the form of the database, which one process of a source holds; `requests` is what others may leave there
(`exchange connector reread`, `exchange faults replay`) and see. May import the vocabulary and the forms of readings.
"""
