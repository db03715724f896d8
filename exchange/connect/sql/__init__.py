"""How a table or a query of a department's database is read: all of it at one moment, and along its cursor.

`reader` is the reader; `positions` knows from where to read again, `snapshots` what the database says of transactions
and time, `statements` the SQL, `fetching` how rows come over, `rows` and `values` what they are to the exchange. May
import the forms of readings, the engine and the sorting of database errors.
"""
