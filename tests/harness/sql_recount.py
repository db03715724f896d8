"""What the sinks of the province should hold, counted in SQL over the sources and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Sql = Callable[..., list[tuple[Any, ...]]]
"""Runs a statement in a department's database: `sql(department, statement, *parameters)`."""


@dataclass(frozen=True, slots=True)
class Recount:
    """One sink's table and the statement over its source that gives the same rows."""

    source: str
    """The department that has the rows."""
    refused: str
    """The table of the source."""
    expected: str
    """A statement over the source; its parameter: the keys that admission must refuse."""
    sink: str
    """The department that was granted them."""
    table: str
    columns: tuple[str, ...]
    """The granted fields, in the order of the statement's columns."""

    def rows_expected(self, sql: Sql, refused: Mapping[str, Sequence[str]]) -> list[tuple[Any, ...]]:
        """The rows that were granted, in a fixed order. refused: keys of wrong rows by table of the source."""
        return sorted(sql(self.source, self.expected, list(refused[self.refused])))

    def rows_found(self, sql: Sql) -> list[tuple[Any, ...]]:
        """The rows of the sink's table, all its columns, in the same order."""
        return sorted(sql(self.sink, f"SELECT {', '.join(self.columns)} FROM {self.table}"))

    def columns_found(self, sql: Sql) -> set[str]:
        """The columns that the sink's table has."""
        named = sql(self.sink, "SELECT column_name FROM information_schema.columns WHERE table_name = %s", self.table)
        return {name for (name,) in named}


RECOUNTS = (
    Recount(
        source="market-regulation",
        refused="registrations",
        expected="SELECT upper(credit_code), name, established, capital_amount, capital_currency, region, address,"
        " status FROM registrations"
        " WHERE NOT withdrawn AND region IN ('340100', '340800') AND credit_code <> ALL (%s)",
        sink="taxation",
        table="companies",
        columns=(
            "credit_code",
            "name",
            "established",
            "capital_amount",
            "capital_currency",
            "region",
            "address",
            "status",
        ),
    ),
    Recount(
        source="health",
        refused="deaths",
        expected="SELECT provider_code, resident_id, name, death_date, source, reversed FROM deaths"
        " WHERE NOT withdrawn AND resident_id <> ALL (%s)",
        sink="human-resources",
        table="deaths",
        columns=("provider_code", "resident_id", "name", "death_date", "source", "reversed"),
    ),
)
"""What the demands of the demo are granted."""
