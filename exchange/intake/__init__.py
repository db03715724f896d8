"""The intake line: rows of a department's source become records in its inbox.

`start` makes the line of a declared source; `line` reads as its steps: `collect`, then `map` and `encode` for a page in
`prepare`, `decide` against the `memory` (`page` says what a row means), `submit`; `take` keeps them in the order that
survives a kill. `compare` is the whole reading, made when `schedule` says; `health` and `report` tell how it all is.
May import `exchange.connect` for declarations and readers, `exchange.faults`, and what lies below; none of the other
lines.
"""
