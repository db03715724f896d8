"""What the author of a connector imports, and nothing else.

A source is a declaration of what to read and a function that makes a record of a row; a sink is a declaration alone:

    @source("population.death", table("deaths", key="id", cursor="updated_at"))
    def deaths(row):
        return {"resident_id": row["id_number"], ...}

    deaths = sink("population.death", table("deaths"))

Cursors, encoding, headers, retries, books and receipts are the exchange's business.

Here are the declarations (`declare`, `tables`, `files`, `folders`), the readers behind them (`sql`; `files`, with
`regular_file` and the room `delimited`) and the search for a connector by its name (`find`). May import the vocabulary
and settings; neither lines nor Kafka.
"""

from exchange.connect.cleaning import text
from exchange.connect.declare import Record, Row, Sink, Source, Unmapped, sink, source
from exchange.connect.files import csv_file
from exchange.connect.folders import folder
from exchange.connect.tables import query, table

__all__ = [
    "Record",
    "Row",
    "Sink",
    "Source",
    "Unmapped",
    "csv_file",
    "folder",
    "query",
    "sink",
    "source",
    "table",
    "text",
]
