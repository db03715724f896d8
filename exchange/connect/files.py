"""CSV files as sources: the whole file is read whenever it changes, and at every start of the connector."""

import csv
import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from exchange.connect.reading import Cursor, Page, Reader, SourceRow
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings

_NS_PER_US = 1000
_SETTLE_SECONDS = 1.0
csv.field_size_limit(1 << 20)


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file with a header line, plain or `.gz`. Its place comes from the settings."""

    encoding: str = "utf-8-sig"
    delimiter: str = ","

    def reader(self, settings: ConnectorSettings) -> Reader:
        """A reader of the file. Raises ExchangeError(E_SETTINGS) when no path is set."""
        if settings.path is None:
            raise ExchangeError("E_SETTINGS", "the path of the connector's file is not set")
        return FileReader(self, settings.path)


def csv_file(encoding: str = "utf-8-sig", delimiter: str = ",") -> CsvFile:
    """A CSV file named by EXCHANGE_CONNECTOR__PATH. The sequence of its rows is the time of the file's last change.

    A row that disappears from the file is not withdrawn: a file cannot say that.
    """
    return CsvFile(encoding, delimiter)


class FileReader:
    """Reads the rows of a file in pages. An interrupted reading goes on at its row, unless the file has changed."""

    def __init__(self, declaration: CsvFile, path: Path) -> None:
        self._declaration = declaration
        self._path = path
        self._file: IO[str] | None = None
        self._rows: Iterator[dict[str, str]] = iter(())
        self._version: int | None = None
        """The version of the file that is open."""
        self._next_row = 0
        self.waiting = False
        self._finished: int | None = None
        """The version that this process has read to its end."""

    def page(self, cursor: Cursor | None, limit: int) -> Page | None:
        """The next rows, or None when the file as it is now has been read to its end."""
        try:
            return self._page(cursor or {}, limit)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            self.close()
            raise ExchangeError("E_SOURCE_UNREACHABLE", f"the file cannot be read: {type(error).__name__}") from None

    def _page(self, cursor: Cursor, limit: int) -> Page | None:
        modified = self._path.stat().st_mtime_ns
        version = modified // _NS_PER_US
        self.waiting = version != self._finished and time.time() - modified / 1e9 < _SETTLE_SECONDS  # being written
        if self.waiting or version == self._finished:
            return None
        going_on = cursor.get("version") == version and not cursor.get("finished")
        self._seek(version, int(cursor["row"]) if going_on else 0)
        rows = [SourceRow(row, version) for row in islice(self._rows, limit)]
        self._next_row += len(rows)
        finished = len(rows) < limit
        if finished:
            self._finished = version
            self.close()
        return Page(rows, {"version": version, "row": self._next_row, "finished": finished})

    def _seek(self, version: int, row: int) -> None:
        if self._file is not None and (self._version, self._next_row) == (version, row):
            return
        self.close()
        self._file = self._open()
        self._rows = csv.DictReader(self._file, delimiter=self._declaration.delimiter)
        self._version, self._next_row = version, row
        next(islice(self._rows, row, row), None)

    def _open(self) -> IO[str]:
        if self._path.suffix == ".gz":
            return gzip.open(self._path, "rt", encoding=self._declaration.encoding, newline="")
        return self._path.open(encoding=self._declaration.encoding, newline="")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
