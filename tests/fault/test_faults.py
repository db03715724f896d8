"""Workers and a publisher killed over a flow into eight shares: the recount finds nothing wrong.

EXCHANGE_FAULT_SEED repeats a run.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exchange.embedded.kafka import EmbeddedKafka, KafkaOptions
from exchange.testing.fault_ground import SHARES, WORKERS, FaultGround
from exchange.testing.fault_plan import Plan
from exchange.testing.fault_storm import Storm
from exchange.testing.fault_workers import Workers

pytestmark = pytest.mark.kafka
SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))


@contextmanager
def running(folder: Path, nodes: int, workers: tuple[int, ...] = WORKERS) -> Iterator[FaultGround]:
    with EmbeddedKafka(folder / "kafka", KafkaOptions(nodes=nodes)).start() as kafka:
        (folder / "workers").mkdir()
        children = Workers(folder / "workers")
        try:
            ground = FaultGround(kafka, children)
            ground.grant(*(one for one in SHARES if not one.late))
            for number in workers:
                for line in ("admit", "deliver"):
                    ground.start_worker(line, number)
            yield ground
        finally:
            children.close()


def weather(folder: Path, kit: Any, nodes: int, rounds: int, size: int, rate: int) -> None:
    """Storm over a flow, wait for the calm after it, recount."""
    recount, done, joined = kit
    keys = max(400, size // 40)
    plan = Plan(SEED, size, keys)
    print(f"\nfault seed={SEED} nodes={nodes} rounds={rounds} versions={size} keys={keys} rate={rate}", flush=True)
    with running(folder, nodes) as ground:
        ground.workers.until(lambda: joined(ground, False), 90, "the first shares")
        began = time.monotonic()
        ground.start_publisher(SEED, size, keys, rate)
        storm = Storm(ground, SEED, rounds, size)
        storm.run(freezes=rounds > 5)
        ground.workers.until(lambda: done(ground, plan), 240, "the end of the flow")
        flowed = time.monotonic() - began
        result = recount(ground, plan, storm.granted_at).run()
        ends = ground.workers.ends
    print(result.report(), f"\n  faults: {storm.counts}; ended by themselves: {ends}; flow {flowed:.0f} s", flush=True)
    assert result.faults == {}, result.report()
    assert result.sums["share deaths unchanged"] > 0


@pytest.fixture
def kit(recount: Any, done: Any, joined: Any, out: None) -> Any:
    return recount, done, joined


def test_kills_lose_double_and_reorder_nothing(tmp_path: Path, kit: Any) -> None:
    weather(tmp_path, kit, nodes=1, rounds=3, size=5_000, rate=1_000)
