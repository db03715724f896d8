"""The memory of a source: what it has sent of each row, in one SQLite database of its state folder.

`tables` is the form of the database, `store` the file that one process of a source holds, `known` its rows, `waiting`
those that are set aside, `memory` all of it with books and cursor, `look` a view from outside; `requests` is what
others may leave there (`exchange connector reread`, `exchange faults replay`) and see. May import the vocabulary and
the forms of readings.
"""
