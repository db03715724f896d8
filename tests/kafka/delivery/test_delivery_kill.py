"""A real delivery worker on a real Kafka, killed in the middle of its work: nothing lost, doubled or out of order."""

import json
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from exchange import names
from exchange.delivery.state import UnitState
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Acl
from exchange.names import ShareName
from tests.harness.kafka.delivery import DeliveryHarness
from tests.harness.kafka.delivery_versions import CITY, Versions, by_key, told

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeliveryHarness]:
    """A Kafka of our own, with three shares: its ledger and its delivery group are shared with nobody."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-delivery")).start() as kafka:
        found = DeliveryHarness(tmp_path_factory.mktemp("harness"), kafka)
        found.allow_own()
        found.share("all")
        found.share("city", scope=CITY)
        found.share("hidden", ("name", "region"), pseudonymous=True)
        yield found
        found.stop_all()


def test_killed_worker_loses_doubles_and_reorders_nothing(harness: DeliveryHarness) -> None:
    registry = Versions(harness)
    harness.start()
    harness.until(lambda: harness.joined("all", "city", "hidden"))
    for _ in range(2):
        seen = harness.taken()
        for _ in range(6):
            registry.grow(400)
        harness.until(lambda seen=seen: harness.taken() > seen)  # type: ignore[misc]
        registry.grow(400)
        harness.stop(signal.SIGKILL)
        registry.grow(200)
        harness.start()
    harness.until(lambda: harness.taken() == registry.count)

    assert by_key(harness.received("all")) == {key: told(found, None) for key, found in registry.written.items()}
    expected = {key: told(found, "340800") for key, found in registry.written.items()}
    assert by_key(harness.received("city")) == {key: seen for key, seen in expected.items() if seen}
    hidden = by_key(harness.received("hidden"))
    assert not hidden.keys() & registry.written.keys()
    assert sorted(map(str, hidden.values())) == sorted(str(told(found, None)) for found in registry.written.values())
    for share in ("all", "city", "hidden"):
        books = harness.books(share)
        recount = Counter(record is None for _, record in harness.received(share))
        assert (books.taken, books.difference) == (registry.count, 0)
        assert (books.forwarded, books.retracted) == (recount[False], recount[True])


def why_left_out(state: UnitState) -> str | None:
    """Why the poor share is left out of a partition."""
    place = state.place(ShareName("poor"))
    return None if place is None else place.suspended


def test_share_that_kafka_refuses_is_suspended_alone(harness: DeliveryHarness) -> None:
    harness.admin.revoke([Acl(names.DELIVERY, "topic", "share.", "write", prefixed=True)])
    harness.admin.grant(
        Acl(names.DELIVERY, "topic", names.share_topic(share), "write") for share in ("all", "city", "hidden")
    )
    registry = Versions(harness)
    harness.share("poor")
    harness.start()
    harness.until(lambda: all(state.has("poor") for state in harness.states()))
    already = harness.books("all").taken
    registry.grow(50)
    harness.until(lambda: harness.books("all").taken == already + 50)
    harness.until(lambda: {why_left_out(state) for state in harness.states()} == {"E_SHARE_UNWRITABLE"})
    assert harness.books("poor").difference == 0
    assert harness.received("poor") == []
    suspended = [line for line in harness.log().splitlines() if "delivery.share_suspended" in line]
    assert {json.loads(line)["code"] for line in suspended} == {"E_SHARE_UNWRITABLE"}
    assert harness.stop() == 0
