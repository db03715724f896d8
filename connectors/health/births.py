"""Medical certificates of birth, from the commission's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source("population.birth", table("births", key="certificate_number", cursor="updated_at", withdrawn="withdrawn"))
def births(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
