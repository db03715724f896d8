"""What a comparison costs when nothing has changed: CPU a row of this process, all in: map, encode, hash, look up.

Run: `python -m tests.bench.bench_comparison [ROWS]` (200,000). Rows come from a generator, whose own time is left out,
as the database's part would be. Prints µs a row of the first reading, which sends everything into nothing, and of the
second, which sends nothing; and the memory that the second takes more.
"""

import datetime
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.market_regulation.registrations import registrations
from exchange.avro.lock import SchemaRepository
from exchange.connect.reading import Cursor, Page, SourceRow
from exchange.intake.compare import Order
from exchange.names import RecordType
from exchange.observe import logs
from exchange.settings import Settings
from tests.harness.memory.source import SourceAtWork

BOUND_MICROS = 12.0
"""CPU a row that the second reading may take."""
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


def measure(folder: Path, rows: int) -> tuple[float, float, int, int]:
    """µs a row of the first and of the second reading, records that the second sent, and bytes that it took more."""
    source = SourceAtWork(folder, registrations.map)
    source.schema = SchemaRepository.load(Settings().schemas).latest(RecordType("legal-entity.registration"))
    reader, inbox = GeneratedRows(rows), Nowhere()
    source.reader, source.inbox = reader, inbox  # type: ignore[assignment]
    line = source.open()
    micros, sent, memory = [], [], []
    try:
        for _ in range(2):
            before, reader.spent, already = time.process_time(), 0.0, inbox.sent
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            line._steps.comparer.compare(Order(), True, threading.Event(), lambda: None)
            micros.append((time.process_time() - before - reader.spent) / rows * 1e6)
            sent.append(inbox.sent - already)
            memory.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) * 1024)
    finally:
        line.close()
    return micros[0], micros[1], sent[1], memory[1]


@pytest.mark.bench
def test_a_comparison_of_unchanged_rows_stays_cheap(tmp_path: Path) -> None:
    _, second, sent, _ = measure(tmp_path, 100_000)
    assert sent == 0
    assert second < BOUND_MICROS


if __name__ == "__main__":
    logs.configure("warning")
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as place:
        first, second, sent, more = measure(Path(place), number)
    print(f"{number:,} rows: first reading {first:.2f} µs a row; second {second:.2f} µs, {sent} sent, {more:,} B more")
