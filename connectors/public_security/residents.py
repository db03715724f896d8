"""Residents, from the household register's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source("population.resident", table("residents", key="resident_id", cursor="updated_at", withdrawn="withdrawn"))
def residents(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
