"""A ledger that somebody with the rights to it has damaged in Kafka itself is found, and where."""

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.store.follower import LedgerFollower, read_ledger
from exchange.ledger.verify import Head, verify
from exchange.settings import Settings
from tests.harness.ledger.damage import DAMAGES, EVENTS
from tests.harness.memory.ledger import chain

pytestmark = pytest.mark.kafka


def soon() -> Deadline:
    return Deadline.after(20)


def test_a_ledger_damaged_in_kafka_is_found_and_where(admin_connection: Connection, admin: Admin, unique: str) -> None:
    schemas = SchemaRepository.load(Settings().schemas)
    codec = EventCodec(schemas)
    whole = chain([("moon-landed", {"number": number, "reason": "why"}) for number in range(EVENTS)])
    topics = {name: f"{unique}.{name.replace(' ', '-')}" for name in ("whole", *DAMAGES)}
    admin.create_topics([NewTopicSpec(topic, 1, topic_config(TopicKind.LEDGER)) for topic in topics.values()], 1)
    producer = IdempotentProducer(admin_connection)

    def written(name: str, events: list[LedgerEvent]) -> None:
        for event in events:
            producer.send(topics[name], event.entity.encode(), codec.encode(event))
        producer.flush(soon())

    head = Head(whole[-1].seq, whole[-1].hash)
    written("whole", whole)
    assert verify(read_ledger(admin_connection, schemas, topics["whole"]), head) == head
    for name, damage in DAMAGES.items():
        written(name, damage.do(whole))
        with pytest.raises(ExchangeError, match=damage.where) as caught:
            verify(read_ledger(admin_connection, schemas, topics[name]), head)
        assert caught.value.code == "E_LEDGER_BROKEN"
        if not damage.needs_head:  # nobody goes on with a ledger whose chain does not hold
            follower = LedgerFollower(admin_connection, schemas, topics[name])
            with pytest.raises(ExchangeError, match="E_LEDGER_BROKEN"):
                follower.catch_up()
            follower.close()
    producer.close()
