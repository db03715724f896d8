"""CPU of one admission worker per legal-entity record, all checks on: `python -m tests.bench.bench_admission`.

A real worker process on the embedded Kafka. The backlog becomes readable at one moment (one transaction of the
publisher), after a warm-up; CPU is user and system time of the process from then until the registry holds everything.
Records are generated rows of the company register, each with a key of its own and six headers as our intake sends them.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.client.partitioner import partition_of
from tests.harness.kafka.admission import INBOX, REGISTRY, AdmissionHarness, Outgoing, companies, variants

PARTITIONS = 4
WARM_UP = 20_000
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_megabytes(pid: int) -> float:
    """The greatest resident size of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Bench:
    """The backlogs and the clock."""

    def __init__(self, harness: AdmissionHarness) -> None:
        self._harness = harness
        self._rows = list(companies(2_000))
        self._sent = 0

    def round(self, records: int) -> tuple[float, float]:
        """(CPU microseconds per record, records a second) for a backlog of `records` new keys."""
        assert self._harness.worker is not None
        pid = self._harness.worker.pid
        before = self._held()
        backlog = list(self._backlog(records))
        started: list[float] = []

        def mark() -> None:
            threading.Event().wait(2)  # until what the publisher flushed has been fetched and forgotten
            started.extend((cpu_seconds(pid), time.monotonic()))

        self._harness.write(backlog, before_commit=mark)
        while self._held() - before < records:
            threading.Event().wait(0.02)
        used, took = cpu_seconds(pid) - started[0], time.monotonic() - started[1]
        return used / records * 1e6, records / took

    def _backlog(self, records: int) -> list[Outgoing]:
        found: list[Outgoing] = []
        for row in variants(self._rows, records, self._sent):
            key = row["credit_code"].encode()
            sequence = b"%d" % (1_700_000_000_000 + self._sent + len(found))
            headers = [
                ("ce_specversion", b"1.0"),
                ("ce_id", b"%032x" % (self._sent + len(found))),
                ("ce_type", b"legal-entity.registration"),
                (
                    "ce_time",
                    b"2026-11-24T00:%02d:%02d.%03dZ"
                    % ((len(found) // 60_000) % 60, len(found) // 1000 % 60, len(found) % 1000),
                ),
                ("content-type", b"application/avro"),
                ("ce_sequence", sequence),
            ]
            found.append((INBOX, key, self._harness.encode(row), partition_of(key, PARTITIONS), headers))
        self._sent += records
        return found

    def _held(self) -> int:
        """Offsets of the registry so far: records and the few markers of transactions."""
        places = [(str(REGISTRY), partition) for partition in range(PARTITIONS)]
        return sum(self._harness.admin.end_offsets(places).values())


def main() -> None:
    """Print every round and the median."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=100_000, help="records a round")
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder) / "kafka").start() as kafka:
        harness = AdmissionHarness(Path(folder), kafka, PARTITIONS)
        harness.start("bench")
        bench = Bench(harness)
        bench.round(WARM_UP)
        costs = []
        for number in range(asked.rounds):
            cost, rate = bench.round(asked.n)
            costs.append(cost)
            print(f"round {number + 1}: {cost:.2f} µs of CPU a record, {rate:,.0f} records/s")
        assert harness.worker is not None
        peak = peak_megabytes(harness.worker.pid)
        books = harness.books()
        print(f"median {statistics.median(costs):.2f} µs ({min(costs):.2f}-{max(costs):.2f}), peak {peak:.0f} MB")
        print(f"books: {books.admitted} admitted, {books.quarantined} quarantined, difference {books.difference}")
        harness.stop()


if __name__ == "__main__":
    main()
