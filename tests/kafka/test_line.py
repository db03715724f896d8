"""The skeleton of the inner lines on a real Kafka, with a unit that copies."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exchange.clock import Deadline
from exchange.embedded.kafka import EmbeddedKafka
from exchange.errors import ExchangeError
from exchange.kafka.admin import Admin, NewTopicSpec
from exchange.kafka.connection import Connection
from exchange.kafka.line import Line
from exchange.kafka.message import Message
from exchange.kafka.producer import IdempotentProducer
from exchange.kafka.reader import read_to_end
from exchange.kafka.unit import Output, Unit
from exchange.names import Department, RecordType, TopicName, inbox_topic, registry_topic

pytestmark = pytest.mark.kafka
PARTITIONS = 2


class Copies:
    """Copies an inbox to the registry, and counts what it copied in a state record."""

    def __init__(self, bus: "Bus", partition: int) -> None:
        self.bus = bus
        self.partition = partition
        self.count = 0
        self.asked = False

    def restore(self) -> None:
        for message in self.bus.read(self.bus.state, self.partition):
            self.count = int(message.value() or b"0")

    def fresh(self) -> bool:
        return True

    def pending(self) -> bool:
        return self.bus.wants.is_set() and not self.asked

    def process(self, messages: Sequence[Message], output: Output) -> None:
        if not messages:
            self.asked = True
        for message in messages:
            if message.key() == b"poison" and self.bus.poison.is_set():
                raise ValueError("poison")
            if message.key() != b"wide":
                output.produce(self.bus.output, message.value(), message.key(), self.partition)
            elif self.bus.narrow not in self.bus.left_out:
                output.produce(self.bus.narrow, bytes(range(256)), message.key(), self.partition)
            self.count += 1

    def seal(self, output: Output) -> None:
        output.produce(self.bus.state, b"%d" % self.count, b"n", self.partition)

    def committed(self) -> None:
        self.bus.commits += 1


@dataclass
class Bus:
    """The topics of one test, and what its units are told."""

    connection: Connection
    admin: Admin
    name: str
    departments: list[str] = field(default_factory=lambda: ["first"])
    wants: threading.Event = field(default_factory=threading.Event)
    poison: threading.Event = field(default_factory=threading.Event)
    left_out: set[str] = field(default_factory=set)
    built: int = 0
    commits: int = 0

    def __post_init__(self) -> None:
        self.record_type = RecordType(f"population.{self.name}")
        self.output = registry_topic(self.record_type)
        self.state = f"exchange.admission.{self.record_type}"
        self.narrow = f"share.{self.name}.narrow"
        self.group = f"line.{self.name}"
        self.make(self.output, self.state, self.inbox("first"))
        self.admin.create_topics([NewTopicSpec(self.narrow, PARTITIONS, {"max.message.bytes": "100"})], 1)

    def inbox(self, department: str) -> TopicName:
        return inbox_topic(self.record_type, Department(department))

    def make(self, *topics: str) -> None:
        self.admin.create_topics([NewTopicSpec(topic, PARTITIONS, {}) for topic in topics], 1)

    def send(self, keys: Sequence[bytes], department: str = "first") -> None:
        producer = IdempotentProducer(self.connection)
        for number, key in enumerate(keys):
            producer.send(self.inbox(department), key, b"%d" % number)
        producer.flush(Deadline.after(30))
        producer.close()

    def read(self, topic: str, partition: int | None = None) -> list[Message]:
        places = range(PARTITIONS) if partition is None else [partition]
        return list(read_to_end(self.connection, [(topic, place) for place in places], Deadline.after(30)))

    def keys(self) -> list[bytes | None]:
        return sorted((message.key() for message in self.read(self.output)), key=lambda key: key or b"")

    def counted(self) -> int:
        latest = {message.partition(): int(message.value() or b"0") for message in self.read(self.state)}
        return sum(latest.values())

    def topics(self) -> list[TopicName]:
        return [self.inbox(department) for department in self.departments]

    def unit(self, record_type: RecordType, partition: int) -> Unit:
        assert record_type == self.record_type
        self.built += 1
        return Copies(self, partition)

    def refused(self, record_type: RecordType, partition: int, topics: frozenset[str]) -> None:
        self.left_out |= topics

    def line(self, worker: str = "one") -> Line:
        return Line(self.connection, "admission", self.group, worker, self)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A Kafka of one test, which may kill it."""
    with EmbeddedKafka(tmp_path).start() as kafka:
        yield kafka


@contextmanager
def running(line: Line) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=line.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = Deadline.after(seconds)
    while not holds():
        assert not deadline.passed, "it did not come to that in time"
        threading.Event().wait(0.02)


@pytest.fixture
def bus(admin_connection: Connection, admin: Admin, unique: str) -> Bus:
    return Bus(admin_connection, admin, unique)


def test_all_records_are_passed_on_once_and_counted(bus: Bus) -> None:
    keys = [b"%d" % number for number in range(3000)]
    bus.send(keys)
    with running(bus.line()):
        until(lambda: len(bus.read(bus.output)) >= len(keys))
    assert bus.keys() == sorted(keys)
    assert bus.counted() == len(keys)


def test_the_next_worker_goes_on_where_the_last_one_stopped(bus: Bus) -> None:
    bus.send([b"a", b"b"])
    with running(bus.line()):
        until(lambda: len(bus.keys()) == 2)
    bus.send([b"c", b"d"])
    with running(bus.line()):
        until(lambda: len(bus.keys()) == 4)
    assert bus.keys() == [b"a", b"b", b"c", b"d"]
    assert bus.counted() == 4


def test_a_new_inbox_is_read_without_rebuilding_the_units(bus: Bus) -> None:
    bus.send([b"a"])
    line = bus.line()
    with running(line):
        until(lambda: bus.keys() == [b"a"])
        built = bus.built
        bus.departments.append("second")
        bus.make(bus.inbox("second"))
        bus.send([b"b"], "second")
        until(lambda: bus.keys() == [b"a", b"b"])
        bus.send([b"c"])
        until(lambda: bus.keys() == [b"a", b"b", b"c"])
        assert bus.built == built
    assert bus.counted() == 3


def test_a_unit_that_fails_is_rebuilt_and_nothing_is_lost_or_doubled(bus: Bus) -> None:
    bus.poison.set()
    bus.send([b"a", b"poison", b"b"])
    with running(bus.line()):
        until(lambda: bus.built >= PARTITIONS + 2)
        bus.poison.clear()
        until(lambda: len(bus.keys()) == 3)
    assert bus.keys() == [b"a", b"b", b"poison"]
    assert bus.counted() == 3


def test_a_topic_that_cannot_be_written_is_told_and_left_out(bus: Bus) -> None:
    bus.send([b"a", b"wide", b"b"])
    with running(bus.line()):
        until(lambda: bus.counted() == 3)
    assert bus.left_out == {bus.narrow}
    assert bus.keys() == [b"a", b"b"]


def test_a_unit_gets_a_transaction_without_records_when_it_wants_one(bus: Bus) -> None:
    with running(bus.line()):
        bus.wants.set()
        until(lambda: bus.commits >= PARTITIONS)
    assert len(bus.read(bus.state)) == PARTITIONS


def test_two_workers_share_the_partitions(bus: Bus) -> None:
    first, second = bus.line("one"), bus.line("two")
    with running(first), running(second):
        until(lambda: first.ready and second.ready and len(first.lag) == len(second.lag) == 1)
        keys = [b"%d" % number for number in range(200)]
        bus.send(keys)
        until(lambda: len(bus.keys()) == len(keys))
    assert bus.keys() == sorted(keys)
    assert bus.counted() == len(keys)


def test_two_workers_learn_of_a_new_inbox_and_pass_it_on_once(bus: Bus) -> None:
    first, second = bus.line("one"), bus.line("two")
    with running(first), running(second):
        until(lambda: first.ready and second.ready and len(first.lag) == len(second.lag) == 1)
        bus.send([b"%d" % number for number in range(100)])
        bus.departments.append("second")
        bus.make(bus.inbox("second"))
        bus.send([b"%d" % number for number in range(100, 200)], "second")
        bus.send([b"%d" % number for number in range(200, 300)])
        until(lambda: bus.counted() == 300)
    assert bus.keys() == sorted(b"%d" % number for number in range(300))


def test_a_broker_that_dies_and_comes_back_costs_no_record(own_kafka: EmbeddedKafka, unique: str) -> None:
    connection = Connection.of(own_kafka.admin_settings())
    bus = Bus(connection, Admin(connection), unique)
    first = [b"%d" % number for number in range(2000)]
    line = bus.line()
    with running(line):
        until(lambda: line.ready)
        bus.send(first)
        until(lambda: bus.commits > 0)
        own_kafka.kill()
        own_kafka.start()
        bus.send([b"after"])
        until(lambda: bus.counted() == 2001, 90)
    assert bus.keys() == sorted([*first, b"after"])


def test_a_twin_stops_the_worker_with_a_clear_error(bus: Bus) -> None:
    caught: list[str] = []

    def work() -> None:
        try:
            bus.line("same").run(stop)
        except ExchangeError as error:
            caught.append(error.code)

    stop = threading.Event()
    first = threading.Thread(target=work, daemon=True)
    first.start()
    bus.send([b"a"])
    until(lambda: bus.keys() == [b"a"])
    second = threading.Thread(target=work, daemon=True)
    second.start()
    until(lambda: bool(caught), 60)
    stop.set()
    first.join(30)
    second.join(30)
    assert caught == ["E_WORKER_TWIN"]


def test_a_record_travels_through_an_idle_line_in_a_moment(bus: Bus) -> None:
    line = bus.line()
    with running(line):
        until(lambda: line.ready)
        bus.send([b"warm"])
        until(lambda: bus.keys() == [b"warm"])
        sent = time.monotonic()
        bus.send([b"quick"])
        until(lambda: len(bus.keys()) == 2)
        assert time.monotonic() - sent < 3
        until(lambda: line.lag == {bus.record_type: (0, 0.0)})
