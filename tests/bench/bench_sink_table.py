"""Rows a second and CPU of a sink's table: `python -m tests.bench.bench_sink_table -n 200000`.

A real PostgreSQL (the embedded one), MariaDB where it is installed, and SQLite; batches of 500 and of 5,000 changes of
records with eight fields, each batch one transaction with its progress, as the handover line applies them. Nothing is
decoded and no receipt is written. CPU is user and system time of this process alone: the database's own is not in it.

Prints one line for each database and size of a batch: the median of the rounds, and what `put` costs again when every
row is there already.
"""

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from exchange.embedded.postgres import EmbeddedPostgres
from exchange.handover.layout import Change, Layout
from exchange.handover.table.target import Batch, SqlTarget
from exchange.names import GrantId
from tests.harness.mariadb import mariadb

GRANT = GrantId("grant-1")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
SCHEMA = {
    "type": "record",
    "name": "Cut",
    "fields": [
        {"name": "credit_code", "type": "string"},
        {"name": "name", "type": "string"},
        {"name": "region", "type": "string"},
        {"name": "established", "type": {"type": "int", "logicalType": "date"}},
        {
            "name": "capital",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}],
        },
        {"name": "updated_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "open", "type": "boolean"},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}


def changes(count: int, size: int) -> Iterator[list[Change]]:
    """Batches of changes, of records of their own."""
    for start in range(0, count, size):
        yield [_change(offset) for offset in range(start, min(start + size, count))]


def _change(offset: int) -> Change:
    code = f"9134998{offset:011}"
    return Change(
        offset,
        code.encode(),
        {
            "credit_code": code,
            "name": f"安徽某某科技有限公司{offset}",
            "region": "340100",
            "established": date(2003, 5, 6),
            "capital": Decimal("1250000.50"),
            "updated_at": NOW,
            "open": True,
            "tags": ["a", "b"],
        },
    )


@contextmanager
def measured() -> Iterator[list[float]]:
    """[seconds, seconds of CPU] of what is inside."""
    found: list[float] = []
    wall, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    yield found
    after = resource.getrusage(resource.RUSAGE_SELF)
    found += [time.perf_counter() - wall, after.ru_utime - used.ru_utime + after.ru_stime - used.ru_stime]


def run(address: str, name: str, count: int, size: int) -> tuple[list[float], list[float]]:
    """What writing new rows costs, and writing them over."""
    target = SqlTarget(name, address, Layout.of(SCHEMA, ("credit_code",), pseudonymous=False))
    grant = GrantId(f"{GRANT}-{name}")
    target.prepare(grant)
    spent = []
    for reading in (1, 2):
        if reading > 1:
            target.read_again(grant, 0, NOW, count)
        batches = [Batch(grant, 0, some, some[-1].offset + 1, NOW, reading=reading) for some in changes(count, size)]
        with measured() as cost:
            for batch in batches:
                target.apply(batch, lambda _: None)
        spent.append(cost)
    target.close()
    return spent[0], spent[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        at = Path(folder)
        databases = {"PostgreSQL": stack.enter_context(EmbeddedPostgres(at / "pg").start()).database("bench")}
        if shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin"):
            (at / "maria").mkdir()
            databases["MariaDB"] = stack.enter_context(mariadb(at / "maria")).database("bench")
        databases["SQLite"] = f"sqlite:///{at / 'bench.sqlite'}"
        for database, address in databases.items():
            for size in (500, 5_000):
                rounds = [run(address, f"t{size}_{turn}", given.n, size) for turn in range(given.rounds)]
                texts = []
                for what, costs in zip(("new", "again"), zip(*rounds, strict=True), strict=True):
                    wall = statistics.median(cost[0] for cost in costs)
                    cpu = statistics.median(cost[1] for cost in costs)
                    texts.append(f"{what} {given.n / wall:>9,.0f} rows/s {cpu / given.n * 1e6:6.1f} µs CPU a row")
                print(f"{database:<11} batches of {size:>5,}: {'   '.join(texts)}", flush=True)


if __name__ == "__main__":
    main()
