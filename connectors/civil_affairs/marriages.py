"""Registrations of marriage and divorce, from the offices' database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source("population.marriage", table("marriages", key="certificate_number", cursor="updated_at", withdrawn="withdrawn"))
def marriages(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
