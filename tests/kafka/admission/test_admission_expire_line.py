"""Periods that end while no worker is there: the next one finds them in the registry, on a real Kafka."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from exchange import names
from exchange.admission.factory import AdmissionFactory
from exchange.admission.state import BOOKS_KEY, Books, decode
from exchange.clock import Deadline
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.reader import read_to_end
from exchange.kafka.line.line import Line
from exchange.names import RecordType
from exchange.record import header
from tests.harness.kafka.penalties import Penalties
from tests.harness.memory.ledger import START, SetClock

pytestmark = pytest.mark.kafka
ENDS = START.replace(hour=9)


class Harness:
    """One inbox with its registry, and workers on it, one after the other."""

    def __init__(self, connection: Connection, admin: Admin, unique: str) -> None:
        self.clock = SetClock()
        self.penalties = Penalties(self.clock, RecordType(f"credit.{unique}"))
        self.registry = names.registry_topic(self.penalties.type)
        self._state = names.admission_topic(self.penalties.type)
        self._connection, self._group = connection, unique
        self._producer = IdempotentProducer(connection)
        kinds = {
            self.penalties.inbox: TopicKind.INBOX,
            names.redrive_topic(self.penalties.type): TopicKind.REDRIVE,
            self.registry: TopicKind.REGISTRY,
            self._state: TopicKind.LINE_STATE,
        }
        admin.create_topics([NewTopicSpec(topic, 1, topic_config(kind)) for topic, kind in kinds.items()], 1)

    def submit(self, *numbers: int) -> None:
        """Version 5 of some penalties."""
        for number in numbers:
            key, value = self.penalties.key(number), self.penalties.value(number, ENDS)
            self._producer.send(self.penalties.inbox, key, value, [("ce_sequence", b"5")])
        self._producer.flush(Deadline.after(20))

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A worker without any memory but Kafka."""
        factory = AdmissionFactory(self._connection, self.penalties.rules)
        line, stop = Line(self._connection, "admission", self._group, self._group, factory), threading.Event()
        thread = threading.Thread(target=line.run, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)

    def read(self, topic: str) -> list[Message]:
        """Everything in a topic but heartbeats: whether one is due depends on how far our clock is from Kafka's."""
        found = read_to_end(self._connection, [(topic, 0)], Deadline.after(20))
        return [message for message in found if message.key() != names.HEARTBEAT_KEY]

    def books(self) -> Books:
        """The books as they stand in Kafka."""
        values = [one.value() for one in self.read(self._state) if one.key() == BOOKS_KEY]
        return decode(values[-1] or b"") if values else Books()


def until(holds: Callable[[], bool]) -> None:
    deadline = Deadline.after(40)
    while not holds():
        assert not deadline.passed
        threading.Event().wait(0.05)


def test_what_ended_while_no_worker_was_there_leaves_and_stays_away(
    admin_connection: Connection, admin: Admin, unique: str
) -> None:
    harness = Harness(admin_connection, admin, unique)
    harness.submit(1, 2)
    with harness.worker():
        until(lambda: harness.books().admitted == 2)
    harness.clock.moment = ENDS
    with harness.worker():
        until(lambda: harness.books().expired == 2)
        harness.submit(1, 2)
        until(lambda: harness.books().taken == 4)
    books, found = harness.books(), harness.read(harness.registry)
    assert (books.admitted, books.unchanged, books.expired, books.difference) == (2, 2, 2, 0)
    assert [one.value() is None for one in found] == [False, False, True, True]
    assert {header(one.headers(), "ce_sequence") for one in found} == {b"5"}
