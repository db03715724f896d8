"""What is particular to PyMySQL: rows that stream, and what they need before they are rows of the exchange."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pymysql.constants import FIELD_TYPE
from pymysql.cursors import SSCursor

from exchange.connect.sql.values import UNREADABLE

_TIMES = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.TIME})
_TEXTS = frozenset(
    {FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.BLOB, FIELD_TYPE.TINY_BLOB}
    | {FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.JSON, FIELD_TYPE.ENUM, FIELD_TYPE.SET}
)


@contextmanager
def streamed(connection: Any) -> Iterator[Any]:
    """A cursor that does not hold its result. Left early, it ends the connection: it would read the rest otherwise."""
    cursor = connection.cursor(SSCursor)
    try:
        yield cursor
    except BaseException:
        result = connection._result
        if result is not None:
            result.unbuffered_active = False
            result.connection = None
        cursor.connection = None
        connection._force_close()
        raise
    cursor.close()


def mended(description: Sequence[Any], rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows whose moments have their zone, with UNREADABLE for what is no date or no text; and whether there is one."""
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    changed = spoilt = False
    for at, described in enumerate(description):
        kind, column = described[1], columns[at]
        if kind in _TIMES:
            bad = [row for row, value in enumerate(column) if type(value) is str]
        elif kind in _TEXTS:
            bad = [row for row, value in enumerate(column) if type(value) is str and not _is_text(value)]
        else:
            continue
        for row in bad:
            column[row] = UNREADABLE
        if kind == FIELD_TYPE.TIMESTAMP:
            columns[at] = [value.replace(tzinfo=UTC) if type(value) is datetime else value for value in column]
            changed = True
        spoilt = spoilt or bool(bad)
    return (list(zip(*columns, strict=True)) if changed or spoilt else rows), spoilt


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
