"""A worker frozen in the middle of a transaction, given up by its group and woken: nothing at all comes of it.

After the others have done everything there is to do, no registry and no share may grow when the zombie wakes: not by a
record, not by the marker of a transaction that was aborted. No committed offset and no state may change. (What it does
as a member that has come back is another thing: it takes its part again, and notes the state that it found.)
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from exchange.names import ADMISSION_GROUP, DELIVERY_GROUP, registry_topic
from exchange.settings import KafkaSettings
from tests.harness.faults.harness import PARTITIONS, SHARES, WORKERS, FaultHarness, running
from tests.harness.faults.plan import COMPANIES, INBOXES, PROVIDERS, Plan

pytestmark = [pytest.mark.kafka, pytest.mark.fault]
SEED, SIZE, KEYS, RATE = 7, 30_000, 800, 4_000
CATCHES = 12
HELD_SECONDS = 3.0
"""Shorter than a session: the group notices nothing, and there is much to do afterwards."""
SETTLED_SECONDS = 5.0
"""A woken worker that had something to commit would have done so: it commits each 0.2 s."""
Place = tuple[str, int]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[FaultHarness]:
    with running(tmp_path, 1) as harness:
        yield harness


@pytest.fixture
def watch(harness: FaultHarness, consumer: Callable[[KafkaSettings, str], Consumer]) -> Iterator[Consumer]:
    """To `read_committed` a partition seems to end where the first open transaction begins."""
    watch = consumer(harness.kafka.admin_settings(), "read_uncommitted")
    yield watch
    watch.close()


@pytest.fixture
def judges(progress: Any, recount: Any, read_all: Any, out: Any) -> Any:
    return progress, recount, read_all, out


def outputs() -> list[Place]:
    """Every partition that a line writes but for its state."""
    registries = [registry_topic(record_type) for record_type in INBOXES]
    shares = [f"share.{one.share}" for one in SHARES if not one.late]
    topics = [*registries, *shares]
    quarantine = [(f"quarantine.{provider}", 0) for provider in PROVIDERS.values()]
    return [(topic, number) for topic in topics for number in range(PARTITIONS)] + quarantine


def appended(watch: Consumer) -> dict[Place, int]:
    """Where every output really ends, uncommitted records and markers included."""
    return {place: watch.get_watermark_offsets(TopicPartition(*place), timeout=20)[1] for place in outputs()}


def states(harness: FaultHarness, read_all: Callable[..., Iterator[Any]]) -> dict[tuple[str, int, bytes], bytes | None]:
    """The last value of each key of the lines' states."""
    topics = [f"exchange.{line}.{record_type}" for line in ("admission", "delivery") for record_type in INBOXES]
    settings = harness.kafka.admin_settings()
    return {(topic, one.partition, one.key): one.value for topic in topics for one in read_all(settings, topic)}


def undecided(harness: FaultHarness, watch: Consumer, topic: str) -> set[tuple[Place, int]]:
    """Partitions of a topic in which a transaction is open, and where it began."""
    places = [(topic, number) for number in range(PARTITIONS)]
    ends = {place: watch.get_watermark_offsets(TopicPartition(*place), timeout=20)[1] for place in places}
    stable = harness.admin.end_offsets(places)
    return {(place, stable[place]) for place in places if stable[place] < ends[place]}


def caught(harness: FaultHarness, watch: Consumer, name: str, topic: str) -> bool:
    """Hold up a line so that its transactions get long, let it go, and freeze one worker.

    Whether that holds a transaction open; else it goes on.
    """
    line = [f"{name.partition('-')[0]}-{number}" for number in WORKERS]
    for worker in line:
        harness.workers.freeze(worker)
    harness.workers.pause(HELD_SECONDS)
    for worker in line:
        harness.workers.wake(worker)
    harness.workers.pause(0.15)
    harness.workers.freeze(name)
    before = undecided(harness, watch, topic)
    harness.workers.pause(0.7)
    if before & undecided(harness, watch, topic):
        return True
    harness.workers.wake(name)
    return False


def ready(harness: FaultHarness, name: str) -> bool:
    """Whether a worker has its part again and works at it."""
    port = re.findall(r'"port": (\d+), "event": "health.listening"', harness.workers.log(name))[-1]
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("line", "topic"), [("admit", f"registry.{COMPANIES}"), ("deliver", "share.all")], ids=["admission", "delivery"]
)
def test_woken_zombie_commits_nothing(
    harness: FaultHarness, watch: Consumer, judges: Any, line: str, topic: str
) -> None:
    progress, recount, read_all, out = judges
    zombie, plan = f"{line}-1", Plan(SEED, SIZE, KEYS)
    with progress(harness) as books:
        harness.workers.until(lambda: books.joined(late=False), 60, "the shares")
        harness.start_publisher(SEED, SIZE, KEYS, RATE)
        harness.workers.until(lambda: harness.published > SIZE // 10, 60, "the flow")
        tries = next((number for number in range(1, CATCHES) if caught(harness, watch, zombie, topic)), None)
        assert tries is not None, "no open transaction was met"
        harness.grant_late()
        harness.workers.until(lambda: books.done(plan), 120, "the end of the flow without the zombie")
    began = len(harness.workers.log(zombie))
    before, read, noted = appended(watch), committed(harness), states(harness, read_all)

    woken = time.monotonic()
    harness.workers.wake(zombie)
    harness.workers.until(lambda: "line.assigned" in harness.workers.log(zombie)[began:], 60, "the zombie's return")
    harness.workers.until(lambda: ready(harness, zombie), 60, "the zombie's units")
    harness.workers.pause(SETTLED_SECONDS)
    rest = time.monotonic() - woken

    assert {place: end - before[place] for place, end in appended(watch).items() if end != before[place]} == {}
    assert committed(harness) == read
    assert states(harness, read_all) == noted
    result = recount(harness, plan)
    assert result.faults == {}, result.report()
    with out():
        print(
            f"\n{zombie}: frozen with an open transaction at try {tries}, woken, back in its group and at rest after "
            f"{rest:.1f} s; not a record, marker or offset came of it; {SIZE} versions, 0 wrong",
            flush=True,
        )


def committed(harness: FaultHarness) -> list[dict[Place, int]]:
    """How far both lines have read, by their own word."""
    return [harness.admin.committed(group) for group in (ADMISSION_GROUP, DELIVERY_GROUP)]
