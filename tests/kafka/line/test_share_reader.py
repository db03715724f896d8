"""A grantee's reader in its group: what comes and goes around it must not stop it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from exchange.clock import Deadline
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.share_reader import ShareReader
from exchange.names import TopicName

pytestmark = pytest.mark.kafka
PARTITIONS = 2
MOST_BYTES = 1_000_000
_SHORT_SECONDS = 0.05
_BRIEF_SECONDS = 0.002
"""So that a rebalance begins in one rest and ends in another."""


@pytest.fixture
def topic(admin: Admin, unique: str) -> TopicName:
    name = TopicName(f"share.{unique}")
    admin.create_topics([NewTopicSpec(name, PARTITIONS, {})], 1)
    return name


@pytest.fixture
def member(admin_connection: Connection, topic: TopicName, unique: str) -> Iterator[Callable[[str], ShareReader]]:
    """A new member of the group that reads from the beginning."""
    opened: list[ShareReader] = []

    def open_reader(name: str) -> ShareReader:
        opened.append(
            ShareReader(admin_connection, topic, f"grant.{unique}", name, lambda places: dict.fromkeys(places, 0))
        )
        return opened[-1]

    yield open_reader
    for reader in opened:
        reader.close()


def write(connection: Connection, topic: TopicName, value: bytes) -> None:
    """Some records in each partition."""
    with closing(IdempotentProducer(connection)) as producer:
        for number in range(40):
            producer.send(topic, b"%d" % number, value)
        producer.flush(Deadline.after(20))


def assigned(reader: ShareReader) -> set[int]:
    return {place.partition for place in reader._consumer.assignment()}


def until(holds: Callable[[], bool], meanwhile: Callable[[], object]) -> None:
    deadline = Deadline.after(40)
    while not holds():
        meanwhile()
        assert not deadline.passed


def test_a_reader_that_rests_while_its_group_moves_reads_on(
    admin_connection: Connection, topic: TopicName, member: Callable[[str], ShareReader]
) -> None:
    one = member("one")
    until(lambda: len(assigned(one)) == PARTITIONS, lambda: one.poll(10, MOST_BYTES, _SHORT_SECONDS))
    other, stop = member("other"), threading.Event()
    beside = threading.Thread(target=lambda: until(stop.is_set, lambda: other.poll(1, MOST_BYTES, _SHORT_SECONDS)))
    beside.start()
    try:
        until(lambda: len(assigned(one)) == 1, lambda: one.rest(_BRIEF_SECONDS))
        write(admin_connection, topic, b"new")
        found: set[bytes | None] = set()
        until(
            lambda: b"new" in found,
            lambda: found.update(message.value() for message in one.poll(10, MOST_BYTES, _SHORT_SECONDS)),
        )
    finally:
        stop.set()
        beside.join()
