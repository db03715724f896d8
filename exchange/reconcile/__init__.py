"""Reconcile: whether a provider's table, the share of a grant and the grantee's table say the same.

It judges the way of a record from outside of it: it has readings, a cut, a canonical form and digests of its own, and
shares no code with the four lines. `canonical` says what equal content is, `fold` keeps the last version of each key
as hashes on disk, `share` folds a share, `table` reads a sink's table, `cut` cuts a provider's rows by the terms of a
grant. `sink` is the grantee's half, `source` the provider's; `desk` gives the digests of a share at the broker service;
`result` is what both halves tell the exchange: counts, no key and no content.

May import `exchange.connect` for the declarations, and what lies below; none of the lines.
"""
