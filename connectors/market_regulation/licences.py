"""Licences that the administration issued, from its database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source("e-licence.licence", table("licences", key="licence_id", cursor="updated_at", withdrawn="withdrawn"))
def licences(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
