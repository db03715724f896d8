"""Writing rows that may be there already: one statement where the database has one, elsewhere delete and insert."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, insert
from sqlalchemy.engine import Connection, Dialect

_PARAMETER = "key_{}"
_WITH_UPSERT = ("postgresql", "sqlite")


class KeyedTable:
    """A table with a key, in which rows are put and from which they are removed, many at a time.

    `same` says when a row that is there need not be written again, as a condition on (the table's columns, the new
    row's columns); only databases with one statement for it ask.
    """

    def __init__(
        self,
        table: Table,
        key: Sequence[str],
        dialect: Dialect,
        same: Callable[[Any, Any], ColumnElement[bool]] | None = None,
    ) -> None:
        self.table = table
        self._key = tuple(key)
        self._upsert = _upsert(table, self._key, dialect, same)
        self._delete = delete(table).where(and_(*(table.c[part] == bindparam(_PARAMETER.format(part)) for part in key)))

    def put(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Write whole rows; no two of them have one key."""
        if not rows:
            return
        if self._upsert is not None:
            connection.execute(self._upsert, list(rows))
            return
        self.remove(connection, [{name: row[name] for name in self._key} for row in rows])
        connection.execute(insert(self.table), list(rows))

    def remove(self, connection: Connection, keys: Sequence[dict[str, Any]]) -> None:
        """Remove rows by their key columns; one that is not there is no error."""
        if keys:
            renamed = [{_PARAMETER.format(name): value for name, value in key.items()} for key in keys]
            connection.execute(self._delete, renamed)


def _upsert(
    table: Table, key: Sequence[str], dialect: Dialect, same: Callable[[Any, Any], ColumnElement[bool]] | None
) -> Any:
    if dialect.name not in _WITH_UPSERT:
        return None
    module = importlib.import_module(f"sqlalchemy.dialects.{dialect.name}")  # the others would only take memory
    statement = module.insert(table)
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
    if not others:
        return statement.on_conflict_do_nothing(index_elements=key)
    unless = None if same is None else ~same(table.c, statement.excluded)
    return statement.on_conflict_do_update(index_elements=key, set_=others, where=unless)
