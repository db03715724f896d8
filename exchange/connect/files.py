"""CSV files as sources: the whole file is read whenever it changes, and at every start of the connector."""

import csv
import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from exchange.connect.reading import Cursor, FaultyRow, Page, Reader, SourceRow
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
        self.waiting = False
        self.brings_all = True
        self.fingerprint = repr(declaration)

    def page(self, cursor: Cursor, limit: int) -> Page | None:  # noqa: ARG002 - the signature is the protocol's
        """None: a file has no cursor."""
        return None

    def due(self, cursor: Cursor | None) -> bool:
        """Whether the file has changed."""
        try:
            modified = self._path.stat().st_mtime_ns
        except OSError as error:
            raise ExchangeError("E_SOURCE_UNREACHABLE", f"the file cannot be read: {type(error).__name__}") from None
        changed = cursor is None or cursor["version"] != modified // _NS_PER_US
        self.waiting = changed and time.time() - modified / 1e9 < _SETTLE_SECONDS  # being written
        return changed and not self.waiting

    def whole(self, limit: int) -> Iterator[Page]:
        """The rows of the file."""
        try:
            version = self._path.stat().st_mtime_ns // _NS_PER_US
            self._file = self._open()
            rows = csv.DictReader(self._file, delimiter=self._declaration.delimiter)
            more = True
            while more:
                found: list[SourceRow | FaultyRow] = [SourceRow(row, version) for row in islice(rows, limit)]
                more = len(found) == limit
                yield Page(found, {"version": version})
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise ExchangeError("E_SOURCE_UNREACHABLE", f"the file cannot be read: {type(error).__name__}") from None
        finally:
            self.close()

    def _open(self) -> IO[str]:
        if self._path.suffix == ".gz":
            return gzip.open(self._path, "rt", encoding=self._declaration.encoding, newline="")
        return self._path.open(encoding=self._declaration.encoding, newline="")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
