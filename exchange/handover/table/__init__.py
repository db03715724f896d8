"""The department's table: its columns, the rows that are put there, and the progress that is written with each batch.

With `exchange.connect` the only place that imports SQLAlchemy. Of handover it may import `layout` alone: it knows
neither Kafka's clients nor the grant's service.
"""
