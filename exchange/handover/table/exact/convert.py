"""Values as a column takes them, exactly: what it cannot keep as it is, it does not get.

A database rounds a decimal to the column's scale, a moment to its seconds, cuts blanks at the end of a text that is too
long, and says nothing. So for each field and its column there is a function that converts a value or refuses it; none
where nothing can be lost. A column without a zone holds China's time (+08:00, all year), in MySQL and MariaDB as
elsewhere; SQLite keeps moments as texts with their zone.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from exchange.errors import ExchangeError
from exchange.handover.table.definition import Form, FoundColumn
from exchange.handover.table.exact.kinds import Kind
from exchange.handover.table.exact.losses import Convert, Make, as_it_is, lost
from exchange.handover.table.exact.numeric import NUMBERS
from exchange.handover.table.exact.temporal import TIMES

_HEX_LENGTH = 32
_UUID_BYTES = 16


def converter(column: FoundColumn, kind: Kind, dialect: str, scale: int | None = None) -> Convert | None:
    """What makes values of a kind fit for a column; None when the driver takes them as they are and nothing is lost.

    scale: at most so many decimals have the values, where that is known.
    Raises ExchangeError(E_CONNECTOR) when the column is of a type that cannot hold them.
    """
    if (kind, column.form, dialect) == (Kind.DECIMAL, Form.NUMERIC, "postgresql") and (scale or 0) <= (
        column.scale or 0
    ):
        return None
    make = _MAKERS.get((kind, column.form))
    if make is None and column.form is Form.CHAR:
        make = _MAKERS.get((kind, Form.TEXT))
    if make is None:
        raise ExchangeError("E_CONNECTOR", f"{column.name} is granted as {kind}, its column is {column.declared}")
    return make(column, dialect)


# Text


def _text(column: FoundColumn, _: str) -> Convert | None:
    return None if column.length is None else partial(_bounded, column, column.length)


def _bounded(column: FoundColumn, length: int, value: str) -> str:
    if len(value) > length:
        raise lost(column, f"{len(value)} characters, the column keeps {length}")
    return value


def _char(column: FoundColumn, _: str) -> Convert | None:
    length = column.length or 1

    def convert(value: str) -> str:
        if value.endswith(" "):
            raise lost(column, "a blank at the end, which a column of a fixed length does not keep")
        return _bounded(column, length, value)

    return convert


def _text_of(write: Callable[[Any], str]) -> Callable[[FoundColumn, str], Convert]:
    """A value in a column of text, in its usual form."""

    def make(column: FoundColumn, _: str) -> Convert:
        length = column.length
        if length is None:
            return write
        return lambda value: _bounded(column, length, write(value))

    return make


def _uuid_of_text(column: FoundColumn, dialect: str) -> Convert:
    write = _plain_uuid(dialect)

    def convert(value: str) -> Any:
        try:
            found = UUID(value)
        except ValueError:
            found = None
        if found is None or str(found) != value:  # another way of writing it would not come back
            raise lost(column, "not a uuid in lower case with hyphens")
        return write(found)

    return convert


def _plain_uuid(dialect: str) -> Callable[[UUID], Any]:
    return str if dialect in ("mysql", "mariadb") else lambda value: value


def _uuid(_: FoundColumn, dialect: str) -> Convert | None:
    return str if dialect in ("mysql", "mariadb") else None


def _uuid_as_text(column: FoundColumn, _: str) -> Convert:
    """In a column of 32 characters without hyphens, as SQLAlchemy keeps it where there is no type for it."""
    if column.length == _HEX_LENGTH or column.declared.upper() == f"CHAR({_HEX_LENGTH})":
        return lambda value: value.hex
    return _text_of(str)(column, _)


def _uuid_as_bytes(column: FoundColumn, _: str) -> Convert:
    if column.length != _UUID_BYTES:
        raise ExchangeError("E_CONNECTOR", f"{column.name} is granted as uuid, its column is {column.declared}")
    return lambda value: value.bytes


# Bytes


def _fixed(column: FoundColumn, _: str) -> Convert:
    def convert(value: bytes) -> bytes:
        if len(value) != column.length:
            raise lost(column, f"{len(value)} bytes, the column keeps {column.length}")
        return value

    return convert


# Structure


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)


_structure = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain).encode


def _structure_as_it_is(_: FoundColumn, __: str) -> Convert:
    return _structure


_MAKERS: Mapping[tuple[Kind, Form], Make] = {
    **NUMBERS,
    **TIMES,
    (Kind.TEXT, Form.TEXT): _text,
    (Kind.TEXT, Form.CHAR): _char,
    (Kind.TEXT, Form.UUID): _uuid_of_text,
    (Kind.INTEGER, Form.TEXT): _text_of(str),
    (Kind.DECIMAL, Form.TEXT): _text_of(lambda value: format(value, "f")),
    (Kind.FLOAT, Form.TEXT): _text_of(repr),
    (Kind.BOOLEAN, Form.TEXT): _text_of(lambda value: str(value).lower()),
    (Kind.BYTES, Form.BYTES): as_it_is,
    (Kind.BYTES, Form.FIXED): _fixed,
    (Kind.DATE, Form.TEXT): _text_of(date.isoformat),
    (Kind.MOMENT, Form.TEXT): _text_of(datetime.isoformat),
    (Kind.LOCAL, Form.TEXT): _text_of(datetime.isoformat),
    (Kind.TIME, Form.TEXT): _text_of(time.isoformat),
    (Kind.UUID, Form.UUID): _uuid,
    (Kind.UUID, Form.TEXT): _uuid_as_text,
    (Kind.UUID, Form.CHAR): _uuid_as_text,
    (Kind.UUID, Form.FIXED): _uuid_as_bytes,
    (Kind.JSON, Form.JSON): _structure_as_it_is,
    (Kind.JSON, Form.TEXT): _text_of(_structure),
}
"""How values of a kind come into a column of a form; what is not here does not."""
