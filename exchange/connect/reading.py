"""How rows come in: pages of rows, each page with the cursor behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Protocol

from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings

Cursor = dict[str, Any]
"""Where a reader stands, as JSON can hold it. Only the reader that made it reads it."""

CHINA = timezone(timedelta(hours=8))
"""The zone of times that are stored without one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row with what the exchange needs beside its columns. Its repr holds no value."""

    values: Mapping[str, Any]
    sequence: int | None
    """Orders the versions of a row: its cursor or version column, or the time of the file. None: that is no number."""
    withdrawn: bool = False

    def __repr__(self) -> str:
        return f"SourceRow({len(self.values)} columns, withdrawn={self.withdrawn})"


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in the order of the source, and the cursor to go on from once they are safe."""

    rows: list[SourceRow]
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
    settle_seconds: float
    """Rows with a younger cursor time wait: a longer transaction may still commit an older time behind the cursor."""


class Reader(Protocol):
    """Reads one source. Not safe for several threads."""

    waiting: bool
    """After `page` gave None: whether there is something that has not settled yet."""

    def page(self, cursor: Cursor | None, limit: int) -> Page | None:
        """At most `limit` rows after `cursor` (None: from the beginning), or None when there is nothing new now.

        Raises ExchangeError(E_SOURCE_UNREACHABLE) when the source cannot be read.
        """
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


class Readable(Protocol):
    """A declaration of something that can be read."""

    def reader(self, settings: ConnectorSettings) -> Reader:
        """A reader with the addresses of `settings`. Raises ExchangeError(E_SETTINGS) when one is missing."""
        ...


def sequence_of_cursor(value: object) -> int:
    """A version or time column as the sequence of its row: an integer as it is, a time in microseconds since 1970.

    Microseconds, because databases keep them, and two versions of a row in one millisecond must not have one sequence.
    A time without zone is China Standard Time. Raises ExchangeError(E_ROW_UNMAPPED) for anything else, also for a date
    (a row may change twice a day), and for less than 0.
    """
    number = _number_of(value)
    if number is None or number < 0:
        raise ExchangeError("E_ROW_UNMAPPED", "the cursor or version column holds neither a number nor a time")
    return number


def _number_of(value: object) -> int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=CHINA)
        return (moment - _EPOCH) // _MICROSECOND
    return None
