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
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_WRITTEN = frozenset({type(None), str, bool, int, float, Decimal, date, datetime, time, UUID})
"""Types whose `str` PostgreSQL reads back exactly, whatever the session's settings are."""


def lines_of(rows: Sequence[tuple[Any, ...]]) -> str | None:
    """The lines of some rows, each with its end; None when only the driver knows how to write one of their values."""
    types = set(map(type, rows[0])).union(*[map(type, row) for row in rows[1:]])
    if not types <= _WRITTEN:
        return None
    lines = [
        _BETWEEN.join([one if type(one) is str else _NULL if one is None else str(one) for one in row]) for row in rows
    ]
    text = "\n".join(lines)
    if not _as_it_is(text, rows):
        lines = [_BETWEEN.join([_NULL if one is None else str(one).translate(_ESCAPES) for one in row]) for row in rows]
        text = "\n".join(lines)
    return f"{text}\n"


def _as_it_is(text: str, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Whether nothing in the text but what was put there between values and for nulls means something to COPY."""
    return (
        "\r" not in text
        and text.count("\n") == len(rows) - 1
        and text.count(_BETWEEN) == len(rows) * (len(rows[0]) - 1)
        and text.count("\\") == sum([row.count(None) for row in rows])
    )
