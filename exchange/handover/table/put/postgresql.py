"""PostgreSQL: many rows by way of a table of the session, whose columns have no limits: the table's own judge."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Table, column
from sqlalchemy import table as plain_table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from exchange.connect.database_errors import Kind, sort
from exchange.handover.table.definition import FoundColumn
from exchange.handover.table.put.copy_text import lines_of
from exchange.handover.table.put.statements import Columns, Rows, Statements, on_conflict

_STAGE = "exchange_stage"
_STAGED_FROM = 20
"""Rows from which on a copy is faster than a statement for each."""
_LINES_AT_ONCE = 200
_upsert = partial(on_conflict, "postgresql")


class PostgreSql(Statements):
    """A copy into the session's table, and one INSERT … ON CONFLICT from there."""

    def __init__(self, table: Table, key: Sequence[str], found: Sequence[FoundColumn]) -> None:
        super().__init__(table, key, found, _upsert)
        self._stage = plain_table(_STAGE, *(column(one.name) for one in found), schema="pg_temp")
        self._staged: dict[Columns, Any] = {}
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

    def put_first(self, connection: Connection, columns: Columns, rows: Rows) -> None:
        """By a copy, when it is worth it."""
        if len(rows) < _STAGED_FROM or connection.info.get(_STAGE) != self._form:
            self.put(connection, columns, rows)
            return
        _copy(connection, columns, rows)
        statement = self._staged.get(columns)
        if statement is None:
            statement = self._staged[columns] = _upsert(self.table, self.key, columns, self._stage)
        connection.execute(statement)


def _copy(connection: Connection, columns: Columns, rows: Rows) -> None:
    quote = connection.dialect.identifier_preparer.quote
    statement = f"COPY pg_temp.{_STAGE} ({', '.join(map(quote, columns))}) FROM STDIN"
    driver: Any = connection.dialect.dbapi
    try:
        session: Any = connection.connection
        with session.cursor() as cursor, cursor.copy(statement) as copy:
            for start in range(0, len(rows), _LINES_AT_ONCE):
                _write(copy, rows[start : start + _LINES_AT_ONCE])
    except driver.Error as error:
        raise DBAPIError.instance(
            statement, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from None


def _write(copy: Any, rows: Rows) -> None:
    lines = lines_of(rows)
    if lines is not None:
        copy.write(lines)
        return
    for row in rows:
        copy.write_row(row)
