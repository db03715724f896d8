"""Reading rows of any database that SQLAlchemy speaks to, page by page along (cursor, key)."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy import table as named_table
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.expression import FromClause

from exchange.connect.engine import open_engine, reason
from exchange.connect.reading import CHINA, Cursor, Page, SourceColumns, SourceRow, sequence_of_cursor
from exchange.errors import ExchangeError

_NUMBER, _TEXT, _DECIMAL, _TIME, _DATE = "n", "s", "d", "t", "date"


def rows_of_table(name: str) -> FromClause:
    """The rows of a table, named `name` or `schema.name`."""
    schema, _, table = name.rpartition(".")
    return named_table(table, schema=schema or None)


def rows_of_query(statement: str) -> FromClause:
    """The rows that a SELECT statement gives."""
    return text(statement).columns().subquery("source_rows")


class SqlReader:
    """Reads rows. With a cursor column: what is new since the cursor; without: all rows, once a start."""

    def __init__(self, what: str, rows: FromClause, columns: SourceColumns, address: str) -> None:
        """what: how errors call the table or query."""
        self._what = what
        self._rows = rows
        self._columns = columns
        self._engine = open_engine(address)
        self._order = ((columns.cursor,) if columns.cursor else ()) + columns.key
        self._cursor_is_time: bool | None = None
        self._zoned = True
        self._started: int | None = None
        self.waiting = False
        self.brings_all = True
        self.fingerprint = repr((what, str(rows), columns))

    def page(self, cursor: Cursor | None, limit: int) -> Page | None:
        """The next rows in the order of cursor and key, or None when there are none that have settled.

        Raises ExchangeError(E_CONNECTOR) for a cursor column that cannot serve as one.
        """
        if self._columns.cursor is None:
            return None
        try:
            with self._connected() as connection:
                now = _moment(connection.execute(select(func.current_timestamp())).scalar_one())
                self._started = self._started or sequence_of_cursor(now)
                self._look_at_cursor(connection)
                rows = connection.execute(self._statement(cursor, self._settled(now), limit)).mappings().all()
                self.waiting = not rows and self._is_waiting(connection, cursor, now)
        except SQLAlchemyError as error:
            raise ExchangeError("E_SOURCE_UNREACHABLE", f"{self._what}: {reason(error)}") from None
        if not rows:
            return None
        at = [pack(rows[-1][name]) for name in self._order]
        return Page([self._row(row) for row in rows], {"at": at, "snapshot": self._snapshot()})

    def due(self, cursor: Cursor | None) -> bool:
        """Whether no reading was made yet."""
        return cursor is None

    def whole(self, limit: int) -> Iterator[Page]:
        """Every row, ordered by cursor and key."""
        order, at = self._order, None
        try:
            with self._connected() as connection:
                now = _moment(connection.execute(select(func.current_timestamp())).scalar_one())
                self._started = sequence_of_cursor(now)
                self._look_at_cursor(connection)
                statement: Select[Any] = select(literal_column("*")).select_from(self._rows)
                streamed = connection.execution_options(stream_results=True)
                result = streamed.execute(statement.order_by(*map(column, order))).mappings()
                while rows := result.fetchmany(limit):
                    at = [pack(rows[-1][name]) for name in order]
                    yield Page([self._row(row) for row in rows], {"at": at, "snapshot": self._snapshot()})
        except SQLAlchemyError as error:
            raise ExchangeError("E_SOURCE_UNREACHABLE", f"{self._what}: {reason(error)}") from None
        if at is None:
            yield Page([], {"at": None, "snapshot": self._snapshot()})

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION READ ONLY"))
            yield connection

    def _look_at_cursor(self, connection: Connection) -> None:
        """Learn once whether the cursor is a time; refuse what would lose rows."""
        name = self._columns.cursor
        if name is None or self._cursor_is_time is not None:
            return
        first: Select[Any] = select(column(name)).select_from(self._rows).order_by(column(name)).limit(1)
        found = connection.execute(first).first()
        if found is None:
            return
        nulls: Select[Any] = select(literal_column("1")).select_from(self._rows).where(column(name).is_(None)).limit(1)
        if connection.execute(nulls).first() is not None:
            raise ExchangeError("E_CONNECTOR", f"{self._what}: the cursor column {name} holds nulls")
        value: object = found[0]
        if not isinstance(value, int | Decimal | datetime):
            raise ExchangeError("E_CONNECTOR", f"{self._what}: {name} is neither a number nor a time")
        self._cursor_is_time = isinstance(value, datetime)
        self._zoned = isinstance(value, datetime) and value.tzinfo is not None

    def _stored(self, moment: datetime) -> datetime:
        """A moment as the cursor column stores it."""
        return moment if self._zoned else moment.astimezone(CHINA).replace(tzinfo=None)

    def _snapshot(self) -> int | None:
        return None if self._columns.cursor else self._started

    def _after(self, cursor: Cursor | None) -> tuple[Any, ...] | None:
        """The place to go on from. A snapshot that an earlier process began is begun again."""
        if cursor is None or cursor["at"] is None or cursor["snapshot"] != self._snapshot():
            return None
        return tuple(unpack(part) for part in cursor["at"])

    def _settled(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self._columns.settle_seconds)

    def _is_waiting(self, connection: Connection, cursor: Cursor | None, now: datetime) -> bool:
        return bool(self._cursor_is_time) and connection.execute(self._statement(cursor, now, 1)).first() is not None

    def _statement(self, cursor: Cursor | None, until: datetime, limit: int) -> Select[Any]:
        statement: Select[Any] = select(literal_column("*")).select_from(self._rows)
        after = self._after(cursor)
        if after is not None:
            statement = statement.where(_behind(self._order, after))
        if self._cursor_is_time:
            statement = statement.where(column(self._order[0]) <= _bound(self._stored(until)))
        return statement.order_by(*(column(name) for name in self._order)).limit(limit)

    def _row(self, row: RowMapping) -> SourceRow:
        version = self._columns.version or self._columns.cursor
        sequence = (self._started or 0) if version is None else _sequence(row[version])
        withdrawn = self._columns.withdrawn is not None and bool(row[self._columns.withdrawn])
        key = json.dumps([pack(row[name]) for name in self._columns.key])
        return SourceRow(dict(row), sequence, withdrawn, key)


def _sequence(value: object) -> int | None:
    """The sequence of one row; None sets this row aside later, where the others go on."""
    try:
        return sequence_of_cursor(value)
    except ExchangeError:
        return None


def _moment(now: Any) -> datetime:
    """The database's own time. SQLite gives it in UTC and without zone."""
    moment: datetime = now
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bound(value: Any) -> Any:
    """A parameter of the right type: without it the zone of a time is lost on its way to PostgreSQL."""
    if isinstance(value, datetime):
        return bindparam(None, value, DateTime(timezone=value.tzinfo is not None))
    return value


def _behind(order: Sequence[str], after: Sequence[Any]) -> ColumnElement[bool]:
    """Rows whose `order` columns are greater than `after`, as every database understands it and indexes serve it."""
    cases = []
    for at, name in enumerate(order):
        equal = [column(order[i]) == _bound(after[i]) for i in range(at)]
        cases.append(and_(*equal, column(name) > _bound(after[at])))
    return and_(column(order[0]) >= _bound(after[0]), or_(*cases))


def pack(value: Any) -> list[str]:
    """A cursor or key value as JSON can hold it. Raises ExchangeError(E_CONNECTOR) for a type that cannot be kept."""
    if isinstance(value, datetime):
        return [_TIME, value.isoformat()]
    if isinstance(value, date):
        return [_DATE, value.isoformat()]
    if isinstance(value, int):
        return [_NUMBER, str(int(value))]
    if isinstance(value, Decimal):
        return [_DECIMAL, str(value)]
    if isinstance(value, str):
        return [_TEXT, value]
    raise ExchangeError("E_CONNECTOR", f"a key or cursor column of type {type(value).__name__} cannot be kept")


_UNPACK: dict[str, Callable[[str], Any]] = {
    _TIME: datetime.fromisoformat,
    _DATE: date.fromisoformat,
    _NUMBER: int,
    _DECIMAL: Decimal,
    _TEXT: str,
}


def unpack(packed: list[str]) -> Any:
    """The value that `pack` made into text."""
    kind, value = packed
    return _UNPACK[kind](value)
