"""Values of keys and cursors: as the state of a source keeps them, and as one text that identifies a row."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, final
from uuid import UUID

from exchange.errors import ExchangeError

Packed = list[str]
"""A value as JSON can hold it: its kind and its text."""

_NUMBER, _TEXT, _DECIMAL, _TIME, _DATE, _CLOCK, _UUID, _BYTES, _REAL = "n", "s", "d", "t", "date", "c", "u", "b", "f"


@final
class Unreadable:
    """Stands for a value that the database holds and Python cannot (`infinity`, the year 10000, bytes of no text).

    There is one, `UNREADABLE`; compare by identity.
    """

    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE: Final = Unreadable()


def pack(value: Any) -> Packed:
    """A cursor or key value, exactly, as JSON can hold it; equal values give equal texts, whatever the session's zone.

    Raises ExchangeError(E_CONNECTOR) for a type that cannot be kept.
    """
    kind = type(value)
    if kind is int or kind is bool:
        return [_NUMBER, str(int(value))]
    if kind is str:
        return [_TEXT, value]
    if kind is datetime:
        moment = value.astimezone(UTC) if value.tzinfo is not None else value
        return [_TIME, moment.isoformat()]
    if kind is Decimal:
        return _of_decimal(value)
    for known, name, text in _OTHERS:
        if isinstance(value, known):
            return [name, text(value)]
    raise ExchangeError("E_CONNECTOR", f"a key or cursor column of type {kind.__name__} cannot be kept")


def unpack(packed: Sequence[str]) -> Any:
    """The value that `pack` made into text. Raises ValueError or KeyError for what it did not make."""
    kind, value = packed
    return _UNPACK[kind](value)


def identifying(value: Any) -> str:
    """`pack` as JSON, compact; the common kinds without a detour."""
    kind = type(value)
    if kind is int:
        return f'["n","{value}"]'
    if kind is str:
        return f'["s",{_quoted(value)}]'
    return json.dumps(pack(value), ensure_ascii=False, separators=(",", ":"))


def _of_decimal(value: Decimal) -> Packed:
    """1, 1.0 and 1.00 are one number, and one with the 1 of an integer column."""
    if value == value.to_integral_value() and value.adjusted() < _LONGEST:
        return [_NUMBER, str(int(value))]
    return [_DECIMAL, str(value.normalize())]


_LONGEST = 100
"""Digits of a whole number that is written out."""
_quoted: Callable[[str], str] = json.encoder.encode_basestring
_OTHERS: tuple[tuple[Any, str, Callable[[Any], str]], ...] = (
    (UUID, _UUID, lambda value: value.hex),
    ((bytes, bytearray, memoryview), _BYTES, lambda value: bytes(value).hex()),
    (float, _REAL, repr),
    (datetime, _TIME, datetime.isoformat),
    (date, _DATE, date.isoformat),
    (time, _CLOCK, time.isoformat),
    (timedelta, "i", lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
)


def _interval(text: str) -> timedelta:
    days, seconds, microseconds = map(int, text.split())
    return timedelta(days, seconds, microseconds)


_UNPACK: dict[str, Callable[[str], Any]] = {
    _TIME: datetime.fromisoformat,
    _DATE: date.fromisoformat,
    _CLOCK: time.fromisoformat,
    _NUMBER: int,
    _DECIMAL: Decimal,
    _TEXT: str,
    _UUID: UUID,
    _BYTES: bytes.fromhex,
    _REAL: float,
    "i": _interval,
}
