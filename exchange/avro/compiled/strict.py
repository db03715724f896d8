"""What generated check and decode code calls for everything that is not the common short case.

Every function takes `b`, `p` (position of the value in the bytes) and returns positions or values. They accept only
what an Avro encoder writes: shortest varints in range, lengths within the bytes, one block an array. Errors are
ExchangeError with an E_AVRO_ code, except IndexError at the end of the bytes, which the generated code translates.
No function reads or allocates more than the bytes justify.
"""

import struct
import uuid
from typing import Any, NoReturn

from exchange.avro.schema import decimal_bytes
from exchange.errors import ExchangeError

IMPLAUSIBLE_LENGTH = 1 << 20
"""A length from here on that exceeds the bytes is no cut record but a wrong length: no record of the bus is so long."""
MAX_EMPTY_ITEMS = 63
"""How many items that take no byte at all (nulls) an array may hold: nothing in the input would pay for more."""
DATE_RANGE = (-719_162, 2_932_896)
"""Days from 1970-01-01 to 0001-01-01 and 9999-12-31."""
RANGES: dict[str, tuple[int, int]] = {
    "date": DATE_RANGE,
    "time-millis": (0, 86_400_000 - 1),
    "time-micros": (0, 86_400_000_000 - 1),
    "timestamp-millis": (-62_135_596_800_000, 253_402_300_799_999),
    "timestamp-micros": (-62_135_596_800_000_000, 253_402_300_799_999_999),
    "local-timestamp-millis": (-62_135_596_800_000, 253_402_300_799_999),
    "local-timestamp-micros": (-62_135_596_800_000_000, 253_402_300_799_999_999),
}
"""The values of logical types over int and long that Python's date and time types hold, both ends included."""
INT_RANGE = (-(1 << 31), (1 << 31) - 1)

SHORT = tuple(0 if byte > 127 or byte & 1 else 1 + (byte >> 1) for byte in range(256))
"""By first byte: how far a string or bytes of less than 64 bytes reaches, length byte included; 0 = ask `block`."""
SHORT_IN_UNION = tuple(step and step + 1 for step in SHORT)
"""The same with the union index byte before it."""


def raw_long(b: bytes, p: int) -> tuple[int, int]:
    """(position behind, zig-zag form) of the varint at `p`."""
    byte = b[p]
    p += 1
    if byte < 128:
        return p, byte
    number, shift = byte & 127, 7
    while True:
        byte = b[p]
        p += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ExchangeError("E_AVRO_VARINT")
    if byte == 0 or number >> 64:
        raise ExchangeError("E_AVRO_VARINT")
    return p, number


def long(b: bytes, p: int) -> tuple[int, int]:
    """(position behind, value) of the long at `p`."""
    p, number = raw_long(b, p)
    return p, (number >> 1) ^ -(number & 1)


def integer(b: bytes, p: int) -> tuple[int, int]:
    """(position behind, value) of the int at `p`: 32 bits."""
    p, number = raw_long(b, p)
    if number >> 32:
        raise ExchangeError("E_AVRO_VARINT", "an int does not fit 32 bits")
    return p, (number >> 1) ^ -(number & 1)


def long_end(b: bytes, p: int) -> int:
    """Position behind the long at `p`."""
    return raw_long(b, p)[0]


def int_end(b: bytes, p: int) -> int:
    """Position behind the int at `p`."""
    return integer(b, p)[0]


class Ranged:
    """Reads an int or long whose logical type has a range."""

    def __init__(self, kind: str, logical: str) -> None:
        self._read = integer if kind == "int" else long
        self._low, self._high = RANGES[logical]
        self._name = logical

    def value(self, b: bytes, p: int) -> tuple[int, int]:
        """(position behind, value)."""
        p, number = self._read(b, p)
        if not self._low <= number <= self._high:
            raise ExchangeError("E_AVRO_VALUE", f"a {self._name} is out of its range")
        return p, number

    def end(self, b: bytes, p: int) -> int:
        """Position behind it."""
        return self.value(b, p)[0]


def block(b: bytes, p: int) -> tuple[int, int]:
    """(start, end) of the string or bytes whose length is at `p`. The end may lie behind the bytes' end by little."""
    first, second = b[p], b[p + 1] if b[p] > 127 else 0
    if 0 < second < 128 and not first & 1:
        return p + 2, p + 2 + ((first & 127 | second << 7) >> 1)
    p, number = raw_long(b, p)
    if number & 1:
        raise ExchangeError("E_AVRO_LENGTH", "a length is negative")
    return p, p + _plausible(number >> 1, len(b) - p)


def _plausible(length: int, left: int) -> int:
    if length > left:
        raise ExchangeError("E_AVRO_LENGTH" if length >= IMPLAUSIBLE_LENGTH else "E_AVRO_TRUNCATED")
    return length


def block_end(b: bytes, p: int) -> int:
    """Position behind the bytes whose length is at `p`."""
    return block(b, p)[1]


def count(b: bytes, p: int, least: int) -> tuple[int, int]:
    """(position behind, number of items, at least 1) of the array or map block at `p`; an item takes `least` bytes."""
    p, number = raw_long(b, p)
    if number & 1:
        raise ExchangeError("E_AVRO_NOT_CANONICAL", "a block of an array or map has a negative count")
    number >>= 1
    if least:
        _plausible(number * least, len(b) - p)
    elif number > MAX_EMPTY_ITEMS:
        raise ExchangeError("E_AVRO_LENGTH", "an array holds too many items that take no bytes")
    return p, number


def nul() -> NoReturn:
    """A text holds U+0000, which PostgreSQL can store in no text and C programs take for the end of it."""
    raise ExchangeError("E_TEXT_NUL")


def second_block() -> NoReturn:
    """An array or map goes on after its first block."""
    raise ExchangeError("E_AVRO_NOT_CANONICAL", "an array or map has more than one block, or no end")


def repeated_key() -> NoReturn:
    """A map holds a key twice."""
    raise ExchangeError("E_AVRO_NOT_CANONICAL", "a map holds a key twice")


def too_deep() -> NoReturn:
    """A value is nested too deeply."""
    raise ExchangeError("E_AVRO_DEPTH")


def bad_boolean() -> NoReturn:
    """A boolean is neither 0 nor 1."""
    raise ExchangeError("E_AVRO_NOT_CANONICAL", "a boolean byte is neither 0 nor 1")


def quiet(b: bytes, p: int) -> None:
    """The float at `p` is infinite, or a NaN that survives: the conversion to double sets the quiet bit of a NaN."""
    if b[p + 2] & 192 == 128 and (b[p + 2] & 63 or b[p + 1] or b[p]):
        raise ExchangeError("E_AVRO_NOT_CANONICAL", "a float is a signalling NaN")


def bad_index(b: bytes, p: int) -> NoReturn:
    """The union or enum index at `p` does not exist, or is an over-long varint."""
    raw_long(b, p)
    raise ExchangeError("E_AVRO_UNION")


def index(b: bytes, p: int, size: int) -> tuple[int, int]:
    """(position behind, index) of the union or enum index at `p`, of `size` possible."""
    p, number = raw_long(b, p)
    if number & 1 or number >> 1 >= size:
        raise ExchangeError("E_AVRO_UNION")
    return p, number >> 1


def index_end(b: bytes, p: int, size: int) -> int:
    """Position behind the enum index at `p`."""
    return index(b, p, size)[0]


def shortest(number: int) -> int:
    """Bytes of the shortest two's complement of `number`: what Java's BigInteger.toByteArray gives."""
    return (number if number >= 0 else ~number).bit_length() // 8 + 1


class Decimals:
    """Reads decimals of one precision over bytes (`size` None) or fixed."""

    def __init__(self, precision: int, size: int | None) -> None:
        self._size = size
        self._most = decimal_bytes(precision)
        self._limit = 10**precision

    def value(self, b: bytes, p: int) -> tuple[int, int]:
        """(position behind, unscaled value)."""
        if self._size is None:
            start, end = (p + 1, p + SHORT[b[p]]) if SHORT[b[p]] else block(b, p)
        else:
            start, end = p, p + self._size
        if end > len(b):
            raise ExchangeError("E_AVRO_TRUNCATED")
        if self._size is None and end - start > self._most:
            self._refuse_long(b, start, end)
        number = int.from_bytes(b[start:end], "big", signed=True)
        if not -self._limit < number < self._limit:
            raise ExchangeError("E_AVRO_VALUE", "a decimal has more digits than its precision")
        if self._size is None and end - start != shortest(number):
            raise ExchangeError("E_AVRO_NOT_CANONICAL", "a decimal has superfluous leading bytes, or too few")
        return end, number

    def _refuse_long(self, b: bytes, start: int, end: int) -> NoReturn:
        if b[start : end - self._most] in (b"\0" * (end - self._most - start), b"\xff" * (end - self._most - start)):
            raise ExchangeError("E_AVRO_NOT_CANONICAL", "a decimal has superfluous leading bytes")
        raise ExchangeError("E_AVRO_VALUE", "a decimal has more digits than its precision")

    def end(self, b: bytes, p: int) -> int:
        """Position behind it."""
        return self.value(b, p)[0]


def uuid_value(b: bytes, p: int) -> tuple[int, uuid.UUID]:
    """(position behind, value) of the uuid (a string) at `p`: 36 characters in lower case."""
    start, end = block(b, p)
    if end > len(b):
        raise ExchangeError("E_AVRO_TRUNCATED")
    text = b[start:end].decode()
    try:
        value = uuid.UUID(text)
    except ValueError:
        raise ExchangeError("E_AVRO_VALUE", "a uuid has a wrong form") from None
    if str(value) != text:
        raise ExchangeError("E_AVRO_NOT_CANONICAL", "a uuid is not written in lower case with four hyphens")
    return end, value


def uuid_end(b: bytes, p: int) -> int:
    """Position behind the uuid at `p`."""
    return uuid_value(b, p)[0]


def translate(error: Exception, b: bytes, p: int) -> ExchangeError:
    """The error that a generated function raises for what it met at `p` in `b`."""
    if isinstance(error, ExchangeError):
        return error
    if isinstance(error, IndexError | struct.error) or p > len(b):
        return ExchangeError("E_AVRO_TRUNCATED")
    return ExchangeError("E_AVRO_UTF8")


def finish(b: bytes, p: int) -> NoReturn:
    """The value ended at `p`, which is not the end of `b`."""
    raise ExchangeError("E_AVRO_TRUNCATED" if p > len(b) else "E_AVRO_TRAILING")


ENVIRONMENT: dict[str, Any] = {
    function.__name__: function
    for function in (
        raw_long, long, integer, long_end, int_end, block, block_end, count, nul, second_block, repeated_key, too_deep,
        bad_boolean, quiet, bad_index, index, index_end, uuid_value, uuid_end, translate, finish,
    )
}  # fmt: skip
"""Globals of generated check and decode code."""
ENVIRONMENT |= {"SHORT": SHORT, "SHORT_IN_UNION": SHORT_IN_UNION, "from_bytes": int.from_bytes}
