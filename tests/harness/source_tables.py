"""Departments' own databases, filled with generated rows: the tables of `connectors/<department>/source.sql`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import column, insert, table, text

from exchange.connect.engine import open_engine
from exchange.intake.memory.look import state_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_ROWS_PER_STATEMENT = 1000


def create(address: str, department: str) -> None:
    """Make the source tables of a department that are missing. `address` as SQLAlchemy takes it."""
    script = resources.files(f"connectors.{department.replace('-', '_')}").joinpath("source.sql")
    engine = open_engine(address)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(script.read_text(encoding="utf-8"))
    finally:
        engine.dispose()


def insert_rows(address: str, name: str, rows: Iterable["DataclassInstance"]) -> int:
    """Insert generated rows (dataclasses whose fields are columns) into a table; gives their number."""
    return insert_dicts(address, name, [asdict(row) for row in rows])


def insert_dicts(address: str, name: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows, whose columns need not be the same, into a table; gives their number."""
    if not rows:
        return 0
    columns = list(dict.fromkeys(field for row in rows for field in row))
    values = [{field: row.get(field) for field in columns} for row in rows]
    target = table(name, *map(column, columns))
    engine = open_engine(address)
    try:
        with engine.begin() as connection:
            for at in range(0, len(values), _ROWS_PER_STATEMENT):
                connection.execute(insert(target), values[at : at + _ROWS_PER_STATEMENT])
    finally:
        engine.dispose()
    return len(values)


def execute(address: str, statement: str, **parameters: Any) -> int:
    """Run one statement of a test or demo; gives the number of rows concerned."""
    engine = open_engine(address)
    try:
        with engine.begin() as connection:
            return connection.execute(text(statement), parameters).rowcount
    finally:
        engine.dispose()


def source_books(folder: Path, connector: str) -> dict[str, int]:
    """The books of a source, as others may look at them while it runs; zeros while there are none."""
    books: dict[str, int] | None = state_of(folder, connector, "books")
    return books or {"collected": 0, "submitted": 0, "unmapped": 0, "runs": 0}
