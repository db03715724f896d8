"""Files of a department for tests, and what a whole reading makes of them. Time passes only when it is told to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exchange.connect.files import FileReader, csv_file
from exchange.connect.reading import Cursor, FaultyRow, SourceRow
from exchange.connect.regular_file import Rest
from exchange.errors import ExchangeError


class Looks:
    """A clock for the looks at a file; waiting turns it on at once, and may do more."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits = 0

    def pause(self, seconds: float) -> None:
        self.waits += 1
        self.now += seconds

    def rest(self) -> Rest:
        return Rest(lambda: self.now, self.pause)


@dataclass
class Read:
    """What a reading gave."""

    rows: list[SourceRow] = field(default_factory=list)
    faults: list[FaultyRow] = field(default_factory=list)
    cursors: list[Cursor] = field(default_factory=list)
    error: ExchangeError | None = None

    @property
    def cells(self) -> list[list[Any]]:
        return [list(row.values.values()) for row in self.rows]

    @property
    def first(self) -> list[Any]:
        """The first cell of each row."""
        return [row[0] for row in self.cells]

    @property
    def aside(self) -> list[str | None]:
        return [row.place for row in self.faults]

    @property
    def reasons(self) -> str:
        return "; ".join(str(row.error.detail) for row in self.faults)


def reader_of(path: Path, looks: Looks | None = None, **declared: Any) -> FileReader:
    """A reader of the file at `path`, declared by the words of `csv_file`."""
    return FileReader(csv_file(**declared), path, (looks or Looks()).rest())


def read_all(reader: FileReader, limit: int = 500) -> Read:
    """A whole reading, with the error that broke it off."""
    found = Read()
    try:
        for page in reader.whole(limit):
            assert len(page.rows) <= limit
            found.rows += [row for row in page.rows if isinstance(row, SourceRow)]
            found.faults += [row for row in page.rows if isinstance(row, FaultyRow)]
            found.cursors.append(page.cursor)
    except ExchangeError as error:
        found.error = error
    return found


def read(folder: Path, content: bytes | str, **declared: Any) -> Read:
    """A whole reading of a file with `content`, which is text in UTF-8 or bytes."""
    path = folder / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_all(reader_of(path, **declared))
