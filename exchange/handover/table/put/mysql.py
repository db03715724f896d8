"""MySQL and MariaDB: the keys that exist are read first, and compared as Python compares them.

So a table whose key takes `a` for `A` never gets the row of one record in the place of the other's. Their statement
asks every unique index of the table and would change another record's row where only some other value is equal: the
rows that exist are read, locked and then written by it (it finds the primary key first), the others plainly inserted.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, insert, select, tuple_
from sqlalchemy.engine import Connection

from exchange.handover.table.definition import FoundColumn
from exchange.handover.table.put.statements import Columns, Keys, Rows, Statements, named

_KEYS_AT_ONCE = 500


class MySql(Statements):
    """Looks before it writes."""

    def __init__(self, table: Table, key: Sequence[str], found: Sequence[FoundColumn]) -> None:
        super().__init__(table, key, found, _upsert)

    def put(self, connection: Connection, columns: Columns, rows: Rows) -> None:
        """As everywhere."""
        if not rows:
            return
        places = [columns.index(part) for part in self.key]
        keys = [tuple([row[place] for place in places]) for row in rows]
        there = self._there(connection, keys)
        super().put(connection, columns, [row for row, key in zip(rows, keys, strict=True) if key in there])
        new = [row for row, key in zip(rows, keys, strict=True) if key not in there]
        if new:
            statement = insert(self.table).values({name: bindparam(name) for name in columns})
            connection.execute(statement, named(columns, new))

    def remove(self, connection: Connection, keys: Keys) -> None:
        """As everywhere."""
        there = self._there(connection, keys)
        found = [key for key in keys if key in there]
        for some in _portions(found):
            connection.execute(delete(self.table).where(self._is_one_of(some)))

    def _there(self, connection: Connection, keys: Keys) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set()
        columns = [self.table.c[part] for part in self.key]
        for some in _portions(keys):
            statement = select(*columns).where(self._is_one_of(some)).with_for_update()
            found.update(tuple(row) for row in connection.execute(statement))
        return found

    def _is_one_of(self, keys: Keys) -> Any:
        columns = [self.table.c[part] for part in self.key]
        if len(columns) == 1:
            return columns[0].in_([key[0] for key in keys])
        return tuple_(*columns).in_(keys)


def _upsert(table: Any, key: Columns, columns: Columns) -> Any:
    from sqlalchemy.dialects import mysql  # noqa: PLC0415 - the others need not have it in memory

    statement = mysql.insert(table).values({name: bindparam(name) for name in columns})
    kept = [name for name in columns if name not in key] or [key[0]]
    return statement.on_duplicate_key_update({name: func.values(table.c[name]) for name in kept})


def _portions(keys: Keys) -> Iterator[Keys]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]
