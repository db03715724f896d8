"""Rights in real estate, from the register's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source(
    "natural-resources.real-estate-right",
    table("real_estate_rights", key=("unit_number", "certificate_number"), cursor="updated_at", withdrawn="withdrawn"),
)
def real_estate_rights(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
