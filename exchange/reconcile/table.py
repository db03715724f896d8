"""A sink's table as it stands in the department's database, read by statements of its own.

Beside it stand the sink's notes: `exchange_progress` (how far it has applied the share), `exchange_rows` (which records
each grant has brought), `exchange_columns` (which tables each grant fills), `exchange_set_aside` (records that the
table refuses). Each may be missing: the table of a department that reads its share by a client of its own has none.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import CHAR, ColumnElement, Select, and_, column, delete, inspect, or_, select, table
from sqlalchemy.exc import SQLAlchemyError

from exchange.connect.database_errors import Kind, sort
from exchange.connect.engine import open_engine
from exchange.errors import ExchangeError
from exchange.names import GrantId
from exchange.reconcile.keys import KeyColumns

PAGE_ROWS = 1000
_ASKED_AT_ONCE = 200
_PROGRESS = "exchange_progress"
_ROWS = "exchange_rows"
_COLUMNS = "exchange_columns"
_SET_ASIDE = "exchange_set_aside"

Keyed = tuple[bytes, dict[str, Any]]
"""A row with its key."""


class SinkTable:
    """One table. Every method raises ExchangeError: E_SINK_UNREACHABLE when the database is away, E_CONNECTOR when the
    table is not as its sink makes it.
    """

    def __init__(
        self, address: str, name: str, key: KeyColumns, fields: Sequence[str], columns: Mapping[str, str] | None = None
    ) -> None:
        """columns: the column of a field, or of the key, that is not called like it."""
        schema, _, self._name = name.rpartition(".")
        self._schema = schema or None
        self._full_name = name
        self._engine = open_engine(address)
        self._key = key
        named = columns or {}
        self._columns = {field: named.get(field, field) for field in (*key.names, *fields)}
        self._table = table(self._name, *map(column, self._columns.values()), schema=self._schema)
        self._select = select(*(self._table.c[at].label(field) for field, at in self._columns.items()))
        self._padded: set[str] = set()
        """Fields in columns of a fixed width: the blanks at the end of their values mean nothing."""
        self._notes: set[str] = set()
        """The sink's notes that are there."""

    def check(self) -> None:
        """See that the table is there with every column."""
        with self._reached():
            found = inspect(self._engine)
            if not found.has_table(self._name, schema=self._schema):
                raise ExchangeError("E_CONNECTOR", f"there is no table {self._full_name}: has its sink run here?")
            types = {one["name"]: one["type"] for one in found.get_columns(self._name, schema=self._schema)}
            names = (_PROGRESS, _ROWS, _COLUMNS, _SET_ASIDE)
            self._notes = {name for name in names if found.has_table(name, schema=self._schema)}
        missing = [name for name in self._columns.values() if name not in types]
        if missing:
            raise ExchangeError("E_CONNECTOR", f"{self._full_name} has no column {', '.join(missing)}")
        self._padded = {field for field, at in self._columns.items() if type(types[at]) is CHAR}

    def pages(self) -> Iterator[list[Keyed]]:
        """Every row, in pages, as they stand while they are read."""
        with self._reached(), self._engine.connect() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=PAGE_ROWS)
            for rows in streaming.execute(self._select).mappings().partitions(PAGE_ROWS):
                yield [self._keyed(row) for row in rows]

    def rows(self, keys: Collection[bytes]) -> dict[bytes, dict[str, Any]]:
        """The rows with these keys; one that is not there is absent."""
        found: dict[bytes, dict[str, Any]] = {}
        for some in _chunks(keys):
            wanted = [values for values in map(self._key.values, some) if values]
            if not wanted:
                continue
            condition = or_(*map(self._is, wanted))
            with self._reached(), self._engine.connect() as connection:
                rows = connection.execute(self._select.where(condition)).mappings().all()
            found.update(self._keyed(row) for row in rows)
        return {key: found[key] for key in keys if key in found}

    def remove(self, keys: Iterable[bytes]) -> int:
        """Delete the rows with these keys; how many there were."""
        removed = 0
        for key in keys:
            values = self._key.values(key)
            if not values:
                continue
            with self._reached(), self._engine.begin() as connection:
                removed += connection.execute(delete(self._table).where(self._is(values))).rowcount
        return removed

    # the sink's notes

    def progress(self, grant: GrantId) -> dict[int, int]:
        """By partition, the first offset of the share that the sink has not applied."""
        notes = self._note(_PROGRESS, "grant_id", "partition_number", "next_offset")
        if notes is None:
            return {}
        asked = select(notes.c.partition_number, notes.c.next_offset).where(notes.c.grant_id == grant)
        return {int(partition): int(offset) for partition, offset in self._ask(asked)}

    def other_grants(self, grant: GrantId, active: Collection[str]) -> list[str]:
        """Which of the `active` grants fill this table beside `grant`."""
        notes = self._note(_COLUMNS, "grant_id", "table_name")
        if notes is None:
            return []
        asked = select(notes.c.grant_id).where(notes.c.table_name == self._full_name).distinct()
        return sorted({str(one) for (one,) in self._ask(asked)} & set(active) - {grant})

    def brought(self, grants: Collection[str], keys: Iterable[bytes]) -> set[bytes]:
        """Which of these records the grants have brought."""
        return self._noted(_ROWS, grants, keys) if grants else set()

    def set_aside(self, grant: GrantId, keys: Iterable[bytes]) -> set[bytes]:
        """Which of these records the sink has set aside, because the table refuses them."""
        return self._noted(_SET_ASIDE, [grant], keys)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _noted(self, name: str, grants: Collection[str], keys: Iterable[bytes]) -> set[bytes]:
        notes = self._note(name, "grant_id", "record_key")
        found: set[bytes] = set()
        if notes is None:
            return found
        for some in _chunks(keys):
            texts = {key.decode("utf-8", "replace"): key for key in some}
            asked = select(notes.c.record_key).where(notes.c.grant_id.in_(grants), notes.c.record_key.in_(texts))
            found.update(texts[text] for (text,) in self._ask(asked) if text in texts)
        return found

    def _note(self, name: str, *columns: str) -> Any:
        return table(name, *map(column, columns), schema=self._schema) if name in self._notes else None

    def _ask(self, asked: Select[Any]) -> Sequence[Any]:
        with self._reached(), self._engine.connect() as connection:
            return connection.execute(asked).all()

    def _is(self, values: Mapping[str, str]) -> ColumnElement[bool]:
        return and_(*(self._table.c[self._columns[field]] == value for field, value in values.items()))

    def _keyed(self, row: Mapping[Any, Any]) -> Keyed:
        values = dict(row)
        for name in self._padded & values.keys():
            values[name] = values[name].rstrip(" ") if isinstance(values[name], str) else values[name]
        return self._key.key_of(values), values

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            fault = sort(error)
            code = "E_SINK_UNREACHABLE" if fault.kind is Kind.AWAY else "E_CONNECTOR"
            raise ExchangeError(code, f"{self._full_name}: {fault.detail}") from None


def _chunks(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for key in keys:
        chunk.append(key)
        if len(chunk) == _ASKED_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
