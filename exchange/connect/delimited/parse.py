"""The whole way: the rows of one open file."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from exchange.connect.delimited.encoding import MARK_BYTES, Encoding, choose, prove_utf8
from exchange.connect.delimited.header import read_header
from exchange.connect.delimited.lines import LONGEST_LINE, Line, Read, Unreadable, lines_of, stretches
from exchange.connect.delimited.quotes import Grammar
from exchange.connect.delimited.rows import AnyRow, RowReader
from exchange.errors import ExchangeError

_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
_TOO_LONG = Unreadable(f"longer than {LONGEST_LINE} bytes", "")


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written, as its connector declares it."""

    encoding: str | None
    """Python's name of it (`check_declared`); None: a byte order mark says it, or the file proves to be UTF-8."""
    delimiter: str
    key: tuple[str, ...]
    """Columns that identify a row; may be empty."""
    line_breaks: bool
    """Whether quoted cells may hold line breaks."""


def rows(file: BinaryIO, compressed: bool, form: Form, sequence: int) -> Iterator[AnyRow]:
    """Every row of a file behind its header, in order. Memory does not grow with the file.

    Raises ExchangeError: E_CONNECTOR when header or encoding are not as declared, before the first row;
    E_SOURCE_UNREACHABLE when the file is empty or a compressed one is damaged. OSError of reading goes through.
    """
    grammar = Grammar(form.delimiter)
    reader: RowReader | None = None
    try:
        encoding, found = _decided(file, compressed, form)
        for stretch in found:
            lines: list[Line] = [_TOO_LONG] if stretch is None else lines_of(stretch, encoding)
            if reader is None:
                reader = RowReader(read_header(lines[0], grammar, form.key), grammar, form.line_breaks, sequence)
                lines = lines[1:]
            yield from reader.read(lines)
    except _DAMAGED:
        where = reader.lines if reader else 0
        raise ExchangeError("E_SOURCE_UNREACHABLE", f"the .gz file is damaged or cut off behind line {where}") from None
    if reader is None:
        raise ExchangeError("E_SOURCE_UNREACHABLE", "the file is empty")
    yield from reader.read([], final=True)


def _decided(file: BinaryIO, compressed: bool, form: Form) -> tuple[Encoding, Iterator[bytes | None]]:
    """The encoding of the file, and its stretches. Reads the file before when it has to prove its encoding."""
    start, read = _begun(file, compressed)
    encoding = choose(start, form.encoding)
    if not encoding.certain:
        prove_utf8(lambda: _readable(stretches(*_begun(file, compressed), encoding)))
        start, read = _begun(file, compressed)
    return encoding, stretches(start, read, encoding)


def _begun(file: BinaryIO, compressed: bool) -> tuple[bytes, Read]:
    """The first bytes of the text, and the function that reads on."""
    file.seek(0)
    # read1 gives what it has: a damage later in the file does not take back what was decompressed before it
    read = gzip.GzipFile(fileobj=file, mode="rb").read1 if compressed else file.read
    start = b""
    while len(start) < MARK_BYTES and (more := read(MARK_BYTES)):
        start += more
    return start, read


def _readable(found: Iterator[bytes | None]) -> Iterator[bytes]:
    """The stretches up to a damage, which the reading itself will report."""
    try:
        yield from (stretch for stretch in found if stretch is not None)
    except _DAMAGED:
        return
