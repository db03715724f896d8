"""What Kafka has acknowledged is seen, although it forgot the markers when its only node was killed at that moment."""

import random
import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException

from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.hanging import HangingTransactions
from exchange.kafka.client.producer import TransactionalProducer
from exchange.kafka.client.reader import read_to_end

pytestmark = [pytest.mark.fault, pytest.mark.kafka]
TOPIC = "exchange.admission.population.hanging"
OWNERS = 8
ROUNDS = 12


@pytest.fixture
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as running:
        yield running


class Owner:
    """Commits its count into its own partition, until Kafka is gone."""

    def __init__(self, connection: Connection, partition: int, count: int) -> None:
        self.acknowledged = count
        self._connection = connection
        self._partition = partition
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        output = owned(self._connection, self._partition)
        try:
            while True:
                output.begin()
                output.produce(TOPIC, b"%d" % (self.acknowledged + 1), b"n|", self._partition)
                output.commit(Deadline.after(1))
                self.acknowledged += 1
        except KafkaException:
            output.close()

    def wait(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def owned(connection: Connection, partition: int) -> TransactionalProducer:
    output = TransactionalProducer(connection, f"exchange.admission.population.hanging.{partition}", 30_000)
    output.start(Deadline.after(60))
    return output


def seen(connection: Connection, partition: int) -> int:
    """The last count that a reader of committed records sees."""
    records = read_to_end(connection, [(TOPIC, partition)], Deadline.after(30))
    return max((int(message.value() or b"0") for message in records), default=0)


def test_what_was_acknowledged_is_restored_although_its_marker_was_forgotten(kafka: EmbeddedKafka) -> None:
    Admin(Connection.of(kafka.admin_settings())).create_topics([NewTopicSpec(TOPIC, OWNERS, {})], 1)
    counts, hung = dict.fromkeys(range(OWNERS), 0), 0
    for _ in range(ROUNDS):
        connection = Connection.of(kafka.admin_settings())
        owners = [Owner(connection, partition, counts[partition]) for partition in range(OWNERS)]
        deadline = Deadline.after(60)
        while not deadline.passed and any(one.acknowledged == counts[place] for place, one in enumerate(owners)):
            time.sleep(0.01)
        time.sleep(random.random())  # the moment of the kill is by chance
        kafka.kill()
        for owner in owners:
            owner.wait()
        kafka.start()
        connection = Connection.of(kafka.admin_settings())
        hanging = HangingTransactions(connection)
        for partition, owner in enumerate(owners):
            hung += hanging.end(owned(connection, partition), (TOPIC, partition))
            counts[partition] = seen(connection, partition)
            assert counts[partition] - owner.acknowledged in (0, 1)  # the last one may be done and not answered
        hanging.close()
        if hung:
            return
    pytest.skip(f"Kafka forgot no marker in {ROUNDS} kills")
