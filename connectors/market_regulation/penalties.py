"""Penalties, from the administration's database (`source.sql`). A repaired penalty is marked there as withdrawn."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source(
    "credit.penalty",
    table("penalties", key=("provider_code", "document_number"), cursor="updated_at", withdrawn="withdrawn"),
)
def penalties(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
