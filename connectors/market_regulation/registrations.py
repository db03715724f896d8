"""Registrations, from the register's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source(
    "legal-entity.registration",
    table("registrations", key="credit_code", cursor="updated_at", withdrawn="withdrawn"),
)
def registrations(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
