"""Reports of deaths, from the commission's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source(
    "population.death",
    table("deaths", key=("provider_code", "resident_id"), cursor="updated_at", withdrawn="withdrawn"),
)
def deaths(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
