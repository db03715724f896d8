"""The handover line: the records of a grant's share become rows of the grantee's database, or files in its folder.

`start` waits for the grant (`grants`) and opens what the sink declares; `granted` is a sink with its grant. `line`
reads as the steps into a table: `receive`, `decode`, `table.target`, with the readings of the share (`readings`), what
the table has refused (`set_aside`) and the word to the exchange (`report`, `receipt`). Whatever is away is waited for
in `patience`, and told by `health`. `table` holds the department's table, `files` the drop folder and its own line.

`table` and `files` do not know each other. May import `exchange.connect` for the declarations, `exchange.faults`, and
what lies below; none of the other lines.
"""
