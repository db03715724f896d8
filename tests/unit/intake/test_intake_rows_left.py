"""How many rows a source has still to read: along its cursor, and of the whole reading that runs."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.connect import table
from exchange.connect.reading import Counting, Cursor, Page
from exchange.connect.sql.reader import SqlReader
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.intake.collect import PAGE_ROWS
from exchange.observe import metrics
from exchange.settings import ConnectorSettings
from tests.harness.mariadb import MariaDb, mariadb
from tests.harness.memory.source import CONNECTOR, TYPE, MemoryReader, SourceAtWork, resident_id
from tests.harness.source_tables import execute, insert_dicts

ROWS = 2 * PAGE_ROWS + 100


class CountingReader(MemoryReader):
    """Counts, and notes what the gauge showed at each page."""

    def __init__(self, source: SourceAtWork) -> None:
        super().__init__(source.table)
        self.counted: list[int] = []
        self.fails: ExchangeError | None = None
        self.shown: list[float | None] = []

    def rows_left(self, cursor: Cursor, most: int) -> int:
        """Those behind the cursor."""
        if self.fails is not None:
            raise self.fails
        at = tuple(cursor["at"])
        self.counted.append(min(sum((row.at, row.key) > at for row in self._table.rows.values()), most))
        return self.counted[-1]

    def page(self, cursor: Cursor, limit: int) -> Page | None:
        """As before."""
        self.shown.append(left("cursor"))
        return super().page(cursor, limit)

    def whole(self, limit: int) -> Iterator[Page]:
        """As before."""
        for page in super().whole(limit):
            yield page
            self.shown.append(left("whole"))


def left(reading: str) -> float | None:
    return metrics.SOURCE_LEFT.read().get((CONNECTOR, TYPE, reading))


@pytest.fixture
def source(tmp_path: Path) -> SourceAtWork:
    source = SourceAtWork(tmp_path / "state", compare="")
    source.table.put("first", resident_id(9_999))
    source.reader = CountingReader(source)
    source.run()
    return source


def reader_of(source: SourceAtWork) -> CountingReader:
    reader = source.reader
    assert isinstance(reader, CountingReader)
    assert isinstance(reader, Counting)
    reader.shown.clear()
    return reader


def fill(source: SourceAtWork, rows: int) -> None:
    for number in range(rows):
        source.table.put(f"{number}", resident_id(number))


def test_rows_left_along_the_cursor_are_shown_while_pages_are_full_and_none_at_the_end(source: SourceAtWork) -> None:
    fill(source, ROWS)
    reader = reader_of(source)
    source.run()
    assert reader.counted == [ROWS - PAGE_ROWS]  # once in a heartbeat's interval, not at each page
    assert ROWS - PAGE_ROWS in reader.shown
    assert left("cursor") == 0


def test_rows_are_not_counted_while_no_page_is_full(source: SourceAtWork) -> None:
    fill(source, PAGE_ROWS - 1)
    reader = reader_of(source)
    source.run()
    assert reader.counted == []
    assert left("cursor") == 0


def test_a_count_that_fails_stops_nothing(source: SourceAtWork) -> None:
    fill(source, ROWS)
    reader_of(source).fails = ExchangeError("E_SOURCE_UNREACHABLE", "statement timeout")
    source.run()
    assert len(source.names()) == ROWS + 1


def test_rows_left_of_a_whole_reading_are_shown_while_it_runs(source: SourceAtWork) -> None:
    fill(source, 2_400)
    source.compare = "start"
    source.run()
    reader = reader_of(source)
    source.run()
    assert reader.shown[:2] == [1_401, 401]
    assert left("whole") is None


def test_a_whole_reading_that_broke_off_leaves_no_rows_left_to_read(source: SourceAtWork) -> None:
    fill(source, 2_400)
    source.compare = "start"
    source.run()
    reader = reader_of(source)
    reader.broken_after = 2
    line = source.open()
    try:
        with pytest.raises(ExchangeError):
            list(line._steps.collector.whole(threading.Event()))
    finally:
        line.close()
    assert reader.shown[:1] == [1_401]
    assert left("whole") is None


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    with mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


def counted(address: str, key: str) -> None:
    """Seven rows, of which two are read at a time."""
    execute(address, "CREATE TABLE people (id varchar(40) PRIMARY KEY, changed integer)")
    reader = table("people", key=key, cursor="changed").reader(ConnectorSettings(database=address))  # type: ignore[arg-type]
    assert isinstance(reader, SqlReader)
    try:
        (empty,) = reader.whole(10)
        at = empty.cursor
        while (page := reader.page(at, 2)) is not None:
            at = page.cursor
        insert_dicts(address, "people", [{"id": f"{number}", "changed": number} for number in range(7)])
        page = reader.page(at, 2)
        assert page is not None
        assert len(page.rows) == 2
        assert reader.rows_left(page.cursor, 100) == 5
        assert reader.rows_left(page.cursor, 3) == 3
        at = page.cursor
        while (page := reader.page(at, 2)) is not None:
            at = page.cursor
        assert reader.rows_left(at, 100) == 0
    finally:
        reader.close()


def test_a_postgresql_counts_what_lies_behind_the_cursor(postgres: EmbeddedPostgres, unique: str) -> None:
    counted(postgres.database(unique), key="id")


def test_a_cursor_that_is_the_key_too_is_counted(postgres: EmbeddedPostgres, maria: MariaDb, unique: str) -> None:
    counted(postgres.database(unique), key="changed")
    counted(maria.database(unique), key="changed")


def test_a_mariadb_counts_what_lies_behind_the_cursor(maria: MariaDb, unique: str) -> None:
    counted(maria.database(unique), key="id")
