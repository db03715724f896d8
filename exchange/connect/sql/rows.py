"""A driver's rows as rows of the exchange: key, sequence, and whether the department withdraws them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from exchange.connect.reading import FaultyRow, SourceColumns, SourceRow, sequence_of_cursor
from exchange.connect.sql.column_types import (
    ColumnType,
    Storages,
    cursor_limits,
    storage_limits,
    type_of,
    types_told,
    untyped,
)
from exchange.connect.sql.statements import Limits
from exchange.connect.sql.values import UNREADABLE, identifying
from exchange.errors import ExchangeError

_MOST_AHEAD = timedelta(hours=14)
"""The zone that is furthest ahead of UTC: a time without zone that is later than this is in the future everywhere."""
_EPOCH = datetime(1970, 1, 1)
_UTC_EPOCH = _EPOCH.replace(tzinfo=UTC)
_CURSORS = (int, str, datetime, Decimal)
_NUMBERS = (ColumnType.INTEGER, ColumnType.DECIMAL)
_MOMENTS = (ColumnType.TIME, ColumnType.ZONED)


class RowForm:
    """How the rows of one result are read. The columns of a table may change between two results."""

    def __init__(
        self, what: str, dialect: str, columns: SourceColumns, description: Sequence[Any], storages: Storages
    ) -> None:
        """storages: how most rows are kept, where columns have no types of their own.

        Raises ExchangeError(E_CONNECTOR) when a declared column is missing, or of a type that cannot serve.
        """
        self._what = what
        self._names = tuple(str(described[0]) for described in description)
        self._bare = not types_told(dialect)
        types = [type_of(dialect, described[1]) for described in description]
        self._check_names(columns)
        self._key = [self._names.index(name) for name in columns.key]
        self._single = self._key[0] if len(self._key) == 1 else None
        self._padded = [types[at] is ColumnType.PADDED for at in self._key]
        self._cursor = None if columns.cursor is None else self._names.index(columns.cursor)
        self._place = self._key if self._cursor is None else [self._cursor, *self._key]
        self._version = self._cursor if columns.version is None else self._names.index(columns.version)
        self._withdrawn = None if columns.withdrawn is None else self._names.index(columns.withdrawn)
        self.cursor_type = ColumnType.OTHER if self._cursor is None else types[self._cursor]
        self._check_types(types)
        withdrawn_type = ColumnType.OTHER if self._withdrawn is None else types[self._withdrawn]
        self._is_withdrawn = _WITHDRAWN.get(withdrawn_type, _by_value)
        self._untyped = untyped(dialect)
        self._storage, self._flags = storages.cursor, storages.withdrawn
        self._moments_only = self._version == self._cursor
        self.limits = Limits()
        if self._cursor is not None:
            self.limits = storage_limits(self._storage) if self._untyped else cursor_limits(dialect, self.cursor_type)

    def place_of(self, values: tuple[Any, ...]) -> list[Any] | None:
        """Where a row stands: by cursor (when there is one) and key; None when one of them cannot be read."""
        found = [values[at] for at in self._place]
        return None if any(one is None or one is UNREADABLE for one in found) else found

    def key_of(self, values: tuple[Any, ...]) -> list[Any] | None:
        """The key of a row; None when it has none that can be read."""
        found = [values[at] for at in self._key]
        return None if any(one is None or one is UNREADABLE for one in found) else found

    def cursors(self, fetched: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The cursor values of rows."""
        at = self._cursor
        return [] if at is None else [values[at] for values in fetched]

    def unread(self, key: Sequence[Any], why: str) -> FaultyRow:
        """A row of this key that the database itself cannot give. why: names no value."""
        return self._faulty((), self._text_of_key(key), why)

    def highest(self, cursors: Sequence[Any], moment: int) -> Any:
        """The greatest of cursor values behind which others can be expected: one that is not ahead of the clock."""
        if self._untyped:
            return self._highest_untyped([value for value in cursors if type(value) is self._storage], moment)
        limits = self.limits_until(moment)
        found = [value for value in cursors if value is not None and value is not UNREADABLE]
        if self._bare or self.cursor_type is ColumnType.DECIMAL:
            found = [value for value in found if type(value) is not Decimal or value.is_finite()]
        if limits.greatest is not None:
            found = [value for value in found if value <= limits.greatest]
        return max(found, default=None)

    def fits(self, value: Any) -> bool:
        """Whether a cursor value of before can be compared with those of the column as it is."""
        if value is None:
            return True
        if self._untyped:
            return self._storage is None or type(value) is self._storage
        if self.cursor_type in _NUMBERS:
            return isinstance(value, int | Decimal)
        if self.cursor_type in _MOMENTS:
            zoned = self.cursor_type is ColumnType.ZONED
            return isinstance(value, datetime) and (value.tzinfo is not None) is zoned
        return True

    def _highest_untyped(self, cursors: list[Any], moment: int) -> Any:
        """Of values that are kept as most are. Nearly always the greatest of all is the answer."""
        highest = max(cursors, default=None)
        if highest is None or self._is_reached(highest, moment):
            return highest
        return max((value for value in cursors if self._is_reached(value, moment)), default=None)

    def _is_reached(self, value: Any, moment: int) -> bool:
        """Whether others can be expected behind the value of a column without a type of its own.

        A text orders rows by itself where another column gives their sequence; else it is a time.
        """
        if not isinstance(value, str) or not self._moments_only:
            return True
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return False
        now = _EPOCH + timedelta(microseconds=moment)
        return found <= now + _MOST_AHEAD if found.tzinfo is None else found <= now.replace(tzinfo=UTC)

    def limits_until(self, moment: int) -> Limits:
        """The limits of the cursor, and no time ahead of the database's moment (in microseconds).

        A time without zone is ahead only when it is so in every zone.
        """
        now = _EPOCH + timedelta(microseconds=moment)
        if self.cursor_type is ColumnType.ZONED:
            return Limits(self.limits.least, now.replace(tzinfo=UTC))
        if self.cursor_type is ColumnType.TIME:
            return Limits(self.limits.least, now + _MOST_AHEAD)
        return self.limits

    def row(self, values: tuple[Any, ...], spoilt: bool, moment: int) -> SourceRow | FaultyRow:
        """A row as it came. moment: its sequence when no column has one, in microseconds since 1970."""
        if spoilt and any(value is UNREADABLE for value in values):
            return self._unreadable(values)
        key = self._key_text(values)
        if key is None:
            return self._faulty(values, None, "a key column is null or no number")
        sequence: int | None = moment
        if self._cursor is not None:
            cursor = values[self._cursor]
            if (cursor is None or self._bare) and (wrong := self._wrong_with(cursor)) is not None:
                return self._faulty(values, key, f"the cursor column {self._names[self._cursor]} {wrong}")
        if self._version is not None:
            sequence = self._sequence(values[self._version])
        if self._withdrawn is None:
            return SourceRow.of_cells(self._names, values, sequence, False, key)
        withdrawn = self._is_withdrawn(values[self._withdrawn])
        if withdrawn is None:
            if self._is_withdrawn is _by_bit or self._speaks_for_all(values[self._withdrawn]):
                raise self._refused(self._withdrawn, "withdrawn", "a boolean, 0 or 1, or a time")
            return self._faulty(values, key, f"the column {self._names[self._withdrawn]} is neither 0 nor 1")
        return SourceRow.of_cells(self._names, values, sequence, withdrawn, key)

    def _wrong_with(self, cursor: Any) -> str | None:
        """What is wrong with the cursor of one row. Raises ExchangeError(E_CONNECTOR) for what is wrong with all."""
        if cursor is None:
            return "is null"
        if self._storage is not None and type(cursor) is not self._storage:
            return "holds another kind of value than in other rows"
        if self._bare and type(cursor) not in _CURSORS:
            assert self._cursor is not None
            raise self._refused(self._cursor, "cursor", "a whole number or a time")
        return None

    def _speaks_for_all(self, flag: Any) -> bool:
        """Whether such a value of the withdrawn column is the declaration's fault, and not its row's."""
        return self._bare and type(flag) is not int and self._flags is not int

    def _sequence(self, value: Any) -> int | None:
        """The sequence of one row; None sets this row aside later, where the others go on."""
        if type(value) is datetime and value.tzinfo is UTC and value >= _UTC_EPOCH:
            age = value - _UTC_EPOCH
            return (age.days * 86_400 + age.seconds) * 1_000_000 + age.microseconds
        try:
            if self._bare and type(value) is str:
                value = datetime.fromisoformat(value)
            return sequence_of_cursor(value)
        except (ExchangeError, ValueError):
            return None

    def _key_text(self, values: tuple[Any, ...]) -> str | None:
        if self._single is not None:
            value = values[self._single]
            if type(value) is int:
                return f'[["n","{value}"]]'
            if type(value) is str and not self._padded[0]:
                return f"[{identifying(value)}]"
        return self._text_of_key([values[at] for at in self._key])

    def _text_of_key(self, key: Sequence[Any]) -> str | None:
        parts = []
        for value, padded in zip(key, self._padded, strict=True):
            if value is None or value is UNREADABLE or (type(value) is Decimal and not value.is_finite()):
                return None
            parts.append(identifying(value.rstrip(" ") if padded and type(value) is str else value))
        return f"[{','.join(parts)}]"

    def _unreadable(self, values: tuple[Any, ...]) -> FaultyRow:
        pairs = list(zip(self._names, values, strict=True))
        names = ", ".join(name for name, value in pairs if value is UNREADABLE)
        return self._faulty(values, self._key_text(values), f"no value of Python's for the column {names}")

    def _faulty(self, values: Sequence[Any], key: str | None, why: str) -> FaultyRow:
        """A row that cannot be read, with those of its values that can."""
        readable = {name: value for name, value in zip(self._names, values, strict=False) if value is not UNREADABLE}
        return FaultyRow(ExchangeError("E_ROW_UNREADABLE", f"{self._what}: {why}"), key, None, readable)

    def _check_names(self, columns: SourceColumns) -> None:
        declared = [*columns.key, columns.cursor, columns.version, columns.withdrawn]
        missing = [name for name in declared if name is not None and name not in self._names]
        if missing:
            raise ExchangeError("E_CONNECTOR", f"{self._what} has no column {', '.join(missing)}")
        double = sorted({name for name in self._names if self._names.count(name) > 1})
        if double:
            raise ExchangeError("E_CONNECTOR", f"{self._what} has several columns {', '.join(double)}")

    def _check_types(self, types: Sequence[ColumnType]) -> None:
        if self._bare:
            return
        if self._cursor is not None and self.cursor_type not in (*_NUMBERS, *_MOMENTS):
            raise self._refused(self._cursor, "cursor", "a whole number or a time")
        if self._withdrawn is not None and types[self._withdrawn] not in _WITHDRAWN:
            raise self._refused(self._withdrawn, "withdrawn", "a boolean, 0 or 1, or a time")

    def _refused(self, at: int, what: str, wanted: str) -> ExchangeError:
        return ExchangeError("E_CONNECTOR", f"{self._what}: the {what} column {self._names[at]} is not {wanted}")


def _by_value(value: Any) -> bool | None:
    """Whether 0 or 1, or nothing, withdraws a row; None: it is neither."""
    if value is None or value is False:
        return False
    if isinstance(value, Decimal | int) and value in (0, 1):
        return bool(value)
    return None


def _by_bit(value: Any) -> bool | None:
    """The same of a column of bits: PostgreSQL's come as text, MySQL's as bytes."""
    if value is None:
        return False
    return {"0": False, "1": True, b"\x00": False, b"\x01": True}.get(value)


def _by_time(value: Any) -> bool | None:
    return value is not None


_WITHDRAWN: Mapping[ColumnType, Callable[[Any], bool | None]] = {
    ColumnType.BOOLEAN: _by_value,
    ColumnType.INTEGER: _by_value,
    ColumnType.DECIMAL: _by_value,
    ColumnType.BIT: _by_bit,
    ColumnType.DATE: _by_time,
    ColumnType.TIME: _by_time,
    ColumnType.ZONED: _by_time,
}
