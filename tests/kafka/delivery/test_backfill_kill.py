"""Late shares on a real Kafka: backfilled together while live traffic goes on, with the worker killed in the middle."""

import json
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from exchange.delivery.state import Backfilling
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.ledger.state.ledger_state import Condition
from exchange.names import ShareName, share_topic
from tests.harness.kafka.delivery import DeliveryHarness
from tests.harness.kafka.delivery_versions import CITY, IN_CITY, Versions, by_key

pytestmark = pytest.mark.kafka
NOWHERE = (Condition("region", "equals", ("999999",)),)
LATE = ("late-all", "late-city", "late-hidden", "late-other")


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeliveryHarness]:
    """A Kafka of our own with one share from the beginning."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-backfill")).start() as kafka:
        found = DeliveryHarness(tmp_path_factory.mktemp("harness"), kafka)
        found.allow_own()
        found.share("first")
        yield found
        found.stop_all()


def stands(harness: DeliveryHarness, share: str) -> int:
    """Offsets of a share so far."""
    places = [(str(share_topic(ShareName(share))), partition) for partition in range(harness.partitions)]
    return sum(harness.admin.end_offsets(places).values())


def places(harness: DeliveryHarness) -> list[Backfilling]:
    return [place for state in harness.states() for place in state.backfills.values()]


def test_killed_backfill_goes_on_where_it_was_and_shows_only_the_present(harness: DeliveryHarness) -> None:
    versions = Versions(harness, keys=5_000)
    harness.start()
    harness.until(lambda: harness.joined("first"))
    for _ in range(3):
        versions.grow(4_000)
    harness.until(lambda: harness.taken() == versions.count)
    granted = versions.now()
    harness.share("late-all")
    harness.share("late-city", scope=CITY)
    harness.share("late-hidden", ("name", "region"), pseudonymous=True)
    harness.share("late-other", ("name", "status"), pseudonymous=True)
    interrupted = 0
    for more in (500, 1_800, 3_200):
        versions.grow(200)
        harness.until(lambda more=more: stands(harness, "late-all") > more, pause=0.02)  # type: ignore[misc]
        harness.stop(signal.SIGKILL)
        interrupted += any(place.position for place in places(harness))
        versions.grow(200)
        harness.start()
    assert interrupted
    harness.until(lambda: harness.joined(*LATE))
    versions.grow(400)
    harness.until(lambda: harness.taken() == versions.count)

    assert versions.faults(by_key(harness.received("late-all")), granted) == {}
    assert versions.faults(by_key(harness.received("late-city")), granted, IN_CITY) == {}
    assert versions.faults(by_key(harness.received("first")), {}) == {}
    hidden = by_key(harness.received("late-hidden"))
    last = {key: found[-1][0] for key, found in versions.written.items() if found[-1] is not None}
    assert sorted(str(seen[-1]) for seen in hidden.values() if seen[-1] is not None) == sorted(last.values())
    assert not hidden.keys() & versions.written.keys()
    for share in LATE:
        books, recount = harness.books(share), Counter(record is None for _, record in harness.received(share))
        assert (books.forwarded, books.retracted, books.difference) == (recount[False], recount[True], 0)
        assert harness.taken() == books.taken + sum(state.joins[share].taken for state in harness.states())


def test_no_identifier_can_be_read_from_a_pseudonymous_share_the_log_or_metrics(harness: DeliveryHarness) -> None:
    harness.start()
    harness.until(lambda: "exchange_" in harness.metrics())
    metrics = harness.metrics()
    clear = {message.key() or b"" for message in harness.read(share_topic(ShareName("late-all")))}
    assert len(clear) > 1_000
    hidden = harness.read(share_topic(ShareName("late-hidden")))
    shown = b"\n".join(
        part
        for message in hidden
        for part in (message.key() or b"", message.value() or b"", *(value for _, value in message.headers() or ()))
    )
    told = (harness.log() + metrics).encode()
    assert [key for key in clear if key in shown or key in told] == []


def test_two_pseudonymous_shares_have_no_header_by_which_their_records_could_be_joined(
    harness: DeliveryHarness,
) -> None:
    """Whoever reads both finds the provider, the kind and the day in both; the order of each is its own, and grows."""
    told: list[dict[str, set[bytes]]] = []
    for share in ("late-hidden", "late-other"):
        values: dict[str, set[bytes]] = {}
        last: dict[tuple[int | None, bytes | None], int] = {}
        for message in harness.read(share_topic(ShareName(share))):
            headers = dict(message.headers() or ())
            for name, value in headers.items():
                values.setdefault(name, set()).add(value)
            place, sequence = (message.partition(), message.key()), int(headers["ce_sequence"])
            assert sequence > last.get(place, 0), "newer versions of a key have a greater sequence, over every kill"
            last[place] = sequence
        told.append(values)
    one, other = told
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] & other[name]} == {
        "ce_specversion",
        "ce_source",
        "ce_type",
        "ce_time",
        "content-type",
    }
    assert len(one["ce_time"]) <= 2, "the day in China, and perhaps the next one"
    assert len(one["ce_sequence"]) > 1_000


def test_latecomer_joins_an_idle_unit_soon(harness: DeliveryHarness) -> None:
    harness.start()
    harness.share("empty", scope=NOWHERE)
    harness.until(lambda: harness.joined("empty"))
    assert harness.received("empty") == []
    harness.say("share-deleted", {"share": "empty"})
    harness.until(lambda: not any(state.has(ShareName("empty")) for state in harness.states()))
    events = [json.loads(line)["event"] for line in harness.log().splitlines() if line.startswith("{")]
    assert "delivery.backfill_began" in events
    assert harness.stop() == 0
