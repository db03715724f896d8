"""Published figures, from the bureau's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source(
    "macro-economy.indicator",
    table("indicators", key=("indicator_code", "region", "period"), cursor="updated_at", withdrawn="withdrawn"),
)
def indicators(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
