"""Permits, from the administration's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source(
    "credit.permit",
    table("permits", key=("provider_code", "document_number"), cursor="updated_at", withdrawn="withdrawn"),
)
def permits(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
