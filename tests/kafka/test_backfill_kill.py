"""Late shares on a real Kafka: backfilled together while live traffic goes on, with the worker killed in the middle."""

import json
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from exchange.delivery.state import Backfilling
from exchange.embedded.kafka import EmbeddedKafka
from exchange.ledger.state import Condition
from exchange.names import ShareName, share_topic
from exchange.testing.delivery_ground import DeliveryGround
from exchange.testing.delivery_versions import CITY, IN_CITY, Versions, by_key

pytestmark = pytest.mark.kafka
NOWHERE = (Condition("region", "equals", ("999999",)),)
LATE = ("late-all", "late-city", "late-hidden")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeliveryGround]:
    """A Kafka of our own with one share from the beginning."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-backfill")).start() as kafka:
        found = DeliveryGround(tmp_path_factory.mktemp("ground"), kafka)
        found.allow_own()
        found.share("first")
        yield found
        found.stop_all()


def stands(ground: DeliveryGround, share: str) -> int:
    """Offsets of a share so far."""
    places = [(str(share_topic(ShareName(share))), partition) for partition in range(ground.partitions)]
    return sum(ground.admin.end_offsets(places).values())


def places(ground: DeliveryGround) -> list[Backfilling]:
    return [place for state in ground.states() for place in state.backfills.values()]


def test_killed_backfill_goes_on_where_it_was_and_shows_only_the_present(ground: DeliveryGround) -> None:
    versions = Versions(ground, keys=5_000)
    ground.start()
    ground.until(lambda: ground.joined("first"))
    for _ in range(3):
        versions.grow(4_000)
    ground.until(lambda: ground.taken() == versions.count)
    granted = versions.now()
    ground.share("late-all")
    ground.share("late-city", scope=CITY)
    ground.share("late-hidden", ("name", "region"), pseudonymous=True)
    interrupted = 0
    for more in (500, 1_800, 3_200):
        versions.grow(200)
        ground.until(lambda more=more: stands(ground, "late-all") > more, pause=0.02)  # type: ignore[misc]
        ground.stop(signal.SIGKILL)
        interrupted += any(place.position for place in places(ground))
        versions.grow(200)
        ground.start()
    assert interrupted
    ground.until(lambda: ground.joined(*LATE))
    versions.grow(400)
    ground.until(lambda: ground.taken() == versions.count)

    assert versions.faults(by_key(ground.received("late-all")), granted) == {}
    assert versions.faults(by_key(ground.received("late-city")), granted, IN_CITY) == {}
    assert versions.faults(by_key(ground.received("first")), {}) == {}
    hidden = by_key(ground.received("late-hidden"))
    last = {key: found[-1][0] for key, found in versions.written.items() if found[-1] is not None}
    assert sorted(str(seen[-1]) for seen in hidden.values() if seen[-1] is not None) == sorted(last.values())
    assert not hidden.keys() & versions.written.keys()
    for share in LATE:
        books, recount = ground.books(share), Counter(record is None for _, record in ground.received(share))
        assert (books.forwarded, books.retracted, books.difference) == (recount[False], recount[True], 0)
        assert ground.taken() == books.taken + sum(state.joins[share].taken for state in ground.states())


def test_no_identifier_can_be_read_from_a_pseudonymous_share_the_log_or_metrics(ground: DeliveryGround) -> None:
    ground.start()
    ground.until(lambda: "exchange_" in ground.metrics())
    metrics = ground.metrics()
    clear = {message.key() or b"" for message in ground.read(share_topic(ShareName("late-all")))}
    assert len(clear) > 1_000
    hidden = ground.read(share_topic(ShareName("late-hidden")))
    shown = b"\n".join(
        part
        for message in hidden
        for part in (message.key() or b"", message.value() or b"", *(value for _, value in message.headers() or ()))
    )
    told = (ground.log() + metrics).encode()
    assert [key for key in clear if key in shown or key in told] == []


def test_latecomer_joins_an_idle_unit_soon(ground: DeliveryGround) -> None:
    ground.start()
    ground.share("empty", scope=NOWHERE)
    ground.until(lambda: ground.joined("empty"))
    assert ground.received("empty") == []
    ground.say("share-deleted", {"share": "empty"})
    ground.until(lambda: not any(state.has(ShareName("empty")) for state in ground.states()))
    events = [json.loads(line)["event"] for line in ground.log().splitlines() if line.startswith("{")]
    assert "delivery.backfill_began" in events
    assert ground.stop() == 0
