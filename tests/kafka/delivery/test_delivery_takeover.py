"""Workers that are killed, stay away or freeze: how long a grantee waits, and that a woken zombie commits nothing."""

import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.client.reader import PartitionTail
from exchange.names import ShareName, share_topic
from tests.harness.kafka.delivery import DeliveryHarness
from tests.harness.kafka.delivery_versions import CITY, IN_CITY, Versions, by_key, told

pytestmark = pytest.mark.kafka
FIRST, SECOND = "deliver-1", "deliver-2"
LISTENS = '"port": '
"""What a worker writes once when it has started."""
BUSY = 3.0
"""How much longer a loaded machine may take than the promise says."""


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeliveryHarness]:
    """A Kafka of our own with two shares and two workers."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-takeover")).start() as kafka:
        found = DeliveryHarness(tmp_path_factory.mktemp("harness"), kafka)
        found.allow_own()
        found.share("all")
        found.share("city", scope=CITY)
        for worker in (FIRST, SECOND):
            found.start(worker)
        found.until(lambda: found.joined("all", "city"))
        yield found
        found.stop_all()


class Reader(threading.Thread):
    """A `read_committed` reader of a share that notes when each partition gave it records."""

    def __init__(self, harness: DeliveryHarness) -> None:
        super().__init__(daemon=True)
        self._places = [(str(share_topic(ShareName("all"))), partition) for partition in range(harness.partitions)]
        self._tail = PartitionTail(harness.connection, self._places)
        self._ended = threading.Event()
        self.times: dict[int, list[float]] = {partition: [] for _, partition in self._places}

    def run(self) -> None:
        while not self._ended.is_set():
            for message in self._tail.poll(0.05):
                self.times[message.partition()].append(time.monotonic())

    def longest_gap(self) -> float:
        """Seconds, over both partitions. Ends the reading."""
        self._ended.set()
        self.join()
        self._tail.close()
        return max(later - earlier for times in self.times.values() for earlier, later in pairwise(times))


def write_until(harness: DeliveryHarness, versions: Versions, partitions_at: list[int]) -> None:
    """Go on writing until both partitions have been taken beyond what stands there now and a little more."""
    while not all(state.taken > before for state, before in zip(harness.states(), partitions_at, strict=True)):
        versions.grow(20)


def taken(harness: DeliveryHarness) -> list[int]:
    return [state.taken for state in harness.states()]


@pytest.mark.parametrize(("stays_away", "promised"), [(False, 3.0), (True, 12.0)])
def test_grantee_waits_no_longer_than_promised(
    harness: DeliveryHarness, stays_away: bool, promised: float, capsys: pytest.CaptureFixture[str]
) -> None:
    for worker in (FIRST, SECOND):
        harness.start(worker)
    versions = Versions(harness, first=10_000 * (1 + stays_away))
    write_until(harness, versions, taken(harness))
    reader = Reader(harness)
    reader.start()
    write_until(harness, versions, taken(harness))
    harness.stop(signal.SIGKILL, FIRST)
    if not stays_away:
        harness.start(FIRST)
    for _ in range(2):
        write_until(harness, versions, taken(harness))
    gap = reader.longest_gap()
    with capsys.disabled():
        print(f"\nlongest gap of a reader, worker {'stays away' if stays_away else 'restarted at once'}: {gap:.1f} s")
    assert gap < promised * BUSY


def test_woken_zombie_commits_nothing(harness: DeliveryHarness) -> None:
    fresh, up = [worker for worker in (FIRST, SECOND) if worker not in harness.workers], harness.log().count(LISTENS)
    for worker in fresh:
        harness.start(worker)
    harness.until(lambda: harness.log().count(LISTENS) == up + len(fresh))  # who still starts is no zombie
    before = {share: len(harness.received(share)) for share in ("all", "city")}
    stood = taken(harness)
    versions = Versions(harness, first=50_000)
    write_until(harness, versions, stood)
    versions.grow(2_000)
    harness.workers[FIRST].send_signal(signal.SIGSTOP)
    versions.grow(400)
    harness.until(lambda: sum(taken(harness)) == sum(stood) + versions.count)
    harness.workers[FIRST].send_signal(signal.SIGCONT)
    woken = taken(harness)
    versions.grow(400)
    harness.until(lambda: sum(taken(harness)) == sum(stood) + versions.count)
    write_until(harness, versions, woken)
    harness.until(lambda: sum(taken(harness)) == sum(stood) + versions.count)

    for share, region in (("all", None), ("city", IN_CITY)):
        expected = {key: seen for key, found in versions.written.items() if (seen := told(found, region))}
        found = by_key(harness.received(share))
        assert {key: seen for key, seen in found.items() if key in versions.written} == expected
        books = harness.books(share)
        assert books.difference == 0
        assert books.forwarded + books.retracted == len(harness.received(share)) > before[share]
    for worker in (FIRST, SECOND):
        assert harness.stop(worker=worker) == 0
