"""Delimited text, read strictly: a line is a row of its header, or it is set aside by its number.

A file goes through `encoding` (which characters its bytes are), `lines` (bytes to lines, in bounded memory), `header`
(the columns, checked before the first row) and `rows` (lines to rows, by the grammar of `quotes`); `parse` is the whole
way. Knows nothing of places, times and cursors, which `exchange.connect.files` adds.
"""
