"""Fifteen hostile payloads of a foreign client between good records of one key, on a real Kafka and a real worker."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from exchange import names
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.identifiers import credit_code
from exchange.kafka.admin.admin import Acl, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.partitioner import partition_of
from exchange.names import RecordType
from exchange.record import header
from exchange.testing.hostile import Good, Hostile, hostile_records
from tests.harness.kafka.admission import INBOX, PROVIDER, QUARANTINE, REGISTRY, AdmissionHarness, companies

pytestmark = pytest.mark.kafka
WIDE = "1048576"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A Kafka of this module's own: it holds the one ledger."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as running:
        yield running


@pytest.fixture(scope="module")
def harness(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdmissionHarness]:
    """An inbox that lets even 900 kB through, to see what admission does with it."""
    harness = AdmissionHarness(tmp_path_factory.mktemp("harness"), kafka, max_message_bytes=WIDE)
    harness.start()
    yield harness
    harness.stop()


@pytest.fixture(scope="module")
def foreign(harness: AdmissionHarness, kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Producer:
    """A client of the department that is not ours: default settings, no right but to write the inbox."""
    file = tmp_path_factory.mktemp("secrets") / "secret"
    file.write_text(secrets.token_urlsafe(18), encoding="utf-8")
    harness.admin.set_secret(PROVIDER, file.read_text(encoding="utf-8"))
    harness.admin.grant([Acl(PROVIDER, "topic", INBOX, "write")])
    return Producer(Connection.of(kafka.settings(PROVIDER, file)).config(message_max_bytes=1_000_000))


def good(harness: AdmissionHarness, row: dict[str, Any]) -> Good:
    return Good(row["credit_code"].encode(), harness.encode(row))


def send(producer: Producer, partition: int, key: bytes | None, value: bytes, headers: Any) -> None:
    failed: list[KafkaError] = []
    producer.produce(
        INBOX, value, key, partition, headers=headers, on_delivery=lambda error, _: error and failed.append(error)
    )
    assert producer.flush(30) == 0
    assert failed == []


def test_good_records_arrive_in_order_and_hostile_ones_wait_in_quarantine_as_they_came(
    harness: AdmissionHarness, foreign: Producer
) -> None:
    row, other = companies(2, seed=5)
    body = "51340100EXCH00001"
    stranger = other | {"credit_code": body + credit_code.check_character(body)}
    spoilt = hostile_records(
        good(harness, row), good(harness, other), good(harness, stranger), harness.schemas.latest("population.death").id
    )
    assert len(spoilt) == 15
    key = row["credit_code"].encode()
    own = partition_of(key, harness.partitions)
    expected = []
    for number, bad in enumerate((*spoilt, None)):
        version = harness.encode(row | {"name": f"第{number}版"})
        expected.append(version)
        send(foreign, own, key, version, [("ce_sequence", b"%d" % number)])
        if bad is not None:
            send(foreign, place_of(bad, harness, own), bad.key, bad.value, bad.headers)
    harness.until(lambda: harness.books().taken == len(expected) + len(spoilt))
    assert [(message.key(), message.value()) for message in harness.read(REGISTRY)] == [(key, v) for v in expected]
    kept = {header(message.headers(), "x-exchange-code"): message for message in harness.read(QUARANTINE)}
    found = sorted(
        (m.key() or b"", m.value(), header(m.headers(), "x-exchange-code")) for m in harness.read(QUARANTINE)
    )
    assert found == sorted((bad.key or b"", bad.value, bad.code.encode()) for bad in spoilt)
    forged = kept[b"E_HEADER_FORGED"].headers() or []
    assert ("ce_source", b"/departments/somebody-else") in forged
    books = harness.books()
    assert (books.admitted, books.quarantined, books.difference) == (16, 15, 0)


def place_of(bad: Hostile, harness: AdmissionHarness, own: int) -> int:
    place = own if bad.key is None else partition_of(bad.key, harness.partitions)
    return (place + 1) % harness.partitions if bad.misplaced else place


def test_an_inbox_as_it_is_made_refuses_what_is_too_large_at_once(
    kafka: EmbeddedKafka, harness: AdmissionHarness
) -> None:
    topic = names.inbox_topic(RecordType("population.resident"), PROVIDER)
    harness.admin.create_topics([NewTopicSpec(topic, 1, topic_config(TopicKind.INBOX))], 1)
    failed: list[str] = []
    producer = Producer(harness.connection.config(compression_type="zstd"))
    producer.produce(topic, bytes(900_000), b"k", on_delivery=lambda error, _: failed.append(error.name()))
    producer.flush(Deadline.after(30).remaining())
    assert failed == ["MSG_SIZE_TOO_LARGE"]


def test_neither_log_nor_metrics_of_the_worker_hold_anything_of_the_records(harness: AdmissionHarness) -> None:
    row, other = companies(2, seed=5)
    told = harness.log() + harness.metrics()
    assert "exchange_records_total" in told
    for value in (*row.values(), *other.values()):
        text = str(value)
        assert len(text) < 6 or text not in told
