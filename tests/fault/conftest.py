"""How the fault suite reads what came of it: its own client of Kafka, its own Avro."""

import copy
import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from exchange.settings import KafkaSettings
from tests.harness.faults.harness import PARTITIONS, SHARES, FaultHarness
from tests.harness.faults.injection import FaultRun, Judges, inject
from tests.harness.faults.plan import INBOXES, Plan
from tests.harness.faults.recount import Found, Reading, Recount

SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))
VERSIONS = int(os.environ.get("EXCHANGE_FAULT_VERSIONS") or 300_000)
ROUNDS = int(os.environ.get("EXCHANGE_FAULT_ROUNDS") or 30)
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ


def new_consumer(settings: KafkaSettings, isolation: str = "read_committed") -> Consumer:
    """A reader without a group."""
    assert settings.password_file is not None
    return Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "security.protocol": settings.security_protocol,
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": settings.username,
            "sasl.password": settings.password_file.read_text(encoding="utf-8").strip(),
            "group.id": "recount",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )


def read(settings: KafkaSettings, topic: str) -> Iterator[Found]:
    """Everything committed in a topic, each partition in its order; heartbeats left out."""
    with closing(new_consumer(settings)) as reading:
        yield from read_with(reading, topic)


def read_with(reading: Consumer, topic: str) -> Iterator[Found]:
    """As `read`, with a consumer that may read more afterwards: a new one takes half a second."""
    count = len(reading.list_topics(topic, 20).topics[topic].partitions)
    reading.assign([TopicPartition(topic, partition, 0) for partition in range(count)])
    behind = set(range(count))
    while behind:
        for message in reading.consume(1000, 0.05):
            error = message.error()
            if error is None and message.key() != b"~":
                place = message.partition(), message.offset()
                yield Found(*place, message.key(), message.value(), message.headers() or [])
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                behind.discard(message.partition())


def reader(schema: dict[str, Any]) -> Callable[[bytes], Any]:
    parsed = fastavro.parse_schema(copy.deepcopy(schema))
    return lambda value: fastavro.schemaless_reader(BytesIO(value[5:]), parsed, None)


class Progress:
    """How far the lines are by their own books, followed while they are at work."""

    def __init__(self, harness: FaultHarness) -> None:
        self._harness = harness
        kinds = ("admission", "delivery")
        topics = [f"exchange.{kind}.{record_type}" for kind in kinds for record_type in INBOXES]
        self._books: dict[tuple[str, bytes, int], Any] = {}
        self._tail = new_consumer(harness.kafka.admin_settings())
        self._tail.assign([TopicPartition(topic, number, 0) for topic in topics for number in range(PARTITIONS)])

    def _follow(self) -> None:
        while found := self._tail.consume(5_000, 0.1):
            for message in found:
                if message.error() is None and message.key()[:2] in (b"n|", b"j|"):
                    value = message.value()
                    place = (message.topic(), message.key(), message.partition())
                    self._books[place] = None if value is None else json.loads(value)

    def _sum(self, kind: str, record_type: str, name: str) -> int:
        books = (self._books.get((f"exchange.{kind}.{record_type}", b"n|", part)) for part in range(PARTITIONS))
        return sum(one[name] for one in books if one)

    def joined(self, late: bool) -> bool:
        """Whether the shares, with or without the late ones, are in the live flow of every partition."""
        self._follow()
        places = [
            self._books.get((f"exchange.delivery.{one.record_type}", b"j|" + one.share.encode(), partition))
            for one in SHARES
            for partition in range(PARTITIONS)
            if late or not one.late
        ]
        return all(place and "joined" in place for place in places)

    def done(self, plan: Plan) -> bool:
        """Whether every version was published, taken by admission and by every share."""
        if self._harness.published < plan.size or not self.joined(late=True):
            return False
        return all(
            self._sum("admission", record_type, "taken") == sum(self._harness.ends(inbox).values())
            and self._sum("delivery", record_type, "taken") == self._sum("admission", record_type, "admitted")
            for record_type, inbox in INBOXES.items()
        )

    def close(self) -> None:
        self._tail.close()


@pytest.fixture(scope="session")
def recount() -> Callable[[FaultHarness, Plan], Recount]:
    def judge(harness: FaultHarness, plan: Plan) -> Recount:
        with closing(new_consumer(harness.kafka.admin_settings())) as reading:
            return Recount(harness, plan, Reading(partial(read_with, reading), reader)).run()

    return judge


@pytest.fixture(scope="session")
def progress() -> Callable[[FaultHarness], AbstractContextManager[Progress]]:
    return lambda harness: closing(Progress(harness))


@pytest.fixture(scope="session")
def consumer() -> Callable[[KafkaSettings, str], Consumer]:
    return new_consumer


@pytest.fixture(scope="session")
def read_all() -> Callable[[KafkaSettings, str], Iterator[Found]]:
    return read


@pytest.fixture(scope="session")
def decoder() -> Callable[[dict[str, Any]], Callable[[bytes], Any]]:
    return reader


@pytest.fixture
def out(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[None]]:
    """While it lasts, faults and numbers are shown as they happen; what our own clients say of the faults is not."""

    @contextmanager
    def told() -> Iterator[None]:
        before = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        try:
            with nullcontext() if BESIDE_OTHERS else request.getfixturevalue("capfd").disabled():
                yield
        finally:
            structlog.configure(**before)

    return told


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """When only the long tests run, the two longest begin first, each on a process."""
    if config.getoption("markexpr") == "fault":
        items.sort(key=lambda item: "/test_faults" not in item.nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tests that run beside others cannot show anything while they run: it is shown when they are over."""
    if report.when == "call" and report.passed and not BESIDE_OTHERS and report.capstdout:
        print(report.capstdout, flush=True)


@pytest.fixture
def inject_faults(recount: Any, progress: Any, out: Any, tmp_path: Path) -> Callable[..., None]:
    """Faults over a flow, and a recount: 30 rounds over 300,000 versions unless it is said otherwise."""

    def run(nodes: int, rate: int, rounds: int = ROUNDS, versions: int = VERSIONS) -> None:
        with out():
            found = inject(FaultRun(SEED, nodes, rounds, versions, rate), tmp_path, Judges(recount, progress))
        assert found.faults == {}, found.report()
        assert found.sums["share deaths unchanged"] > 0

    return run
