"""CPU of a worker that rebuilds its state from Kafka after `kill -9`: `python -m tests.bench.bench_restart`.

Real workers on the embedded Kafka, fetching included: user and system time of the process from its start until it is
ready, without what a start on empty topics takes. Admission remembers every key of the registry; delivery remembers for
each key who holds it (one scoped share). Ends with status 1 when a restart costs more than 20 s of CPU per 10^6 keys.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.ledger.state.ledger_state import Condition
from tests.bench import bench_admission, bench_delivery
from tests.harness.kafka.admission import AdmissionHarness
from tests.harness.kafka.delivery import EIGHT, DeliveryHarness

BOUND_SECONDS = 20.0
MILLION = 1_000_000
PARTITIONS = 4
_CHUNK = 100_000


Restart = Callable[[], float]
"""Kills the worker, starts it again and gives the CPU seconds until it is ready."""
Stop = Callable[[], int]


def admission(folder: Path, kafka: EmbeddedKafka, keys: int) -> tuple[Restart, Stop]:
    """Fills a registry: how to restart the worker, and how to end it."""
    harness = AdmissionHarness(folder, kafka, PARTITIONS)

    def start() -> float:
        harness.start("restart")
        assert harness.worker is not None
        return bench_admission.cpu_seconds(harness.worker.pid)

    empty = start()
    bench = bench_admission.Bench(harness)
    for _ in range(keys // _CHUNK):
        bench.round(_CHUNK)

    def again() -> float:
        harness.stop(signal.SIGKILL)
        return start() - empty

    return again, harness.stop


def delivery(folder: Path, kafka: EmbeddedKafka, keys: int) -> tuple[Restart, Stop]:
    """The same for delivery, with one scoped share that holds every record."""
    harness = DeliveryHarness(folder, kafka, PARTITIONS)
    harness.allow_own()
    everywhere = Condition("region", "prefix", ("3",))
    harness.share(bench_delivery.SHARE, EIGHT, scope=(everywhere,))

    def start() -> float:
        seen = harness.log().count("line.restored") if (folder / "worker.log").exists() else 0
        harness.start()
        harness.until(lambda: harness.log().count("line.restored") - seen == PARTITIONS)
        assert harness.worker is not None
        return bench_delivery.cpu_seconds(Path(f"/proc/{harness.worker.pid}/stat"))

    empty = start()
    harness.until(lambda: harness.joined(bench_delivery.SHARE))
    bench = bench_delivery.Bench(harness, kafka.pid)
    for _ in range(keys // _CHUNK):
        bench.round(_CHUNK)

    def again() -> float:
        harness.stop(signal.SIGKILL)
        return start() - empty

    return again, harness.stop


def main() -> int:
    """Print every restart of both lines."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=500_000, help="keys")
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    worst = 0.0
    for fill in (admission, delivery):
        with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder) / "kafka").start() as kafka:
            restart, stop = fill(Path(folder), kafka, asked.n)
            costs = sorted(restart() * MILLION / asked.n for _ in range(asked.rounds))
            stop()
            worst = max(worst, costs[-1])
            print(f"{fill.__name__}: {', '.join(f'{cost:.1f}' for cost in costs)} s of CPU per 10^6 keys", flush=True)
    return int(worst > BOUND_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
