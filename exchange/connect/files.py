"""Delimited files (CSV and the like) as sources: the whole file is read whenever it changes."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from exchange.connect.delimited import parse
from exchange.connect.delimited.encoding import check_declared
from exchange.connect.delimited.parse import Form
from exchange.connect.delimited.rows import AnyRow
from exchange.connect.reading import Cursor, Page, Reader
from exchange.connect.regular_file import Rest, Version, current, opened, version_of
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings
from exchange.stages import Stage

_AHEAD_SECONDS = 60.0
"""How far a file's time may lie ahead without a word: two clocks are never one."""
_log = structlog.get_logger("exchange.connect")


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A delimited file with a header line, plain or `.gz`. Its place comes from the settings."""

    form: Form
    changes: bool

    def reader(self, settings: ConnectorSettings) -> Reader:
        """A reader of the file. Raises ExchangeError(E_SETTINGS) when no path is set."""
        if settings.path is None:
            raise ExchangeError("E_SETTINGS", "the path of the connector's file is not set")
        return FileReader(self, settings.path)


def csv_file(
    *,
    key: str | tuple[str, ...] = (),
    encoding: str | None = None,
    delimiter: str = ",",
    line_breaks: bool = False,
    changes: bool = False,
) -> CsvFile:
    """A delimited file named by EXCHANGE_CONNECTOR__PATH, with the names of its columns in the first line.

    key: columns that identify a row in the file. Without them, the natural key of its record does.
    encoding: as Python calls it (`gb18030`, `utf-16`). Without it, the byte order mark counts, or the file must prove
    to be UTF-8, which is never guessed.
    delimiter: one character between two cells.
    line_breaks: whether quoted cells may hold line breaks. A quoted cell that does not end on its line is otherwise set
    aside. How far one bad quotation mark reaches, `exchange.connect.delimited.quotes` says.
    changes: the file brings only what has changed. Without it the file is the whole table, and a row that is in it no
    more is withdrawn.

    A line that is no row of the header (another number of cells, a stray quotation mark, bytes that are no text) is set
    aside by its number. The sequence of the rows is the time of the file's last change.

    Raises ExchangeError(E_CONNECTOR) for a delimiter or an encoding that cannot be used.
    """
    if len(delimiter) != 1 or delimiter.isalnum() or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise ExchangeError("E_CONNECTOR", "the delimiter of a file is one ASCII character, no letter, digit or quote")
    known = None if encoding is None else check_declared(encoding)
    columns = (key,) if isinstance(key, str) else tuple(key)
    return CsvFile(Form(known, delimiter, columns, line_breaks), changes)


class FileReader:
    """Reads a file as a whole, again whenever it has changed. A file knows no cursor: there are no single changes."""

    def __init__(self, declaration: CsvFile, path: Path, rest: Rest | None = None) -> None:
        self._form = declaration.form
        self._path = path
        self._rest = rest or Rest()
        self._refused: tuple[Version, ExchangeError] | None = None
        """A version that cannot be read, and why. It does not mend by reading it again."""
        self._warned: Version | None = None
        self.brings_all = not declaration.changes
        form = json.dumps([1, *astuple(declaration.form)])  # 1: the grammar; another one reads the file again
        self.fingerprint = hashlib.sha256(form.encode()).hexdigest()
        self.waiting = False

    def page(self, cursor: Cursor, limit: int) -> Page | None:  # noqa: ARG002 - there is nothing along a cursor
        """Nothing: what is new in a file is found by a whole reading."""
        return None

    def due(self, cursor: Cursor | None) -> bool:
        """Whether the file is another one than that of `cursor`, and at rest.

        Raises ExchangeError: E_SOURCE_UNREACHABLE when it is not there, E_SETTINGS when its path leads to no file.
        """
        version = current(self._path)
        changed = cursor != version.cursor()
        at_rest = self._rest.at_rest(version)
        self.waiting = changed and not at_rest
        return changed and at_rest

    def whole(self, limit: int) -> Iterator[Page]:
        """Every row of the file, in pages of `limit`. Only the last page has a cursor.

        A file that is being written is away; so is one that changes, or is replaced, while it is read. Raises
        ExchangeError: E_SOURCE_UNREACHABLE for these, and for an empty file or a damaged .gz, whose rows up to the
        damage are given; E_CONNECTOR for a header or an encoding that is not the declared one, before any row.
        """
        self._rest.wait(self._path)
        self.waiting = False
        with opened(self._path) as (file, version):
            self._warn_of_time_ahead(version)
            rows = self._rows(file, version)
            page: list[AnyRow] = []
            try:
                for row in rows:
                    if len(page) >= limit:
                        self._check_unchanged(file, version)
                        yield Page(page, {})
                        page = []
                    page.append(row)
            except ExchangeError:
                if page:
                    yield Page(page, {})
                raise
            self._check_unchanged(file, version)
            yield Page(page, version.cursor())

    def close(self) -> None:
        """Nothing is held: `whole` closes the file when it ends or is left."""

    def _rows(self, file: BinaryIO, version: Version) -> Iterator[AnyRow]:
        if self._refused is not None and self._refused[0] == version:
            raise self._refused[1]
        compressed = self._path.suffix.lower() == ".gz"
        try:
            yield from parse.rows(file, compressed, self._form, version.sequence)
        except ExchangeError as error:
            self._refused = (version, error)
            raise

    def _check_unchanged(self, file: BinaryIO, version: Version) -> None:
        if version_of(file) != version or current(self._path) != version:
            raise ExchangeError("E_SOURCE_UNREACHABLE", "the file was changed while it was read")

    def _warn_of_time_ahead(self, version: Version) -> None:
        ahead = version.modified / 1e9 - time.time()
        if ahead > _AHEAD_SECONDS and version != self._warned:
            self._warned = version
            _log.warning("connect.file_dated_ahead", stage=Stage.INTAKE_COLLECT, seconds_ahead=round(ahead))
