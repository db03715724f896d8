"""Workers, publishers and Kafka broken at random over a flow into eight shares: the recount finds nothing wrong.

The short form runs by default; `pytest -m fault -n0 tests/fault` runs the long ones. EXCHANGE_FAULT_SEED repeats a
run; EXCHANGE_FAULT_VERSIONS and EXCHANGE_FAULT_ROUNDS change how long the long form is.
"""

import os
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from exchange.testing.fault_gaps import GapReader
from exchange.testing.fault_ground import PARTITIONS, running
from exchange.testing.fault_plan import Plan
from exchange.testing.fault_storm import Storm, waits_after

pytestmark = pytest.mark.kafka
SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))
VERSIONS = int(os.environ.get("EXCHANGE_FAULT_VERSIONS") or 300_000)
ROUNDS = int(os.environ.get("EXCHANGE_FAULT_ROUNDS") or 30)


def weather(folder: Path, kit: Any, nodes: int, rounds: int, size: int, rate: int) -> None:
    """Storm over a flow, wait for the calm after it, recount."""
    recount, progress = kit
    keys = max(400, size // 40)
    plan = Plan(SEED, size, keys)
    began = time.monotonic()
    print(f"\nfault seed={SEED} nodes={nodes} rounds={rounds} versions={size} keys={keys} rate={rate}", flush=True)
    with running(folder, nodes) as ground, progress(ground) as books:
        ground.workers.until(lambda: books.joined(late=False), 90, "the first shares")
        ground.start_publisher(SEED, size, keys, rate)
        with GapReader(ground.connection, "names", PARTITIONS) as reader:
            storm = Storm(ground, SEED, rounds, size)
            storm.run()
            ground.workers.until(lambda: books.done(plan), 300, "the end of the flow")
        flowed = time.monotonic()
        result = recount(ground, plan, ground.granted_at).run()
        recounted = time.monotonic()
    waits = dict(waits_after(storm, reader.gaps))
    print(
        f"{result.report()}\n  faults: {dict(sorted(storm.counts.items()))}\n"
        f"  ended by themselves: {ground.workers.ended()}\n"
        f"  longest waits of a reader after each kind of fault: {waits}\n"
        f"  seed {SEED}: {rounds} rounds, {size} versions, flow {flowed - began:.0f} s, "
        f"recount {recounted - flowed:.0f} s, {sum(result.faults.values())} wrong",
        flush=True,
    )
    assert result.faults == {}, result.report()
    assert result.sums["share deaths unchanged"] > 0


@pytest.fixture
def blow(recount: Any, progress: Any, out: Any, tmp_path: Path) -> Any:
    def blow(**how: int) -> None:
        with out():
            weather(tmp_path, (recount, progress), **how)

    return blow


def test_kills_lose_double_and_reorder_nothing(blow: Any) -> None:
    blow(nodes=1, rounds=3, size=5_000, rate=1_000)


@pytest.mark.fault
def test_rounds_of_every_fault_lose_double_and_reorder_nothing(blow: Any) -> None:
    blow(nodes=1, rounds=ROUNDS, size=VERSIONS, rate=1_500)


@pytest.mark.fault
def test_killed_nodes_of_kafka_lose_double_and_reorder_nothing_either(blow: Any) -> None:
    blow(nodes=3, rounds=ROUNDS, size=VERSIONS, rate=1_200)
