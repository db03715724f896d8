"""The skeleton of the inner lines on a real Kafka, with a unit that copies: what its tests stand on."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from exchange.clock import Deadline
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.reader import read_to_end
from exchange.kafka.line.line import Line
from exchange.kafka.line.unit import Output, Unit
from exchange.names import Department, RecordType, TopicName, inbox_topic, registry_topic

PARTITIONS = 2


class Copies:
    """Copies an inbox to the registry, and counts what it copied in a state record."""

    def __init__(self, bus: "Bus", partition: int) -> None:
        self.bus = bus
        self.state_topic = TopicName(bus.state)
        self.partition = partition
        self.count = 0
        self.asked = False

    def restore(self) -> None:
        """Read the count."""
        for message in self.bus.read(self.bus.state, self.partition):
            if message.key() == b"n":
                self.count = int(message.value() or b"0")

    def next_offset(self, topic: TopicName) -> int | None:
        """What the test says."""
        return self.bus.known.get(self.partition)

    def release(self) -> None:
        """Say so."""
        self.bus.released.append(self.partition)

    def pending(self) -> bool:
        """Once for each unit, when the test wants it."""
        return self.bus.wants.is_set() and not self.asked

    def process(self, messages: Sequence[Message], output: Output) -> None:
        """Copy. The key `poison` is a fault when the test says so; a `wide` record is too large for its topic."""
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
        """Write the count."""
        output.produce(self.bus.state, b"%d" % self.count, b"n", self.partition)

    def unwritable(self) -> bool:
        """Whether the topic of the wide records is gone."""
        if self.bus.narrow not in self.bus.admin.topics():
            self.bus.left_out.add(self.bus.narrow)
        return self.bus.narrow in self.bus.left_out

    def committed(self) -> None:
        """Tell the test."""
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
    known: dict[int, int] = field(default_factory=dict)
    """What the state of a unit says of its inputs, by partition."""
    released: list[int] = field(default_factory=list)
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
        """The inbox of a department."""
        return inbox_topic(self.record_type, Department(department))

    def make(self, *topics: str) -> None:
        """Make topics with the broker's own settings."""
        self.admin.create_topics([NewTopicSpec(topic, PARTITIONS, {}) for topic in topics], 1)

    def send(self, keys: Sequence[bytes], department: str = "first") -> None:
        """Put a record for each key into an inbox."""
        producer = IdempotentProducer(self.connection)
        for number, key in enumerate(keys):
            producer.send(self.inbox(department), key, b"%d" % number)
        producer.flush(Deadline.after(30))
        producer.close()

    def read(self, topic: str, partition: int | None = None) -> list[Message]:
        """What stands in a topic, or in one partition of it."""
        places = range(PARTITIONS) if partition is None else [partition]
        return list(read_to_end(self.connection, [(topic, place) for place in places], Deadline.after(30)))

    def keys(self) -> list[bytes | None]:
        """What was copied, in the order of the keys."""
        return sorted((message.key() for message in self.read(self.output)), key=lambda key: key or b"")

    def counted(self) -> int:
        """What the units say that they copied."""
        told = (message for message in self.read(self.state) if message.key() == b"n")
        latest = {message.partition(): int(message.value() or b"0") for message in told}
        return sum(latest.values())

    def topics(self) -> list[TopicName]:
        """Every inbox."""
        return [self.inbox(department) for department in self.departments]

    def unit(self, record_type: RecordType, partition: int) -> Unit:
        """One that copies."""
        assert record_type == self.record_type
        self.built += 1
        return Copies(self, partition)

    def refused(self, record_type: RecordType, partition: int, topics: frozenset[str]) -> None:
        """Leave them out from now on."""
        assert (record_type, partition < PARTITIONS) == (self.record_type, True)
        self.left_out |= topics

    def line(self, worker: str = "one") -> Line:
        """A worker."""
        return Line(self.connection, "admission", self.group, worker, self)


@contextmanager
def running(line: Line) -> Iterator[threading.Thread]:
    """Let a worker run while the block does."""
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
    """Return when something holds. Raises AssertionError when it does not in time."""
    deadline = Deadline.after(seconds)
    while not holds():
        assert not deadline.passed, "it did not come to that in time"
        threading.Event().wait(0.02)
