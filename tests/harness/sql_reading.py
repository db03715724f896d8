"""Reads a declared table or query as the intake line does: the whole first, then pass after pass along the cursor."""

from collections.abc import Callable, Iterable

from exchange.clock import Deadline
from exchange.connect.reading import Cursor, FaultyRow, SourceRow
from exchange.connect.sql.reader import SqlReader
from exchange.connect.tables import Query, Table
from exchange.settings import ConnectorSettings

Rows = list[SourceRow | FaultyRow]


class Reading:
    """One process of a source. `seen` and `faults` hold what came over all readings."""

    def __init__(self, declared: Table | Query, address: str, cursor: Cursor | None = None, limit: int = 2) -> None:
        reader = declared.reader(ConnectorSettings(database=address))  # type: ignore[arg-type]
        assert isinstance(reader, SqlReader)
        self.reader = reader
        self.cursor = cursor
        self.limit = limit
        self.seen: list[SourceRow] = []
        self.faults: list[FaultyRow] = []

    def whole(self) -> Rows:
        """A whole reading, and the cursor behind it."""
        rows: Rows = []
        for page in self.reader.whole(self.limit):
            assert len(page.rows) <= self.limit
            rows += page.rows
            self.cursor = page.cursor
        return self._keep(rows)

    def new(self) -> Rows:
        """One pass along the cursor; the first is a whole reading."""
        if self.reader.due(self.cursor):
            return self.whole()
        assert self.cursor is not None
        rows: Rows = []
        while (page := self.reader.page(self.cursor, self.limit)) is not None:
            rows += page.rows
            self.cursor = page.cursor
        return self._keep(rows)

    def until(self, reached: Callable[[], bool], seconds: float = 30) -> None:
        """Passes until `reached`. Fails when that takes too long."""
        deadline = Deadline.after(seconds)
        while not reached():
            assert not deadline.passed, [row.values for row in self.seen]
            self.new()

    def restarted(self, declared: Table | Query, address: str) -> "Reading":
        """Another process that goes on with the cursor of this one."""
        self.close()
        return Reading(declared, address, self.cursor, self.limit)

    def values(self, column: str) -> set[object]:
        """What was seen of a column."""
        return {row.values[column] for row in self.seen}

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()

    def _keep(self, rows: Rows) -> Rows:
        self.seen += [row for row in rows if isinstance(row, SourceRow)]
        self.faults += [row for row in rows if isinstance(row, FaultyRow)]
        return rows


Start = Callable[..., Reading]
"""Starts a reading, as the arguments of `Reading` say, and ends it with the test."""


def column(rows: Iterable[SourceRow | FaultyRow], name: str) -> list[object]:
    """A column of rows that could be read, in their order."""
    return [row.values[name] for row in rows if isinstance(row, SourceRow)]
