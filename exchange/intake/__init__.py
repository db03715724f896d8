"""The intake line: rows of a department's source become records in its inbox.

`start` makes the line of a declared source; `line` reads as its steps: `collect`, `map`, `encode`, `submit`, and the
`books` behind each page. May import `exchange.connect` for declarations and readers, `exchange.faults`, and what lies
below; none of the other lines.
"""
