"""What a comparison costs when nothing has changed: CPU a row of this process, all in: read, driver, memory, look up.

    python -m tests.bench.bench_comparison [ROWS] [--table]

ROWS is 200,000. The rows come from a generator, whose own time is left out, or (`--table`) from a PostgreSQL beside
this process, whose reading and driver count. Prints µs a row of the first reading, which sends everything into
nothing, and of the second, which sends nothing; how much memory the second takes more than the first, and the most.
"""

import contextlib
import datetime
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.market_regulation.registrations import registrations
from exchange.avro.lock import SchemaRepository
from exchange.connect.reading import Cursor, Page, Reader, SourceRow
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.intake.compare import Order
from exchange.names import RecordType
from exchange.observe import logs
from exchange.settings import ConnectorSettings, Settings
from tests.harness import source_tables
from tests.harness.memory.source import SourceAtWork

BOUND_MICROS = 12.0
"""CPU a row that the second reading may take."""
_FILL = """
INSERT INTO registrations
SELECT '91349900EX' || lpad(n::text, 8, '0'), '安徽省第' || n || '号农业科技发展有限责任公司',
    '1130', DATE '2020-05-06', '张某', '1,200.5(万元)', NULL, 'CNY',
    repeat('农作物种植、销售；农业机械租赁；农业技术咨询服务。', 1 + (n % 3)::int),
    '340800', '安徽省安庆市某县某镇某村' || n || '号', '1',
    '安徽省市场监督管理局', '11340000EXCH00018B', NULL, NULL, NULL, false,
    TIMESTAMPTZ '2020-01-01 00:00:00+00' + n * INTERVAL '1 second'
FROM generate_series(0, :last) n
"""
_DAY = datetime.date(2020, 5, 6)
_CHANGED = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


def row(number: int) -> SourceRow:
    """A row of the register of the usual size."""
    values: dict[str, Any] = {
        "credit_code": f"91349900EX{number:08d}",
        "name": f"安徽省第{number}号农业科技发展有限责任公司",
        "entity_type": "1130",
        "established": _DAY,
        "legal_representative": "张某",
        "capital_text": "1,200.5(万元)",
        "capital_amount": None,
        "capital_currency": "CNY",
        "business_scope": "农作物种植、销售；农业机械租赁；农业技术咨询服务。" * (1 + number % 3),
        "region": "340800",
        "address": f"安徽省安庆市某县某镇某村{number}号",
        "status": "1",
        "registration_authority": "安徽省市场监督管理局",
        "authority_code": "11340000EXCH00018B",
        "withdrawn": False,
        "updated_at": _CHANGED,
    }
    return SourceRow(values, number, False, f'["{values["credit_code"]}"]')


class GeneratedRows:
    """A reader of generated rows. `spent`: CPU seconds that making them took, which is not the line's."""

    fingerprint = "generated"
    brings_all = True
    waiting = False

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.spent = 0.0

    def page(self, cursor: Cursor, limit: int) -> Page | None:
        """Nothing new."""
        return None

    def due(self, cursor: Cursor | None) -> bool:
        """Never, once read."""
        return cursor is None

    def whole(self, limit: int) -> Iterator[Page]:
        """All rows, in pages."""
        for first in range(0, self._rows, limit):
            start = time.process_time()
            page = Page([row(number) for number in range(first, min(first + limit, self._rows))], {"at": 1})
            self.spent += time.process_time() - start
            yield page

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(slots=True)
class Measured:
    """Of the first and of the second reading: µs of CPU a row, records sent, and the most memory until then, bytes."""

    rows: int = 0
    micros: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    most_memory: list[int] = field(default_factory=list)


class Nowhere:
    """An inbox that keeps nothing but a count."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, *_: object) -> None:
        """As the producer."""
        self.sent += 1

    def flush(self, _deadline: object) -> None:
        """As the producer."""

    def close(self) -> None:
        """As the producer."""


def sql_reader(address: str, rows: int) -> Reader:
    """A reader of the register's own table, filled with so many rows; the table is made anew."""
    source_tables.execute(address, "DROP TABLE IF EXISTS registrations")
    source_tables.create(address, "market-regulation")
    source_tables.execute(address, "ALTER TABLE registrations SET UNLOGGED")
    source_tables.execute(address, _FILL, last=rows - 1)
    declared = registrations.reads
    return declared.reader(ConnectorSettings(database=SecretStr(address)))


def measure(folder: Path, reader: Reader) -> Measured:
    """The cost of two readings of what `reader` gives."""
    source = SourceAtWork(folder, registrations.map)
    source.schema = SchemaRepository.load(Settings().schemas).latest(RecordType("legal-entity.registration"))
    inbox = Nowhere()
    source.reader, source.inbox = reader, inbox  # type: ignore[assignment]
    line = source.open()
    found = Measured()
    try:
        for _ in range(2):
            before, generated, already = time.process_time(), _spent(reader), inbox.sent
            line._steps.comparer.compare(Order(), True, threading.Event(), lambda: None)
            spent = time.process_time() - before - (_spent(reader) - generated)
            found.rows = line._memory.compared.rows if line._memory.compared else 0
            found.micros.append(spent / found.rows * 1e6)
            found.sent.append(inbox.sent - already)
            found.most_memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    finally:
        line.close()
        reader.close()
    return found


def _spent(reader: Reader) -> float:
    return reader.spent if isinstance(reader, GeneratedRows) else 0.0


@pytest.mark.bench
def test_a_comparison_of_unchanged_rows_stays_cheap(tmp_path: Path) -> None:
    found = measure(tmp_path, GeneratedRows(100_000))
    assert found.sent[1] == 0
    assert found.micros[1] < BOUND_MICROS


@pytest.mark.bench
def test_a_comparison_of_an_unchanged_table_costs_no_more_than_12_microseconds_a_row_with_driver_and_reading(
    tmp_path: Path, postgres: EmbeddedPostgres, unique: str
) -> None:
    found = measure(tmp_path, sql_reader(postgres.database(unique), 100_000))
    assert found.sent[1] == 0
    assert found.micros[1] < BOUND_MICROS


def main(rows: int, of_table: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as open_:
        reader: Reader = GeneratedRows(rows)
        if of_table:
            server = open_.enter_context(EmbeddedPostgres(Path(place) / "postgres").start())
            reader = sql_reader(server.database("bench"), rows)
        found = measure(Path(place) / "state", reader)
    (first, second), (_, sent), (most, more) = found.micros, found.sent, found.most_memory
    print(
        f"{found.rows:,} rows: first reading {first:.2f} µs a row; second {second:.2f} µs, {sent} sent,"
        f" {more - most:,} B more, at most {more >> 20} MiB"
    )


if __name__ == "__main__":
    logs.configure("warning")
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(numbers[0] if numbers else 200_000, "--table" in sys.argv)
