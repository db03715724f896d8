"""The department's table: its columns, the rows that are put there, and the progress that is written with each batch.

With `exchange.connect` the only place that imports SQLAlchemy. Of handover it may import `layout` alone: it knows
neither Kafka's clients nor the grant's service.

`target` is what the line holds. `writing` applies changes so that one that is refused holds no other up; `rows` makes
rows of them and `exact` sees that no value is rounded or cut on its way; `upsert` writes them, `set_aside` keeps what
was refused. `columns` follows the grant, `definition` reads the table as it is.
"""
