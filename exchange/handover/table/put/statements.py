"""The statements that every database understands, each for one row; the one that puts a row is the database's own."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table, and_, bindparam, column, delete, insert, select, text, update
from sqlalchemy import table as plain_table
from sqlalchemy.engine import Connection

from exchange.handover.table.definition import FoundColumn

_PARAMETER = "key_{}"

Columns = tuple[str, ...]
Rows = Sequence[tuple[Any, ...]]
Keys = Sequence[tuple[Any, ...]]
Upsert = Callable[[Any, Columns, Columns], Any]
"""Makes the statement that puts one row: of the table, the key's columns and the row's columns."""


class Statements:
    """Rows put and removed by a statement for each. SQLite needs no more."""

    def __init__(self, table: Table, key: Sequence[str], found: Sequence[FoundColumn], upsert: Upsert) -> None:
        self.key = tuple(key)
        self.table = plain_table(table.name, *(column(one.name) for one in found), schema=table.schema)
        """Its columns have no types: SQLAlchemy converts nothing."""
        self._upsert = upsert
        self._upserts: dict[Columns, Any] = {}
        parts = [self.table.c[part] == bindparam(_PARAMETER.format(n)) for n, part in enumerate(self.key)]
        self._delete = delete(self.table).where(and_(*parts))

    def ready(self, connection: Connection) -> None:
        """Nothing is needed."""

    def put(self, connection: Connection, columns: Columns, rows: Rows) -> None:
        """Write whole rows of these columns; no two of them have one key."""
        if not rows:
            return
        statement = self._upserts.get(columns)
        if statement is None:
            statement = self._upserts[columns] = self._upsert(self.table, self.key, columns)
        connection.execute(statement, named(columns, rows))

    def put_first(self, connection: Connection, columns: Columns, rows: Rows) -> None:
        """There is no faster way."""
        self.put(connection, columns, rows)

    def remove(self, connection: Connection, keys: Keys) -> None:
        """Remove rows by their key columns; one that is not there is no error."""
        if keys:
            parameters = [_PARAMETER.format(number) for number in range(len(self.key))]
            connection.execute(self._delete, [dict(zip(parameters, key, strict=True)) for key in keys])

    def probe(self, connection: Connection, columns: Columns) -> None:
        """Write nothing, with statements that write: an error is none of a record."""
        of_row = [self.table.c[name] for name in columns]
        none = text("1 = 0")
        connection.execute(insert(self.table).from_select(columns, select(*of_row).where(none)))
        connection.execute(update(self.table).where(none).values({one: one for one in of_row}))
        connection.execute(delete(self.table).where(none))


def named(columns: Columns, rows: Rows) -> list[dict[str, Any]]:
    """Rows as SQLAlchemy takes them."""
    return [dict(zip(columns, row, strict=True)) for row in rows]


def on_conflict(dialect: str, table: Any, key: Columns, columns: Columns, source: Any = None) -> Any:
    """INSERT … ON CONFLICT (key), where the statement says which key it means: of one row, or of all in `source`."""
    module = importlib.import_module(f"sqlalchemy.dialects.{dialect}")  # the others would only take memory
    statement = module.insert(table)
    if source is None:
        statement = statement.values({name: bindparam(name) for name in columns})
    else:
        statement = statement.from_select(columns, select(*(source.c[name] for name in columns)))
    others = [name for name in columns if name not in key]
    if not others:
        return statement.on_conflict_do_nothing(index_elements=key)
    return statement.on_conflict_do_update(index_elements=key, set_={name: statement.excluded[name] for name in others})
