"""Python values to Avro bytes: what generated encoders call. Logical types take what fastavro takes, within range.

Functions raise ExchangeError(E_ENCODE), or any of Python's own errors for a value of a wrong type.
"""

import array
import datetime
import decimal
import struct
import uuid
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from fastavro.logical_writers import LOGICAL_WRITERS

from exchange.avro.compiled.strict import INT_RANGE, MAX_EMPTY_ITEMS, RANGES, shortest
from exchange.avro.schema import Logical
from exchange.calendar import ZONE
from exchange.errors import ExchangeError

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_LONG_LIMIT = 1 << 63


def long_bytes(number: int) -> bytes:
    """The shortest zig-zag varint of a 64-bit number."""
    if not -_LONG_LIMIT <= number < _LONG_LIMIT:
        raise ExchangeError("E_ENCODE", "a number does not fit 64 bits")
    rest = number << 1 ^ number >> 63
    if rest < 128:
        return bytes((rest,))
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


SMALL = tuple(bytes((number << 1,)) for number in range(64)) + tuple(
    bytes(((number << 1 ^ -1) & 127,)) for number in range(-64, 0)
)
"""The varint of a number from -64 to 63; a negative number counts from the end."""
LENGTHS = tuple(long_bytes(number) for number in range(1024))
"""The varint of a length."""


@lru_cache(maxsize=64)
def lengths_in_union(index: int) -> tuple[bytes, ...]:
    """LENGTHS with the index of a union's branch before them, one table for all fields."""
    return tuple(SMALL[index] + length for length in LENGTHS)


def int_bytes(number: int) -> bytes:
    """The varint of a 32-bit number."""
    if not INT_RANGE[0] <= number <= INT_RANGE[1]:
        raise ExchangeError("E_ENCODE", "a number does not fit 32 bits")
    return long_bytes(number)


def as_bytes(value: Any) -> bytes:
    """bytes and bytearray, nothing else."""
    if not isinstance(value, bytes | bytearray):
        raise TypeError
    return bytes(value)


def as_list(value: Any) -> Sequence[Any]:
    """Sequences that are no text."""
    if isinstance(value, str) or not isinstance(value, Sequence | array.array):
        raise TypeError
    return value


def few(items: Sequence[Any]) -> None:
    """Items that take no bytes: a decoder would have to trust their number."""
    if len(items) > MAX_EMPTY_ITEMS:
        raise ExchangeError("E_ENCODE", f"an array holds more than {MAX_EMPTY_ITEMS} items that take no bytes")


def empty(value: Any) -> bytes:
    """An array or map without items."""
    if len(value) != 0:
        raise TypeError
    return b"\0"


def null_bytes(value: Any) -> bytes:
    """Nothing, for None."""
    if value is not None:
        raise TypeError
    return b""


def boolean_bytes(value: Any) -> bytes:
    """One byte, for a bool."""
    if value is True:
        return b"\1"
    if value is not False:
        raise TypeError
    return b"\0"


class FixedWriter:
    """bytes of one length."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, value: Any) -> bytes:
        """`value` itself."""
        data = value if type(value) is bytes else as_bytes(value)
        if len(data) != self._size:
            raise ExchangeError("E_ENCODE", f"a fixed value has not {self._size} bytes")
        return data


class DecimalWriter:
    """Decimals of one precision and scale over bytes (`size` None) or fixed."""

    def __init__(self, logical: Logical, size: int | None) -> None:
        self._scale = logical.scale
        self._limit = 10**logical.precision
        self._size = size
        self._context = decimal.Context(
            prec=max(logical.precision, 1), traps=[decimal.Inexact, decimal.InvalidOperation]
        )

    def __call__(self, value: Any) -> bytes:
        """The unscaled number in as few bytes as hold it, as Avro Java writes it; or raw bytes that are just that."""
        if type(value) is not decimal.Decimal and not isinstance(value, decimal.Decimal):
            return self._raw(as_bytes(value))
        scaled = value.scaleb(self._scale, self._context)
        number = int(scaled)
        if number != scaled:
            raise ExchangeError("E_ENCODE", "a decimal has more digits than its scale")
        return self._written(number)

    def _raw(self, data: bytes) -> bytes:
        written = self._written(int.from_bytes(data, "big", signed=True))
        if written != (data if self._size is not None else long_bytes(len(data)) + data):
            raise ExchangeError("E_ENCODE", "the bytes of a decimal are not in canonical form")
        return written

    def _written(self, number: int) -> bytes:
        if not -self._limit < number < self._limit:
            raise ExchangeError("E_ENCODE", "a decimal has more digits than its precision")
        if self._size is not None:
            return number.to_bytes(self._size, "big", signed=True)
        size = shortest(number)
        return long_bytes(size) + number.to_bytes(size, "big", signed=True)


def _logical_bytes(kind: str, name: str) -> Callable[[Any], bytes]:
    """The varint of a date or time, by fastavro's conversion, refused outside the range of the logical type."""
    convert: Callable[[Any, Any], Any] = LOGICAL_WRITERS[f"{kind}-{name}"]
    low, high = RANGES[name]

    def write(value: Any) -> bytes:
        number = convert(value, {})
        if not isinstance(number, int):
            raise TypeError
        if not low <= number <= high:
            raise ExchangeError("E_ENCODE", f"a {name} is out of its range")
        return long_bytes(number)

    return write


def day_of(value: Any) -> datetime.date:
    """The day of a moment in China, where a day is due: not that of the zone in which the moment happens to come.

    A moment without zone is one of China.
    """
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo is None else value.astimezone(ZONE)).date()
    if isinstance(value, datetime.date):
        return value
    raise AttributeError


_plain_day_bytes = _logical_bytes("int", "date")


def date_bytes(value: Any) -> bytes:
    """A day, a moment as its day in China, a text of the form YYYY-MM-DD, or a number of days since 1970."""
    return _plain_day_bytes(day_of(value) if isinstance(value, datetime.date) else value)


def _moment_bytes(name: str) -> Callable[[Any], bytes]:
    """A moment; without zone one of China, and not of the zone that this machine happens to have."""
    write = _logical_bytes("long", name)

    def with_zone(value: Any) -> bytes:
        if isinstance(value, datetime.datetime) and value.tzinfo is None:
            value = value.replace(tzinfo=ZONE)
        return write(value)

    return with_zone


def _local_bytes(name: str) -> Callable[[Any], bytes]:
    """What a clock on the wall shows; of a moment with zone a clock in China."""
    write = _logical_bytes("long", name)

    def without_zone(value: Any) -> bytes:
        if isinstance(value, datetime.datetime) and value.tzinfo is not None:
            value = value.astimezone(ZONE).replace(tzinfo=None)
        return write(value)

    return without_zone


def uuid_bytes(value: Any) -> bytes:
    """A UUID, or its text in any form, as text in lower case."""
    text = str(value if isinstance(value, uuid.UUID) else uuid.UUID(value)).encode()
    return SMALL[len(text)] + text


LOGICAL_BYTES: dict[str, Callable[[Any], bytes]] = {
    "date": date_bytes,
    "time-millis": _logical_bytes("int", "time-millis"),
    "time-micros": _logical_bytes("long", "time-micros"),
    "timestamp-millis": _moment_bytes("timestamp-millis"),
    "timestamp-micros": _moment_bytes("timestamp-micros"),
    "local-timestamp-millis": _local_bytes("local-timestamp-millis"),
    "local-timestamp-micros": _local_bytes("local-timestamp-micros"),
    "uuid": uuid_bytes,
}
"""Writers of logical types by name; decimals have their own class."""


def too_deep() -> None:
    """A value is nested too deeply, perhaps in itself."""
    raise ExchangeError("E_ENCODE", "nested too deeply")


WRITING: dict[str, Any] = {
    "long_bytes": long_bytes,
    "int_bytes": int_bytes,
    "SMALL": SMALL,
    "LENGTHS": LENGTHS,
    "as_bytes": as_bytes,
    "as_list": as_list,
    "few": few,
    "empty": empty,
    "null_bytes": null_bytes,
    "boolean_bytes": boolean_bytes,
    "float_bytes": struct.Struct("<f").pack,
    "double_bytes": struct.Struct("<d").pack,
    "date_bytes": date_bytes,
    "day_of": day_of,
    "Day": datetime.date,
    "EPOCH": EPOCH,
    "too_deep": too_deep,
}
"""Globals of generated encoders."""
