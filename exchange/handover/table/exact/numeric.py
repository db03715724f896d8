"""Numbers and flags as a column takes them, exactly."""

import math
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from exchange.handover.table.definition import Form, FoundColumn
from exchange.handover.table.exact.kinds import Kind
from exchange.handover.table.exact.losses import Convert, Make, as_it_is, lost

_DOUBLE_DIGITS, _REAL_DIGITS = 15, 6
"""Decimal digits that a binary fraction of 64 or 32 bits always keeps."""
_DOUBLE_WHOLE, _REAL_WHOLE = 2**53, 2**24


def _decimal(column: FoundColumn, dialect: str) -> Convert | None:
    if dialect in ("mysql", "mariadb"):  # to which an exponent means a binary fraction
        return lambda value: format(_scaled(column, column.scale or 0, value), "f")
    return None if column.scale is None else partial(_scaled, column, column.scale)


def _scaled(column: FoundColumn, scale: int, value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise lost(column, "not a number")
    if exponent < -scale:
        decimals = -value.normalize().as_tuple().exponent  # type: ignore[operator]
        if value and decimals > scale:
            raise lost(column, f"{decimals} decimals, the column keeps {scale}")
    return value


def _decimal_as_integer(column: FoundColumn, _: str) -> Convert:
    return lambda value: int(_scaled(column, 0, value))


def _decimal_as_binary(digits: int) -> Callable[[FoundColumn, str], Convert]:
    def make(column: FoundColumn, dialect: str) -> Convert:
        def convert(value: Decimal) -> Any:
            significant = len(value.normalize().as_tuple().digits)
            if significant > digits:
                raise lost(column, f"{significant} digits, the column keeps {digits}")
            return value if dialect == "postgresql" else format(value, "f")

        return convert

    return make


def _integer_as_decimal(column: FoundColumn, _: str) -> Convert | None:
    if column.scale is None or column.scale >= 0:
        return None
    return lambda value: _scaled(column, column.scale or 0, Decimal(value))


def _integer_as_binary(largest: int) -> Callable[[FoundColumn, str], Convert]:
    def make(column: FoundColumn, _: str) -> Convert:
        def convert(value: int) -> int:
            if abs(value) > largest:
                raise lost(column, f"a whole number of more than {largest.bit_length() - 1} bits")
            return value

        return convert

    return make


def _float(column: FoundColumn, dialect: str) -> Convert | None:
    if dialect == "postgresql":
        return None

    def convert(value: float) -> float:
        if not math.isfinite(value):
            raise lost(column, "not a finite number")
        return value

    return convert


def _float_as_real(column: FoundColumn, dialect: str) -> Convert:
    def convert(value: float) -> float:
        if dialect == "postgresql":
            kept = value if math.isnan(value) else _single(value)
        else:  # which writes six digits
            kept = float(f"{value:.{_REAL_DIGITS}g}")
        if kept != value and not math.isnan(value):
            raise lost(column, "a binary fraction of more digits than the column keeps")
        return value

    return convert


def _single(value: float) -> float | None:
    try:
        return float(struct.unpack(">f", struct.pack(">f", value))[0])
    except OverflowError:
        return None


def _float_as_decimal(column: FoundColumn, dialect: str) -> Convert:
    keep = _decimal(column, dialect) or (lambda value: value)
    return lambda value: keep(Decimal(repr(value)))


def _float_as_integer(column: FoundColumn, _: str) -> Convert:
    def convert(value: float) -> int:
        if not value.is_integer():
            raise lost(column, "a fraction, the column keeps whole numbers")
        return int(value)

    return convert


def _flag(_: FoundColumn, __: str) -> Convert:
    return int


NUMBERS: Mapping[tuple[Kind, Form], Make] = {
    (Kind.INTEGER, Form.INTEGER): as_it_is,
    (Kind.INTEGER, Form.NUMERIC): _integer_as_decimal,
    (Kind.INTEGER, Form.DOUBLE): _integer_as_binary(_DOUBLE_WHOLE),
    (Kind.INTEGER, Form.REAL): _integer_as_binary(_REAL_WHOLE),
    (Kind.DECIMAL, Form.NUMERIC): _decimal,
    (Kind.DECIMAL, Form.INTEGER): _decimal_as_integer,
    (Kind.DECIMAL, Form.DOUBLE): _decimal_as_binary(_DOUBLE_DIGITS),
    (Kind.DECIMAL, Form.REAL): _decimal_as_binary(_REAL_DIGITS),
    (Kind.FLOAT, Form.DOUBLE): _float,
    (Kind.FLOAT, Form.REAL): _float_as_real,
    (Kind.FLOAT, Form.NUMERIC): _float_as_decimal,
    (Kind.FLOAT, Form.INTEGER): _float_as_integer,
    (Kind.BOOLEAN, Form.BOOLEAN): as_it_is,
    (Kind.BOOLEAN, Form.INTEGER): _flag,
    (Kind.BOOLEAN, Form.NUMERIC): _flag,
}
