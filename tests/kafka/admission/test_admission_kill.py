"""A real admission worker, killed in the middle of its work: nothing lost, doubled or out of order; books closed."""

import random
import signal
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from exchange import names
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.client.partitioner import partition_of
from exchange.record import header
from tests.harness.kafka.admission import INBOX, REGISTRY, AdmissionHarness, Outgoing, companies, variants

pytestmark = pytest.mark.kafka
KEYS = 2_000
VERSIONS = 4
KILLS = 4


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A Kafka of this module's own: it holds the one ledger."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as running:
        yield running


@pytest.fixture(scope="module")
def harness(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> AdmissionHarness:
    return AdmissionHarness(tmp_path_factory.mktemp("harness"), kafka)


def test_a_worker_killed_again_and_again_loses_nothing_and_repeats_nothing(harness: AdmissionHarness) -> None:
    rows = list(variants(list(companies(50)), KEYS))
    chance = random.Random(5)
    stop = threading.Event()

    def submit() -> None:
        for version in range(VERSIONS):
            for start in range(0, KEYS, 250):
                chunk = rows[start : start + 250]
                harness.write(_outgoing(harness, row, version) for row in chunk)
            harness.write(_outgoing(harness, row, version) for row in rows[:100])  # a source that starts again
        stop.set()

    source = threading.Thread(target=submit)
    source.start()
    for _ in range(KILLS):
        harness.start()
        before = harness.books().taken
        harness.until(lambda before=before: harness.books().taken > before or stop.is_set())
        threading.Event().wait(chance.random() / 2)  # the moment of the kill is by chance
        assert harness.stop(signal.SIGKILL) == -signal.SIGKILL
    source.join(120)
    harness.start()
    total = VERSIONS * (KEYS + 100)
    harness.until(lambda: harness.books().taken == total)
    assert harness.stop() == 0
    found: dict[bytes | None, list[int]] = {}
    for message in harness.read(REGISTRY):
        found.setdefault(message.key(), []).append(int(header(message.headers(), "ce_sequence") or b"-1"))
    assert found == {row["credit_code"].encode(): list(range(VERSIONS)) for row in rows}
    books = harness.books()
    assert (books.admitted, books.unchanged, books.quarantined, books.difference) == (
        VERSIONS * KEYS,
        VERSIONS * 100,
        0,
        0,
    )


def _outgoing(harness: AdmissionHarness, row: dict[str, object], version: int) -> Outgoing:
    key = str(row["credit_code"]).encode()
    value = harness.encode(row | {"name": f"第{version}版"})
    return (INBOX, key, value, partition_of(key, harness.partitions), [("ce_sequence", b"%d" % version)])


def test_a_line_whose_offsets_kafka_forgot_takes_nothing_twice(harness: AdmissionHarness) -> None:
    before = harness.books()
    rows = list(companies(3))
    bad: Outgoing = (INBOX, b"no code", b"no record", 0, [("ce_sequence", b"1")])
    harness.start("away")
    harness.write([bad, *(_outgoing(harness, row, 100) for row in rows)])
    harness.until(lambda: harness.books().taken == before.taken + 4)
    assert harness.stop() == 0
    harness.until(lambda: _forgotten(harness, names.ADMISSION_GROUP))
    harness.write([bad, *(_outgoing(harness, row, 101) for row in rows)])
    harness.start("away")
    harness.until(lambda: harness.books().taken >= before.taken + 8)
    assert harness.stop() == 0
    books = harness.books()
    assert (books.taken, books.quarantined) == (before.taken + 8, before.quarantined + 2)


def _forgotten(harness: AdmissionHarness, group: str) -> bool:
    """Whether Kafka has dropped the offsets of a group: it does not while the group has members."""
    client = AdminClient(harness.connection.config())
    try:
        client.delete_consumer_groups([group])[group].result(20)
    except KafkaException:
        return False
    return True


def test_the_names_of_the_line_are_those_that_the_outside_relies_on(harness: AdmissionHarness) -> None:
    harness.start("named")
    harness.until(lambda: "exchange_line_lag_records" in harness.metrics())
    committed = harness.admin.committed(names.ADMISSION_GROUP)
    assert all(topic == INBOX for topic, _ in committed)
    assert harness.stop() == 0
