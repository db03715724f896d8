"""An embedded Kafka of three nodes loses any one of them without losing a record, and keeps its doors shut on each."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.kafka.storage import kept_nodes
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import Recovery, recovery
from exchange.kafka.client.producer import IdempotentProducer, TransactionalProducer
from exchange.kafka.client.reader import read_to_end

pytestmark = pytest.mark.kafka

_PARTITIONS = 3
_BATCH = 60
_PAUSE_SECONDS = 0.05
_MORE = 600
"""Records that a writer has to get through while one node is gone."""


@pytest.fixture(scope="module")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Three nodes for this module alone: they would weigh on all that follows. Who kills one starts it again."""
    with EmbeddedKafka(tmp_path_factory.mktemp("three-nodes"), KafkaOptions(nodes=3)).start() as running:
        yield running


def _connection(kafka: EmbeddedKafka) -> Connection:
    return Connection.of(kafka.admin_settings())


def _admin(kafka: EmbeddedKafka) -> Admin:
    return Admin(_connection(kafka))


def _wait(what: Callable[[], bool], deadline: Deadline, otherwise: str) -> None:
    while not what():
        assert not deadline.passed, otherwise
        time.sleep(0.02)


class _Way(Protocol):
    """How records are written, and when they are sure."""

    def write(self, first: int) -> int:
        """Write a batch from this number on, and return the number after the last one that is sure."""
        ...


class _Writer:
    """Writes numbers in ascending order to all partitions, from a thread of its own, until it is stopped."""

    def __init__(self, connection: Connection, topic: str, way: _Way) -> None:
        self.topic = topic
        self.sure = 0
        """All numbers below this one were acknowledged, or committed."""
        self.longest_gap = 0.0
        self._connection = connection
        self._way = way
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for_more(self, deadline: Deadline) -> None:
        goal = self.sure + _MORE
        _wait(lambda: self.sure >= goal or not self._thread.is_alive(), deadline, f"{self.topic} stands still")
        assert self._failure is None, self._failure

    def numbers(self) -> list[list[int]]:
        """What stands in each partition, after the writer has ended."""
        self._stop.set()
        self._thread.join(60)
        assert self._failure is None, self._failure
        return _numbers(self._connection, self.topic)

    def _run(self) -> None:
        last = time.monotonic()
        try:
            while not self._stop.wait(_PAUSE_SECONDS):
                self.sure = self._way.write(self.sure)
                self.longest_gap = max(self.longest_gap, time.monotonic() - last)
                last = time.monotonic()
        except BaseException as error:
            self._failure = error


def _numbers(connection: Connection, topic: str) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(_PARTITIONS)]
    places = [(topic, partition) for partition in range(_PARTITIONS)]
    for message in read_to_end(connection, places, Deadline.after(60)):
        found[message.partition()].append(int(message.value()))
    return found


class _Acknowledged:
    """With acks=all, as departments write."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self._topic = topic
        self._producer = IdempotentProducer(connection)

    def write(self, first: int) -> int:
        for number in range(first, first + _BATCH):
            self._producer.send(self._topic, str(number).encode(), str(number).encode())
        self._producer.flush(Deadline.after(60))
        return first + _BATCH


class _Committed:
    """In transactions, as the lines write: what cannot be tried again is built anew behind its last commit."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self._producer: TransactionalProducer | None = None

    def write(self, first: int) -> int:
        try:
            if self._producer is None:
                return self._build()
            self._producer.begin()
            for number in range(first, first + _BATCH):
                self._producer.produce(self._topic, str(number).encode(), str(number).encode())
            self._producer.commit(Deadline.after(60))
        except KafkaException as error:
            assert recovery(error) is Recovery.REBUILD, error
            self._producer = None
            return first
        return first + _BATCH

    def _build(self) -> int:
        producer = TransactionalProducer(self._connection, self._topic, timeout_ms=30_000)
        producer.start(Deadline.after(60))
        self._producer = producer
        return 1 + max(
            (last for numbers in _numbers(self._connection, self._topic) for last in numbers[-1:]), default=-1
        )


def _writers(kafka: EmbeddedKafka, unique: str) -> Iterator[_Writer]:
    ways: tuple[Callable[[Connection, str], _Way], ...] = (_Acknowledged, _Committed)
    for way, topic in zip(ways, (f"{unique}-acknowledged", f"{unique}-committed"), strict=True):
        _admin(kafka).create_topics([NewTopicSpec(topic, _PARTITIONS, {})], 3)
        yield _Writer(_connection(kafka), topic, way(_connection(kafka), topic))


@pytest.mark.parametrize("killed", [(2,), pytest.param((1, 2, 3), marks=pytest.mark.fault)])
def test_no_acknowledged_record_is_lost_doubled_or_moved_when_nodes_are_killed(
    three_nodes: EmbeddedKafka, unique: str, killed: tuple[int, ...]
) -> None:
    writers = list(_writers(three_nodes, unique))
    for number in killed:
        for writer in writers:
            writer.wait_for_more(Deadline.after(60))
        three_nodes.kill_node(number)
        for writer in writers:
            writer.wait_for_more(Deadline.after(60))
        assert number not in three_nodes.pids
        three_nodes.start_node(number)
    for writer in writers:
        found = writer.numbers()
        assert sorted(number for partition in found for number in partition) == list(range(writer.sure))
        assert all(partition == sorted(partition) for partition in found)
        print(f"{writer.topic}: {writer.sure} records, longest gap {writer.longest_gap:.1f} s")


@pytest.mark.fault
def test_offsets_are_told_while_a_node_is_gone(three_nodes: EmbeddedKafka, unique: str) -> None:
    admin = _admin(three_nodes)
    places = [(unique, partition) for partition in range(_PARTITIONS)]
    admin.create_topics([NewTopicSpec(unique, _PARTITIONS, {})], 3)
    producer = IdempotentProducer(_connection(three_nodes))
    producer.send(unique, b"one", b"one")
    producer.flush(Deadline.after(30))
    groups = [f"{unique}-{letter}" for letter in "abcd"]  # their coordinators are on different nodes
    for group in groups:
        consumer = Consumer(_connection(three_nodes).config(group_id=group))
        consumer.commit(offsets=[TopicPartition(unique, 0, 7)], asynchronous=False)
        consumer.close()
    assert sum(admin.end_offsets(places).values()) == 1
    three_nodes.kill_node(2)
    assert sum(admin.end_offsets(places).values()) == 1
    assert sum(at.offset for at in admin.newest(places).values()) == 0
    for group in groups:
        assert admin.committed(group) == {(unique, 0): 7}
    assert 2 not in three_nodes.pids
    three_nodes.start_node(2)


def test_all_topics_are_kept_three_times(three_nodes: EmbeddedKafka, unique: str) -> None:
    admin = _admin(three_nodes)
    settings = three_nodes.admin_settings()
    assert settings.replication == 3
    assert len(settings.bootstrap_servers.split(",")) == 3
    admin.create_topics([NewTopicSpec(unique, 2, {})], settings.replication)
    TransactionalProducer(_connection(three_nodes), unique, timeout_ms=10_000).start(Deadline.after(30))
    assert {"__transaction_state", unique} <= admin.topics().keys()
    _wait(lambda: admin.brokers() == {1: 0, 2: 0, 3: 0}, Deadline.after(30), "a node does not catch up")
    topics = AdminClient(_connection(three_nodes).config()).list_topics(timeout=10).topics
    for name in (unique, "__transaction_state"):
        assert all(sorted(partition.isrs) == [1, 2, 3] for partition in topics[name].partitions.values())


def _text(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value


def test_no_listener_of_any_node_answers_without_login(three_nodes: EmbeddedKafka, unique: str) -> None:
    topic = struct.pack(">i", 1) + _text(unique.encode()) + struct.pack(">ihiiib", 1, 1, 0, 0, 10_000, 0)
    message = struct.pack(">hhih", 19, 2, 7, 4) + b"test" + topic  # CreateTopics
    nodes = kept_nodes(three_nodes.folder)
    for port in [port for node in nodes for port in (node.port, node.controller_port)]:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(struct.pack(">i", len(message)) + message)
            try:
                assert connection.recv(4096) == b""
            except ConnectionResetError:
                pass
    assert unique not in _admin(three_nodes).topics()


def test_every_node_listens_on_loopback_only_and_shows_no_secret(three_nodes: EmbeddedKafka) -> None:
    files = (three_nodes.admin_password_file, three_nodes.folder.controller_password_file)
    secrets = [file.read_text().strip() for file in files]
    for node in kept_nodes(three_nodes.folder):
        process = psutil.Process(three_nodes.pids[node.id])
        listening = [one.laddr for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
        assert {one.port for one in listening} == {node.port, node.controller_port}
        assert {one.ip.removeprefix("::ffff:") for one in listening} == {"127.0.0.1"}
        assert three_nodes.folder.properties(node.id).stat().st_mode & 0o077 == 0
        shown = " ".join([*process.cmdline(), *process.environ().values(), three_nodes.folder.log(node.id).read_text()])
        assert not any(secret in shown for secret in secrets)
