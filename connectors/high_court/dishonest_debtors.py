"""The list of dishonest debtors, from the courts' database (`source.sql`). Who has performed is marked as withdrawn."""

from exchange.connect import Record, Row, source, table

_OF_THE_TABLE = ("withdrawn", "updated_at")


@source(
    "credit.dishonest-debtor",
    table("dishonest_debtors", key=("case_number", "debtor_number"), cursor="updated_at", withdrawn="withdrawn"),
)
def dishonest_debtors(row: Row) -> Record:
    return {name: value for name, value in row.items() if name not in _OF_THE_TABLE}
