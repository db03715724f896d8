"""How rows come in: pages of rows, each page with the cursor behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings

Cursor = dict[str, Any]
"""Where a reader stands, as JSON can hold it. Only the reader that made it reads it."""

CHINA = timezone(timedelta(hours=8))
"""The zone of times that are stored without one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST = 2**63 - 1


class SourceRow:
    """A row with what the exchange needs beside its columns; nobody changes it. Its repr holds no value."""

    __slots__ = ("_values", "cells", "key", "names", "place", "sequence", "withdrawn")

    def __init__(
        self,
        values: Mapping[str, Any],
        sequence: int | None,
        withdrawn: bool = False,
        key: str | None = None,
        place: str | None = None,
    ) -> None:
        self._values: Mapping[str, Any] | None = values
        self.names: tuple[str, ...] = tuple(values)
        """The columns."""
        self.cells: Sequence[Any] = tuple(values.values())
        """Their values."""
        self.sequence = sequence
        """Orders the versions of a row: its cursor or version column, or the time of the file. None: no number."""
        self.withdrawn = withdrawn
        self.key = key
        """The values of the key columns as one text, which identifies the row in its source for as long as it is there.
        None: the source declares no key, and the natural key of the record stands in."""
        self.place = place
        """Where the row stands, in words (`line 7`), for a source whose rows have places."""

    @classmethod
    def of_cells(
        cls, names: tuple[str, ...], cells: Sequence[Any], sequence: int | None, withdrawn: bool, key: str | None
    ) -> "SourceRow":
        """A row of as many cells as names, without a place. Most rows are as they were: their columns nobody asks for
        by name."""
        row = cls.__new__(cls)
        row._values = None
        row.names, row.cells, row.sequence = names, cells, sequence
        row.withdrawn, row.key, row.place = withdrawn, key, None
        return row

    @property
    def values(self) -> Mapping[str, Any]:
        """Column name to value."""
        if self._values is None:
            self._values = dict(zip(self.names, self.cells, strict=True))
        return self._values

    def __repr__(self) -> str:
        return f"SourceRow({len(self.names)} columns, withdrawn={self.withdrawn})"


@dataclass(frozen=True, slots=True)
class FaultyRow:
    """A row that cannot be read as its declaration says; its neighbours can. Its repr holds no value."""

    error: ExchangeError
    """E_ROW_UNREADABLE, which names the column or what is wrong with the line, never a value."""
    key: str | None
    """As in `SourceRow`; None also when the key itself cannot be read."""
    place: str | None = None
    """As in `SourceRow`."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What could be read of it, for the department's own eyes."""

    def __repr__(self) -> str:
        return f"FaultyRow({self.error.code}, place={self.place})"


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in the order of the source, and the cursor to go on from once they are safe."""

    rows: list[SourceRow | FaultyRow]
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class SourceColumns:
    """The columns of a table or query that the exchange needs to know to read it."""

    key: tuple[str, ...]
    """Columns that identify a row; they order rows of equal cursor."""
    cursor: str | None
    """Column that grows with every change of a row: a time, or a number from one counter. None: no such column."""
    version: str | None
    """Column for the sequence, when that is not the cursor."""
    withdrawn: str | None
    """Column that is true for a row that the department withdraws."""
    look_back_seconds: float | None = None
    """For so long, by the database's clock, rows are read again that were read along the cursor. None: as long as the
    kind of database needs (`exchange.connect.sql.reader`)."""


class Reader(Protocol):
    """Reads one source: what is new along its cursor, and the whole of it. Not safe for several threads."""

    fingerprint: str
    """Changes when the declaration changes in a way that makes a cursor of before worthless (table, statement, cursor
    column, key, file format). The line keeps it beside the cursor and reads the whole again when it differs."""

    brings_all: bool
    """Whether a row that a whole reading does not bring is gone. False for a file that holds only changes."""

    waiting: bool
    """After `page` or `due` found nothing: whether there is something that has not settled yet."""

    def page(self, cursor: Cursor, limit: int) -> Page | None:
        """At most `limit` rows that are new since `cursor`, or None when there is nothing new now.

        `cursor` is that of the last page, of this method or of a whole reading. Rows may come again: a reader goes back
        as far as it must to lose none. A source without a cursor column has nothing new, ever.

        Raises ExchangeError: E_SOURCE_UNREACHABLE when the source is away, E_CONNECTOR when the declaration is wrong
        (SQLSTATE and column named, never a value).
        """
        ...

    def due(self, cursor: Cursor | None) -> bool:
        """Whether the source, by itself, asks for a whole reading: none was made yet (None), or its file has changed.

        Raises ExchangeError as `page` does.
        """
        ...

    def whole(self, limit: int) -> Iterator[Page]:
        """Every row of the source as it stands at one moment, in pages; nothing is left out but what breaks off.

        The cursor of the last page is where `page` goes on and what `due` compares with; those of the others are not to
        be used. A source without rows gives one page without rows. While a reader waits for something, it gives pages
        without rows and cursor, so that its caller can leave. The caller closes the iterator when it leaves it.

        Raises ExchangeError as `page` does; rows of a reading that breaks off are rows, but not all of them.
        """
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A reader that can tell how much lies behind a cursor for less than reading it costs."""

    def rows_left(self, cursor: Cursor, most: int) -> int:
        """Rows that `page` has still to bring behind `cursor`, counted up to `most`: that many are at least so many.

        Raises ExchangeError as `page` does.
        """
        ...


class Readable(Protocol):
    """A declaration of something that can be read."""

    def reader(self, settings: ConnectorSettings) -> Reader:
        """A reader with the addresses of `settings`. Raises ExchangeError(E_SETTINGS) when one is missing."""
        ...


def sequence_of_cursor(value: object) -> int:
    """A version or time column as the sequence of its row: an integer as it is, a time in microseconds since 1970.

    Microseconds, because databases keep them, and two versions of a row in one millisecond must not have one sequence.
    A time without zone is taken for China Standard Time, which matters to nothing but the number: it orders versions of
    rows of one column, and is compared with no clock. Raises ExchangeError(E_ROW_UNMAPPED) for anything else, also for
    a date (a row may change twice a day), for an infinity, for less than 0 and for more than 63 bits.
    """
    number = _number_of(value)
    if number is None or not 0 <= number <= _MOST:
        raise ExchangeError("E_ROW_UNMAPPED", "the cursor or version column holds neither a number nor a time")
    return number


def _number_of(value: object) -> int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value.is_finite() and 0 <= value <= _MOST and value == value.to_integral_value():
        return int(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=CHINA)
        return (moment - _EPOCH) // _MICROSECOND
    return None
