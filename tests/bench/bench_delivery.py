"""CPU of one delivery worker per legal-entity record: `python -m tests.bench.bench_delivery`.

A real worker process on the embedded Kafka: one unscoped share of 8 fields, books and state on, default transaction
size. The backlog becomes readable at one moment, after a warm-up; CPU is user and system time of the process from then
until the share holds everything. Its parts: the cut alone (the generated function over the same records, producing
nowhere), the rest of the worker's own thread (consume, produce, commit, state, metrics), the client's threads.
The client's threads cost more when others use the machine: trust rounds beside which others took little. Ends with
status 1 when the median is above the bound.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange import names
from exchange.delivery.cut import Holdings, compile_cut
from exchange.delivery.permit import Share
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.client.partitioner import partition_of
from exchange.ledger.state.ledger_state import Terms
from tests.harness.kafka.admission import companies, variants
from tests.harness.kafka.delivery import EIGHT, PROVIDER, REGISTRY, TYPE, DeliveryHarness, Outgoing, headers

BOUND_MICROSECONDS = 14.0
PARTITIONS = 4
WARM_UP = 20_000
SHARE = names.ShareName("bench")
_TICKS = os.sysconf("SC_CLK_TCK")
_FETCHED_SECONDS = 2.0


def cpu_seconds(stat: Path) -> float:
    """User and system time of a process or thread so far."""
    fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def busy_seconds() -> float:
    """What all processes of the machine have used so far."""
    first = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0]
    return sum(map(int, first.split()[1:4])) / _TICKS


@dataclass(frozen=True, slots=True)
class Round:
    """What one backlog cost: microseconds a record, records a second, and how many cores others took meanwhile."""

    cost: float
    own_thread: float
    rate: float
    foreign: float


class Bench:
    """The backlogs and the clock."""

    def __init__(self, harness: DeliveryHarness, broker: int | None) -> None:
        self._harness = harness
        self._broker = Path(f"/proc/{broker}/stat")
        self._rows = list(companies(2_000))
        self._sent = 0

    def round(self, records: int) -> Round:
        """A backlog of `records` new keys."""
        assert self._harness.worker is not None
        before, started = self._held(), []

        def mark() -> None:
            threading.Event().wait(_FETCHED_SECONDS)  # until what was flushed has been fetched and forgotten
            started.append(self._clocks())

        self._harness.write(list(self._backlog(records)), before_commit=mark)
        while self._held() - before < records:
            threading.Event().wait(0.02)
        pairs = zip(self._clocks(), started[0], strict=True)
        worker, own, broker, bench, busy, took = (now - then for now, then in pairs)
        micro = 1e6 / records
        return Round(worker * micro, own * micro, records / took, (busy - worker - broker - bench) / took)

    def _clocks(self) -> tuple[float, ...]:
        assert self._harness.worker is not None
        worker = Path(f"/proc/{self._harness.worker.pid}")
        own = worker / "task" / worker.name / "stat"
        stats = (cpu_seconds(worker / "stat"), cpu_seconds(own), cpu_seconds(self._broker), time.process_time())
        return (*stats, busy_seconds(), time.monotonic())

    def cut_alone(self, records: int) -> float:
        """CPU microseconds a record of the generated function, over distinct records."""
        terms = Terms(TYPE, PROVIDER, EIGHT)
        share = Share(SHARE, 1, terms, names.FIRST_LEDGER_SCHEMA_ID, self._harness.cut_schema(SHARE), False)
        cut = compile_cut(self._harness.schema.id, self._harness.schema.schema, [share], Holdings(), 0)
        batch = [_Consumed(value, key, about) for _, key, value, _, about in self._backlog(records)]
        began = time.process_time()
        cut(batch, _nowhere, None, None)
        return (time.process_time() - began) / records * 1e6

    def _backlog(self, records: int) -> Iterator[Outgoing]:
        for number, row in enumerate(variants(self._rows, records, self._sent), self._sent):
            key = row["credit_code"].encode()
            yield REGISTRY, key, self._harness.encode(row), partition_of(key, PARTITIONS), headers(number)
        self._sent += records

    def _held(self) -> int:
        """Offsets of the share so far: records and the few markers of transactions."""
        places = [(str(names.share_topic(SHARE)), partition) for partition in range(PARTITIONS)]
        return sum(self._harness.admin.end_offsets(places).values())


class _Consumed:
    """A record in memory."""

    __slots__ = ("headers", "key", "value")

    def __init__(self, value: Any, key: Any, about: Any) -> None:
        self.value, self.key, self.headers = (lambda: value), (lambda: key), (lambda: about)


def _nowhere(*_arguments: Any, headers: Any) -> None:
    """Takes what would be produced."""


def main() -> int:
    """Print every round, the median and its parts."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=100_000, help="records a round")
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder) / "kafka").start() as kafka:
        harness = DeliveryHarness(Path(folder), kafka, PARTITIONS)
        harness.allow_own()
        harness.share(SHARE)
        harness.start()
        harness.until(lambda: harness.joined(SHARE))
        bench = Bench(harness, kafka.pid)
        bench.round(WARM_UP)
        rounds = []
        for number in range(asked.rounds):
            rounds.append(bench.round(asked.n))
            cost, rate, foreign = rounds[-1].cost, rounds[-1].rate, rounds[-1].foreign
            print(f"round {number + 1}: {cost:.2f} µs, {rate:,.0f} records/s, others {foreign:.2f} cores", flush=True)
        costs = [done.cost for done in rounds]
        median, own = statistics.median(costs), statistics.median(done.own_thread for done in rounds)
        alone = statistics.median(bench.cut_alone(20_000) for _ in range(asked.rounds))
        print(f"median {median:.2f} µs ({min(costs):.2f}-{max(costs):.2f}), of which: the cut {alone:.2f},", end=" ")
        print(f"the rest of the line's thread {own - alone:.2f}, the client's threads {median - own:.2f}")
        books = harness.books(SHARE)
        print(f"books: {books.taken} taken, {books.forwarded} forwarded, difference {books.difference}")
        harness.stop()
    return int(median > BOUND_MICROSECONDS or books.difference != 0)


if __name__ == "__main__":
    sys.exit(main())
