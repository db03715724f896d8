"""CSV as people open it: RFC 4180 in UTF-8 with a byte order mark, and no text that a spreadsheet takes for a formula.

Every text is in double quotes; a cell without any is null. A text that begins with one of `= + - @ '`, their full-width
forms, a tab or a line break gets an apostrophe before it, which a reader takes away again: exactly one, if the text
begins with it. Numbers, days and `true` or `false` stand without quotes and are never touched. The Avro file beside it
holds the same values untouched.
"""

import base64
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO

from exchange.errors import ExchangeError
from exchange.handover.files.folder import Stream

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
csv.field_size_limit(1 << 20)  # more than a record has
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_APOSTROPHE = "'"
_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", _APOSTROPHE)
"""What spreadsheets take for the start of a formula (CWE-1236), and the sign of our own."""


class CsvWriter:
    """Writes rows into a stream. `escaped` counts the cells that got an apostrophe."""

    def __init__(self, stream: Stream, columns: Sequence[str]) -> None:
        self.escaped = 0
        self._stream = stream
        self._columns = tuple(columns)
        stream.write(_BYTE_ORDER_MARK + ",".join(map(_quoted, columns)).encode() + b"\r\n")

    def write(self, row: Mapping[str, Any]) -> None:
        """One row; a column that it does not have is null."""
        cells = [self._cell(row.get(name)) for name in self._columns]
        self._stream.write(",".join(cells).encode() + b"\r\n")

    def _cell(self, value: Any) -> str:
        plain = plain_text(value)
        if plain is not None:
            return plain
        text = value if isinstance(value, str) else _structured(value)
        if text.startswith(_STARTS):
            self.escaped += 1
            text = _APOSTROPHE + text
        return _quoted(text)


def plain_text(value: Any) -> str | None:
    """What stands without quotes for a value; None when it is to be quoted."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return None


def read_rows(stream: BinaryIO) -> Iterator[dict[str, str]]:
    """The rows as texts, apostrophes taken away; null and the empty text look alike.

    Raises ExchangeError(E_FILES_REFUSED) for what is no such file.
    """
    try:
        lines = (line.decode("utf-8") for line in _lines(stream))
        rows = csv.reader(lines, strict=True)
        columns = next(rows, None)
        if not columns or len(set(columns)) != len(columns):
            raise ExchangeError("E_FILES_REFUSED", "no header")
        for row in rows:
            if len(row) != len(columns):
                raise ExchangeError("E_FILES_REFUSED", f"row {rows.line_num} has another number of cells")
            yield {name: cell.removeprefix(_APOSTROPHE) for name, cell in zip(columns, row, strict=True)}
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExchangeError("E_FILES_REFUSED", f"no CSV: {type(error).__name__}") from None


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    for number, line in enumerate(stream):
        yield line.removeprefix(_BYTE_ORDER_MARK) if number == 0 else line


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _structured(value: Any) -> str:
    """Bytes as base64, everything with parts as JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return json.dumps(value, ensure_ascii=False, default=str)
