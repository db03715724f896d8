"""Rows as lines of a PostgreSQL COPY in text form.

The driver asks of each value by itself how it is written; here many rows are written at once, and looked at once more
only when something in them has a meaning of its own to COPY (postgresql.org/docs/current/sql-copy.html, File Formats).
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

_NULL = "\\N"
_BETWEEN = "\t"
_MARKS = "\\\n\r\t"
"""What means something to COPY."""
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_WRITTEN = frozenset({type(None), str, bool, int, float, Decimal, date, datetime, time, UUID})
"""Types whose `str` PostgreSQL reads back exactly, whatever the session's settings are."""
_TEXT, _TEXT_OR_NULL = {str}, {str, type(None)}


def lines_of(rows: Sequence[tuple[Any, ...]]) -> str | None:
    """The lines of some rows, each with its end; None when only the driver knows how to write one of their values."""
    columns: list[Sequence[str]] = []
    for values in zip(*rows, strict=True):
        types = set(map(type, values))
        if not types <= _WRITTEN:
            return None
        columns.append(_texts(values, types))
    lines = map(_BETWEEN.join, zip(*columns, strict=True))
    return "".join([f"{line}\n" for line in lines])


def _texts(values: tuple[Any, ...], types: set[type]) -> Sequence[str]:
    """The values of one column as they stand in their lines."""
    if str not in types:
        return [_NULL if one is None else str(one) for one in values]
    if types == _TEXT:
        written: Sequence[str] = values
        together = "".join(values)
    elif types == _TEXT_OR_NULL:
        written = [_NULL if one is None else one for one in values]
        together = "".join(filter(None, values))
    else:
        return [_NULL if one is None else str(one).translate(_ESCAPES) for one in values]
    if any(mark in together for mark in _MARKS):
        return [_NULL if one is None else one.translate(_ESCAPES) for one in values]
    return written
