"""Writing rows that may be there already, and removing them: by the key alone, whatever else is unique in the table.

PostgreSQL: a copy into a table of the session, and one INSERT … ON CONFLICT (key) from there; SQLite has the same
statement for single rows. MySQL's ON DUPLICATE KEY UPDATE asks every unique index of the table and would change
another record's row where only some other value is equal: there the keys that exist are read and locked, their rows are
written by that statement (which finds the primary key first), and the others are plainly inserted.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Table, and_, bindparam, column, delete, func, insert, select, text, tuple_, update
from sqlalchemy import table as plain_table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from exchange.connect.database_errors import Kind, sort
from exchange.errors import ExchangeError
from exchange.handover.table.definition import FoundColumn

_PARAMETER = "key_{}"
_STAGE = "exchange_stage"
_STAGED_FROM = 20
"""Rows from which on a copy is faster than a statement for each."""
_KEYS_AT_ONCE = 500

Rows = Sequence[dict[str, Any]]
Keys = Sequence[tuple[Any, ...]]


class KeyedTable:
    """A table with a key, in which rows are put and from which they are removed, many at a time.

    Values go to the driver as they are: whoever calls has made them fit for the columns.
    """

    def __init__(self, table: Table, key: Sequence[str], found: Sequence[FoundColumn]) -> None:
        self._found = found
        self._key = tuple(key)
        # Columns without types: SQLAlchemy converts nothing.
        self._table = plain_table(table.name, *(column(one.name) for one in found), schema=table.schema)
        self._upserts: dict[tuple[str, ...], Any] = {}
        parts = [self._table.c[part] == bindparam(_PARAMETER.format(n)) for n, part in enumerate(self._key)]
        self._delete = delete(self._table).where(and_(*parts))

    def ready(self, connection: Connection) -> None:
        """Whatever the session needs before it writes, in a transaction of its own."""

    def put(self, connection: Connection, rows: Rows) -> None:
        """Write whole rows, all with the same columns; no two of them have one key."""
        if rows:
            connection.execute(self._statement(tuple(rows[0])), list(rows))

    def put_first(self, connection: Connection, rows: Rows) -> None:
        """The same, when nothing else has been put in this transaction: there may be a faster way."""
        self.put(connection, rows)

    def remove(self, connection: Connection, keys: Keys) -> None:
        """Remove rows by their key columns; one that is not there is no error."""
        if keys:
            named = [{_PARAMETER.format(n): part for n, part in enumerate(key)} for key in keys]
            connection.execute(self._delete, named)

    def probe(self, connection: Connection, columns: Sequence[str]) -> None:
        """Write nothing, with the statements that write: an error is none of a record."""
        named = [self._table.c[name] for name in columns]
        none = text("1 = 0")
        connection.execute(insert(self._table).from_select(columns, select(*named).where(none)))
        connection.execute(update(self._table).where(none).values({one: one for one in named}))
        connection.execute(delete(self._table).where(none))

    def _statement(self, columns: tuple[str, ...]) -> Any:
        found = self._upserts.get(columns)
        if found is None:
            found = self._upserts[columns] = self._upsert(columns)
        return found

    def _upsert(self, columns: tuple[str, ...]) -> Any:
        """The statement that writes one row."""
        raise NotImplementedError

    def _others(self, columns: tuple[str, ...]) -> list[str]:
        return [name for name in columns if name not in self._key]


class _OnConflict(KeyedTable):
    """Where the statement says which key it means."""

    _dialect = "sqlite"

    def _upsert(self, columns: tuple[str, ...], source: Any = None) -> Any:
        module = importlib.import_module(f"sqlalchemy.dialects.{self._dialect}")  # the others would only take memory
        statement = module.insert(self._table)
        if source is None:
            statement = statement.values({name: bindparam(name) for name in columns})
        else:
            statement = statement.from_select(columns, select(*(source.c[name] for name in columns)))
        others = self._others(columns)
        if not others:
            return statement.on_conflict_do_nothing(index_elements=self._key)
        return statement.on_conflict_do_update(
            index_elements=self._key, set_={name: statement.excluded[name] for name in others}
        )


class _PostgreSql(_OnConflict):
    """Many rows by way of a table of the session, whose columns have no limits: the table's own judge."""

    _dialect = "postgresql"

    def __init__(self, table: Table, key: Sequence[str], found: Sequence[FoundColumn]) -> None:
        super().__init__(table, key, found)
        self._stage = plain_table(_STAGE, *(column(one.name) for one in found), schema="pg_temp")
        self._staged: dict[tuple[str, ...], Any] = {}
        self._form = tuple((one.name, one.plain) for one in found)

    def ready(self, connection: Connection) -> None:
        """Make the session's table anew when it has another form. A role that may not make one does without."""
        if connection.info.get(_STAGE, ()) in (self._form, None):
            return
        quote = connection.dialect.identifier_preparer.quote
        columns = ", ".join(f"{quote(name)} {plain}" for name, plain in self._form)
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS pg_temp.{_STAGE}")
                connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {_STAGE} ({columns}) ON COMMIT DELETE ROWS")
            connection.info[_STAGE] = self._form
        except SQLAlchemyError as error:
            if sort(error).kind is Kind.AWAY:
                raise
            connection.info[_STAGE] = None

    def put_first(self, connection: Connection, rows: Rows) -> None:
        """By a copy, when it is worth it."""
        if len(rows) < _STAGED_FROM or connection.info.get(_STAGE) != self._form:
            self.put(connection, rows)
            return
        columns = tuple(rows[0])
        self._copy(connection, columns, rows)
        statement = self._staged.get(columns)
        if statement is None:
            statement = self._staged[columns] = self._upsert(columns, self._stage)
        connection.execute(statement)

    @staticmethod
    def _copy(connection: Connection, columns: tuple[str, ...], rows: Rows) -> None:
        quote = connection.dialect.identifier_preparer.quote
        statement = f"COPY pg_temp.{_STAGE} ({', '.join(map(quote, columns))}) FROM STDIN"
        driver: Any = connection.dialect.dbapi
        try:
            session: Any = connection.connection
            with session.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(tuple(row.values()))
        except driver.Error as error:
            raise DBAPIError.instance(
                statement, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
            ) from None


class _MySql(KeyedTable):
    """MySQL and MariaDB: the keys that exist are read first, and compared as Python compares them.

    So a table whose key takes `a` for `A` never gets the row of one record in the place of the other's.
    """

    def put(self, connection: Connection, rows: Rows) -> None:
        """As everywhere."""
        if not rows:
            return
        keys = [tuple(row[part] for part in self._key) for row in rows]
        there = self._there(connection, keys)
        old = [row for row, key in zip(rows, keys, strict=True) if key in there]
        new = [row for row, key in zip(rows, keys, strict=True) if key not in there]
        if old:
            connection.execute(self._statement(tuple(old[0])), old)
        if new:
            connection.execute(insert(self._table).values({name: bindparam(name) for name in new[0]}), new)

    def remove(self, connection: Connection, keys: Keys) -> None:
        """As everywhere."""
        there = self._there(connection, keys)
        found = [key for key in keys if key in there]
        for some in _portions(found):
            connection.execute(delete(self._table).where(self._is_one_of(some)))

    def _upsert(self, columns: tuple[str, ...]) -> Any:
        from sqlalchemy.dialects import mysql  # noqa: PLC0415 - the others need not have it in memory

        statement = mysql.insert(self._table).values({name: bindparam(name) for name in columns})
        kept = self._others(columns) or [self._key[0]]
        return statement.on_duplicate_key_update({name: func.values(self._table.c[name]) for name in kept})

    def _there(self, connection: Connection, keys: Keys) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set()
        columns = [self._table.c[part] for part in self._key]
        for some in _portions(keys):
            statement = select(*columns).where(self._is_one_of(some)).with_for_update()
            found.update(tuple(row) for row in connection.execute(statement))
        return found

    def _is_one_of(self, keys: Keys) -> Any:
        columns = [self._table.c[part] for part in self._key]
        if len(columns) == 1:
            return columns[0].in_([key[0] for key in keys])
        return tuple_(*columns).in_(keys)


def _portions(keys: Keys) -> Iterator[Keys]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]


_KINDS: dict[str, type[KeyedTable]] = {
    "postgresql": _PostgreSql,
    "sqlite": _OnConflict,
    "mysql": _MySql,
    "mariadb": _MySql,
}


def keyed_table(dialect: str, table: Table, key: Sequence[str], found: Sequence[FoundColumn]) -> KeyedTable:
    """The way to write a table. Raises ExchangeError(E_CONNECTOR) for a database that has not been tried."""
    kind = _KINDS.get(dialect)
    if kind is None:
        raise ExchangeError("E_CONNECTOR", f"no sink has been tried on {dialect}")
    return kind(table, key, found)
