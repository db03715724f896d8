"""Looking at single records of many partitions."""

import pytest

from exchange.clock import Deadline
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.peek import Peeker
from exchange.kafka.client.producer import IdempotentProducer

pytestmark = pytest.mark.kafka
PARTITIONS = 40
RECORDS = 40
SECONDS = 5.0


def test_first_records_behind_large_batches_are_found_at_once_in_all_partitions(
    admin: Admin, admin_connection: Connection, unique: str
) -> None:
    admin.create_topics([NewTopicSpec(unique, PARTITIONS, {})], 1)
    keys = [b"%d" % number for number in range(PARTITIONS * RECORDS)]
    producer = IdempotentProducer(admin_connection)
    for key in keys:
        producer.send(unique, key, key * 400)
    producer.flush(Deadline.after(30))
    producer.close()
    starts = dict.fromkeys(((unique, number) for number in range(PARTITIONS)), 0)

    peeker = Peeker(admin_connection)
    found = peeker.first_at(starts, lambda _message: True, Deadline.after(SECONDS))
    peeker.close()

    assert {message.offset() for message in found.values()} == {0}
    assert found.keys() == starts.keys()
