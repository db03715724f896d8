"""Departments' own databases, filled with generated rows: the tables of `connectors/<department>/source.sql`."""

from collections.abc import Iterable
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

from sqlalchemy import column, insert, table, text

from exchange.connect.sql import open_engine

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
    values: list[dict[str, Any]] = [asdict(row) for row in rows]
    if not values:
        return 0
    target = table(name, *(column(field) for field in values[0]))
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
