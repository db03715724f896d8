"""A real admission worker, killed in the middle of its work: nothing lost, doubled or out of order; books closed."""

import random
import signal
import threading
from collections.abc import Iterator

import pytest

from exchange import names
from exchange.embedded.kafka import EmbeddedKafka
from exchange.kafka.partitioner import partition_of
from exchange.record import header
from exchange.testing.admission_ground import INBOX, REGISTRY, AdmissionGround, Outgoing, companies, variants

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
def ground(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> AdmissionGround:
    return AdmissionGround(tmp_path_factory.mktemp("ground"), kafka)


def test_a_worker_killed_again_and_again_loses_nothing_and_repeats_nothing(ground: AdmissionGround) -> None:
    rows = list(variants(list(companies(50)), KEYS))
    chance = random.Random(5)
    stop = threading.Event()

    def submit() -> None:
        for version in range(VERSIONS):
            for start in range(0, KEYS, 250):
                chunk = rows[start : start + 250]
                ground.write(_outgoing(ground, row, version) for row in chunk)
            ground.write(_outgoing(ground, row, version) for row in rows[:100])  # a source that starts again
        stop.set()

    source = threading.Thread(target=submit)
    source.start()
    for _ in range(KILLS):
        ground.start()
        before = ground.books().taken
        ground.until(lambda before=before: ground.books().taken > before or stop.is_set())
        threading.Event().wait(chance.random() / 2)  # the moment of the kill is by chance
        assert ground.stop(signal.SIGKILL) == -signal.SIGKILL
    source.join(120)
    ground.start()
    total = VERSIONS * (KEYS + 100)
    ground.until(lambda: ground.books().taken == total)
    assert ground.stop() == 0
    found: dict[bytes | None, list[int]] = {}
    for message in ground.read(REGISTRY):
        found.setdefault(message.key(), []).append(int(header(message.headers(), "ce_sequence") or b"-1"))
    assert found == {row["credit_code"].encode(): list(range(VERSIONS)) for row in rows}
    books = ground.books()
    assert (books.admitted, books.unchanged, books.quarantined, books.difference) == (
        VERSIONS * KEYS,
        VERSIONS * 100,
        0,
        0,
    )


def _outgoing(ground: AdmissionGround, row: dict[str, object], version: int) -> Outgoing:
    key = str(row["credit_code"]).encode()
    value = ground.encode(row | {"name": f"第{version}版"})
    return (INBOX, key, value, partition_of(key, ground.partitions), [("ce_sequence", b"%d" % version)])


def test_the_names_of_the_line_are_those_that_the_outside_relies_on(ground: AdmissionGround) -> None:
    ground.start("named")
    ground.until(lambda: "exchange_line_lag_records" in ground.metrics())
    committed = ground.admin.committed(names.ADMISSION_GROUP)
    assert all(topic == INBOX for topic, _ in committed)
    assert ground.stop() == 0
