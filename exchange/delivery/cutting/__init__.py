"""What a cut is made of: the types it can test and mask, row scopes, masks, and pseudonyms.

The steps (`permit`, `redact`, `forward`) are written in these terms and nothing here knows a step, the state or the
line: it imports Avro, the ledger's terms, and errors.
"""
