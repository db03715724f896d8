"""How fast a sink fills a table: `python -m tests.bench.bench_handover`. Starts a Kafka and a PostgreSQL.

A share of registrations with all of their fields, every key new. The sink is `exchange run` as a process of its own;
its rate counts from the first batch that its progress shows to the last one. Beside it, in the same round and the same
PostgreSQL, the plain loop that somebody would write: `executemany` of an upsert of the same records, 500 to a
transaction, out of memory and without Kafka, decoding and progress. Trust the ratio: both meet the same machine.

Ends with status 1 when the median ratio is below the bound, or a table does not hold every record.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.catalogue.load import load
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import exchange_command
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.record import frame
from exchange.settings import Settings
from tests.harness.distinct_records import Distinct
from tests.harness.kafka.sink import RECORD_TYPE, SHARE_SCHEMA_ID, TOKEN, BrokerService, Desk
from tests.harness.process_memory import memory_of

BOUND_RATIO = 0.4
"""Of the plain loop's rate."""
PLAIN_RECORDS = 500
_OWNER = "taxation"
_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_SECONDS = 0.01
_LONGEST_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Round:
    """Records a second of both, microseconds of CPU that the sink took for a record, and its memory at most."""

    sink: float
    plain: float
    cost: float
    most: int

    @property
    def ratio(self) -> float:
        """The sink's rate in parts of the plain loop's."""
        return self.sink / self.plain


class Bench:
    """Shares, tables and the clock."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka, postgres: EmbeddedPostgres, records: int) -> None:
        self._folder, self._kafka, self._postgres = folder, kafka, postgres
        self._admin_connection = Connection.of(kafka.admin_settings())
        self._admin = Admin(self._admin_connection)
        self._secret = folder / "secret"
        self._secret.write_text("a-secret-of-the-bench", encoding="utf-8")
        self._secret.chmod(0o600)
        self._admin.set_secret(_OWNER, "a-secret-of-the-bench")
        (folder / "token").write_text(TOKEN, encoding="utf-8")
        self._schema: dict[str, Any] = SchemaRepository.load(Settings().schemas).latest(RECORD_TYPE).schema
        codec = Codec(self._schema)
        rows = Distinct(load(Settings().catalogue)).records(RECORD_TYPE, records)
        self._encoded = [(row["credit_code"], frame(SHARE_SCHEMA_ID) + codec.encode(row)) for row in rows]
        self._rows = [codec.decode(value[5:]) for _, value in self._encoded]

    def round(self, number: int) -> Round:
        """One share into one table, and the same records by the plain loop."""
        with closing(BrokerService({SHARE_SCHEMA_ID: self._schema})) as service:
            name = f"bench-{number}"
            kafka = self._kafka.settings(_OWNER, self._secret)
            desk = Desk(name, kafka, self._postgres.database(name), service, self._admin_connection)
            desk.open(self._admin)
            self._admin.grant(desk.reads(_OWNER))
            desk.send(*self._encoded)
            environment = desk.environment(kafka, str(self._folder / "token"))
            child = ChildProcess(
                Command(
                    "sink", exchange_command("run", "taxation.companies"), self._folder / f"{name}.log", environment
                )
            )
            child.start()
            try:
                rate, cost, most = self._watch(desk, child)
            finally:
                child.kill()
            with desk.connect() as connection:
                assert count(connection, "SELECT count(*) FROM companies") == len(self._rows)
                return Round(rate, self._plain(connection), cost, most)

    def _watch(self, desk: Desk, child: ChildProcess) -> tuple[float, float, int]:
        """Records a second, CPU microseconds a record, bytes at most."""
        question = "SELECT coalesce(sum(upserted), 0) FROM exchange_progress"
        until = time.monotonic() + _LONGEST_SECONDS
        first = began = used = 0.0
        with desk.connect() as connection:
            while time.monotonic() < until:
                threading.Event().wait(_LOOK_SECONDS)
                if not began and "exchange_progress" not in desk.tables():
                    continue
                done = count(connection, question)
                if done and not began:
                    first, began, used = done, time.monotonic(), cpu_seconds(child.pid)
                if done == len(self._rows):
                    took, cpu = time.monotonic() - began, cpu_seconds(child.pid) - used
                    left = done - first
                    return left / took, cpu / left * 1e6, memory_of(child.pid).most
        raise AssertionError(child.log_tail())

    def _plain(self, connection: psycopg.Connection[tuple[Any, ...]]) -> float:
        """Records a second of the plain loop, into a table of its own that is like the sink's."""
        names = [field["name"] for field in self._schema["fields"]]
        connection.execute("CREATE TABLE plain (LIKE companies INCLUDING ALL)")
        statement = upsert("plain", names, "credit_code")
        rows = [tuple(plain(row[name]) for name in names) for row in self._rows]
        connection.autocommit = False
        began = time.monotonic()
        for start in range(0, len(rows), PLAIN_RECORDS):
            with connection.cursor() as cursor:
                cursor.executemany(statement, rows[start : start + PLAIN_RECORDS])
            connection.commit()
        took = time.monotonic() - began
        connection.autocommit = True
        assert count(connection, "SELECT count(*) FROM plain") == len(rows)
        return len(rows) / took


def plain(value: Any) -> Any:
    """A value as psycopg takes it."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


def upsert(table: str, names: Sequence[str], key: str) -> sql.Composed:
    """The statement that puts one row."""
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    values = sql.SQL(", ").join([sql.Placeholder()] * len(names))
    others = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names if name != key]
    form = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}")
    return form.format(sql.Identifier(table), columns, values, sql.Identifier(key), sql.SQL(", ").join(others))


def count(connection: psycopg.Connection[tuple[Any, ...]], question: str) -> int:
    """The number that a question answers."""
    row = connection.execute(question).fetchone()  # type: ignore[call-overload]
    return int(row[0])


def cpu_seconds(pid: int | None) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> int:
    """Print every round and the median."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=200_000, help="records a round")
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    rounds = []
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedKafka(Path(folder) / "kafka").start() as kafka,
        EmbeddedPostgres(Path(folder) / "postgres").start() as postgres,
    ):
        bench = Bench(Path(folder), kafka, postgres, asked.n)
        for number in range(1, asked.rounds + 1):
            done = bench.round(number)
            rounds.append(done)
            print(
                f"round {number}: sink {done.sink:,.0f} records/s ({done.cost:.1f} µs of CPU, "
                f"{done.most / 1e6:.0f} MB), plain loop {done.plain:,.0f} records/s, ratio {done.ratio:.2f}",
                flush=True,
            )
    ratio = statistics.median(done.ratio for done in rounds)
    print(f"median: sink {statistics.median(done.sink for done in rounds):,.0f} records/s, ratio {ratio:.2f}")
    return int(ratio < BOUND_RATIO)


if __name__ == "__main__":
    sys.exit(main())
