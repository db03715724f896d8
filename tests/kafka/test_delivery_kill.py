"""A real delivery worker on a real Kafka, killed in the middle of its work: nothing lost, doubled or out of order."""

import json
import random
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from exchange import names
from exchange.delivery.state import UnitState
from exchange.embedded.kafka import EmbeddedKafka
from exchange.kafka.admin import Acl
from exchange.ledger.state import Condition
from exchange.names import ShareName
from exchange.testing.delivery_ground import REGISTRY, DeliveryGround, headers

pytestmark = pytest.mark.kafka
CITY = (Condition("region", "equals", ("340800",)),)
Version = tuple[str, str] | None
"""(name, region) of a version; None = withdrawn."""


class Registry:
    """Versions of companies, some withdrawn, some leaving and entering the city; remembers what it wrote."""

    def __init__(self, ground: DeliveryGround) -> None:
        self._ground = ground
        self._random = random.Random(20261124)
        optional = {item["name"]: None for item in ground.schema.schema["fields"] if "default" in item}
        said = {"established": date(2020, 1, 1), "status": "active", "registration_authority": "a"}
        self._record = optional | said | {"authority_code": "11340000MB1990000X"}
        self.versions: dict[bytes, list[Version]] = {}
        self.count = 0

    def grow(self, records: int) -> None:
        """Write records in one transaction."""
        batch = []
        for _ in range(records):
            number = self._random.randrange(400)
            key = b"9134%014d" % number
            self.count += 1
            region = self._random.choice(["340800", "340100"])
            version = None if self._random.random() < 0.1 else (f"version {self.count}", region)
            self.versions.setdefault(key, []).append(version)
            batch.append(
                (REGISTRY, key, self._value(key, version), number % self._ground.partitions, headers(self.count))
            )
        self._ground.write(batch)

    def _value(self, key: bytes, version: Version) -> bytes | None:
        if version is None:
            return None
        name, region = version
        return self._ground.encode(self._record | {"credit_code": key.decode(), "name": name, "region": region})


def told(versions: list[Version], region: str | None) -> list[str | None]:
    """What a grantee has to see of one key: names, and None for each tombstone; of one region, if given."""
    seen: list[str | None] = []
    for version in versions:
        if version is not None and region in (None, version[1]):
            seen.append(version[0])
        elif region is None or (seen and seen[-1] is not None):
            seen.append(None)
    return seen


def by_key(received: list[tuple[bytes, dict[str, Any] | None]]) -> dict[bytes, list[str | None]]:
    found: dict[bytes, list[str | None]] = {}
    for key, record in received:
        found.setdefault(key, []).append(None if record is None else record["name"])
    return found


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeliveryGround]:
    """A Kafka of our own, with three shares: its ledger and its delivery group are shared with nobody."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-delivery")).start() as kafka:
        found = DeliveryGround(tmp_path_factory.mktemp("ground"), kafka)
        found.allow_own()
        found.share("all")
        found.share("city", scope=CITY)
        found.share("hidden", ("name", "region"), pseudonymous=True)
        yield found
        found.stop_all()


def test_killed_worker_loses_doubles_and_reorders_nothing(ground: DeliveryGround) -> None:
    registry = Registry(ground)
    ground.start()
    ground.until(lambda: ground.joined("all", "city", "hidden"))
    for _ in range(2):
        seen = ground.taken()
        for _ in range(6):
            registry.grow(400)
        ground.until(lambda seen=seen: ground.taken() > seen)  # type: ignore[misc]
        registry.grow(400)
        ground.stop(signal.SIGKILL)
        registry.grow(200)
        ground.start()
    ground.until(lambda: ground.taken() == registry.count)

    assert by_key(ground.received("all")) == {key: told(found, None) for key, found in registry.versions.items()}
    expected = {key: told(found, "340800") for key, found in registry.versions.items()}
    assert by_key(ground.received("city")) == {key: seen for key, seen in expected.items() if seen}
    hidden = by_key(ground.received("hidden"))
    assert not hidden.keys() & registry.versions.keys()
    assert sorted(map(str, hidden.values())) == sorted(str(told(found, None)) for found in registry.versions.values())
    for share in ("all", "city", "hidden"):
        books = ground.books(share)
        recount = Counter(record is None for _, record in ground.received(share))
        assert (books.taken, books.difference) == (registry.count, 0)
        assert (books.forwarded, books.retracted) == (recount[False], recount[True])


def why_left_out(state: UnitState) -> str | None:
    """Why the poor share is left out of a partition."""
    place = state.place(ShareName("poor"))
    return None if place is None else place.suspended


def test_share_that_kafka_refuses_is_suspended_alone(ground: DeliveryGround) -> None:
    ground.admin.revoke([Acl(names.DELIVERY, "topic", "share.", "write", prefixed=True)])
    ground.admin.grant(
        Acl(names.DELIVERY, "topic", names.share_topic(share), "write") for share in ("all", "city", "hidden")
    )
    registry = Registry(ground)
    ground.share("poor")
    ground.start()
    ground.until(lambda: all(state.has("poor") for state in ground.states()))
    already = ground.books("all").taken
    registry.grow(50)
    ground.until(lambda: ground.books("all").taken == already + 50)
    ground.until(lambda: {why_left_out(state) for state in ground.states()} == {"E_SHARE_UNWRITABLE"})
    assert ground.books("poor").difference == 0
    assert ground.received("poor") == []
    suspended = [line for line in ground.log().splitlines() if "delivery.share_suspended" in line]
    assert {json.loads(line)["code"] for line in suspended} == {"E_SHARE_UNWRITABLE"}
    assert ground.stop() == 0
