"""How many records wait in quarantine, when what is left of its topic are the ends of transactions."""

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.broker.quarantine.desk import Quarantine
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection
from exchange.names import Department
from exchange.quarantine.store import KafkaQuarantineStore
from tests.harness.memory.ledger import MemoryLedger

pytestmark = pytest.mark.kafka


def test_markers_and_what_was_aborted_are_no_records_that_wait(
    admin: Admin, admin_connection: Connection, unique: str
) -> None:
    department = Department(unique)
    topic = names.quarantine_topic(department)
    admin.create_topics([NewTopicSpec(topic, 1, {})], 1)
    writer = Producer(admin_connection.config(transactional_id=unique))
    writer.init_transactions(20)

    def write(commit: bool) -> None:
        writer.begin_transaction()
        writer.produce(topic, b"v", b"k", 0)
        writer.flush(20)
        writer.commit_transaction(20) if commit else writer.abort_transaction(20)

    counts = {(unique, "E_FRAMING"): 1.0}
    store = KafkaQuarantineStore(admin_connection, admin)
    desk = Quarantine(MemoryLedger(), store, SchemaRepository([]), lambda: counts)
    write(commit=False)
    write(commit=True)
    assert desk.waiting() == {(unique, "E_FRAMING"): 1.0}
    assert desk.waiting() == {(unique, "E_FRAMING"): 1.0}, "as it was looked up"
    write(commit=False)
    client = AdminClient(admin_connection.config())
    for done in client.delete_records([TopicPartition(topic, 0, 3)]).values():
        done.result(20)
    assert desk.waiting() == {(unique, "E_FRAMING"): 0.0}, "its age took it; three offsets are left"
    write(commit=True)
    assert desk.waiting() == {(unique, "E_FRAMING"): 1.0}
