"""Sources, sinks, lines and the broker service killed and frozen while rows change: the sinks hold what SQL says."""

import itertools
import os
import random
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exchange.names import TopicName
from exchange.record import SEQUENCE
from tests.harness.kafka.province import Province
from tests.harness.source_tables import source_books
from tests.harness.sql_recount import RECOUNTS

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))
SOURCES = ("market-regulation.registrations", "public-security.residents", "health.deaths")
SINKS = ("taxation.companies", "human-resources.deaths")
VICTIMS = (*SOURCES, *SINKS, "admit", "deliver", "serve")
KILLS_EACH = 2
FROZEN_SECONDS = 12.0
"""Beyond every session."""
KAFKA_FROZEN_SECONDS = 15.0
PARTS = 16
CHANGES = (
    ("market-regulation", "UPDATE registrations SET capital_amount = coalesce(capital_amount, 0) + 1", "credit_code"),
    ("market-regulation", "UPDATE registrations SET withdrawn = NOT withdrawn", "name"),
    ("health", "UPDATE deaths SET reversed = NOT reversed", "resident_id"),
    ("public-security", "UPDATE residents SET moved_from_region = household_region", "resident_id"),
)
"""Department, statement and the column by which a part of its rows is chosen."""


@contextmanager
def changes(province: Province) -> Iterator[Counter[str]]:
    """While this lasts, rows change without pause, a sixteenth at a time; how many of each table's department did."""
    stop, done = threading.Event(), Counter[str]()

    def change() -> None:
        for number in itertools.count():
            for department, statement, column in CHANGES:
                part = f"{statement} WHERE mod(abs(hashtext({column})), {PARTS}) = %s RETURNING 1"
                done[department] += len(province.sql(department, part, number % PARTS))
            if stop.wait(0.4):
                return

    thread = threading.Thread(target=change, name="changes")
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_whoever_is_killed_or_frozen_the_sinks_hold_what_the_sources_grant(tmp_path: Path, out: Any) -> None:
    with out(), Province(tmp_path) as province:
        trouble(province.start(600))


def trouble(province: Province) -> None:
    """Every kind of process in trouble while rows change; then everything is counted."""
    drawn = random.Random(SEED)
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"fault seed={SEED} province at={time.monotonic() - began:.1f}s {what}", flush=True)

    acts = deck(province, drawn, tell)
    print(f"\nfault seed={SEED} a province in {len(acts)} troubles", flush=True)
    with changes(province) as done:
        for act in acts:
            act()
            threading.Event().wait(drawn.uniform(0.5, 2.5))
    province.settle()
    print(f"  rows changed: {dict(done)}; settled after {time.monotonic() - began:.0f} s", flush=True)

    for recount in RECOUNTS:
        assert recount.rows_found(province.sql) == recount.rows_expected(province.sql, province.refused_rows)
    assert_exact(province)
    assert_books_close(province)


def deck(province: Province, drawn: random.Random, tell: Callable[[str], None]) -> list[Callable[[], None]]:
    """What happens, in the order in which it happens."""
    children = province.platform.children

    def kill(name: str) -> None:
        tell(f"kill -9 {name}")
        restarts = children.restarts(name)
        children.kill(name)
        province.wait(lambda: children.restarts(name) > restarts, f"the restart of {name}")

    def freeze(name: str) -> None:
        tell(f"SIGSTOP {name} for {FROZEN_SECONDS} s")
        stand_still(children.pid(name), FROZEN_SECONDS)

    def freeze_kafka() -> None:
        tell(f"SIGSTOP Kafka for {KAFKA_FROZEN_SECONDS} s")
        pid = province.platform.kafka.pid
        assert pid is not None
        stand_still(pid, KAFKA_FROZEN_SECONDS)

    acts: list[Callable[[], None]] = [lambda name=name: kill(name) for name in VICTIMS * KILLS_EACH]  # type: ignore[misc]
    acts += [lambda: freeze(SOURCES[0]), lambda: freeze(SINKS[0]), freeze_kafka]
    drawn.shuffle(acts)
    return acts


def stand_still(pid: int, seconds: float) -> None:
    """Stop a process where it stands, and let it go on."""
    os.kill(pid, signal.SIGSTOP)
    threading.Event().wait(seconds)
    os.kill(pid, signal.SIGCONT)


def assert_exact(province: Province) -> None:
    """No share has a version twice, or two of a key in the wrong order."""
    for grant in province.operator.items("/v1/grants"):
        last: dict[bytes, int] = {}
        for message in province.records(TopicName(grant["topic"])):
            key, sequence = message.key() or b"", int(dict(message.headers() or [])[SEQUENCE])
            assert sequence > last.get(key, -1)
            last[key] = sequence


def assert_books_close(province: Province) -> None:
    """Every sum closes, at the sources too."""
    answer = province.operator.get("/v1/books")
    assert answer["closed"]
    assert {item["difference"] for item in answer["items"]} == {0}
    for source in SOURCES:
        state = source_books(province.places.connectors, source)
        assert state["collected"] == state["submitted"] + state["unmapped"]
