"""A real delivery worker on a real Kafka, killed in the middle of its work: nothing lost, doubled or out of order."""

import io
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.broker.enforcement_wanted import own_acls
from exchange.clock import Deadline, SystemClock, format_time
from exchange.delivery.state import Counts, UnitState
from exchange.embedded.kafka import EmbeddedKafka
from exchange.kafka.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.connection import Connection
from exchange.kafka.producer import TransactionalProducer
from exchange.kafka.reader import read_to_end
from exchange.kafka.topics import TopicKind, topic_config
from exchange.ledger.events import FIRST_HASH, LedgerEvent
from exchange.ledger.state import Condition, Terms
from exchange.ledger.terms import terms_to_json
from exchange.ledger.wire import EventCodec
from exchange.record import frame, source_of
from exchange.settings import Settings

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).resolve().parents[2]
TYPE = names.RecordType("legal-entity.registration")
PROVIDER = names.Department("market-regulation")
REGISTRY = names.registry_topic(TYPE)
STATE = names.delivery_topic(TYPE)
EIGHT = ("credit_code", "name", "established", "region", "status", "authority_code", "approved", "entity_type")
CITY = (Condition("region", "equals", ("340800",)),)
SOURCE = source_of(PROVIDER)


class Ground:
    """A Kafka with a ledger, one registry and shares, and a delivery worker on it."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka, partitions: int = 2) -> None:
        self.folder, self.kafka, self.partitions = folder, kafka, partitions
        self.schemas = SchemaRepository.load(Settings().schemas)
        self.schema = self.schemas.latest(TYPE)
        self.connection = Connection.of(kafka.admin_settings())
        self.admin = Admin(self.connection)
        self.deadline = Deadline.after(300)
        self.worker: subprocess.Popen[bytes] | None = None
        self.shares: dict[str, dict[str, Any]] = {}
        self._head, self._seq = FIRST_HASH, 0
        self._codec = EventCodec(self.schemas)
        (folder / "delivery.secret").write_text(secrets.token_urlsafe(18))
        (folder / "master.secret").write_text(secrets.token_urlsafe(32))
        self.admin.set_secret(names.DELIVERY, (folder / "delivery.secret").read_text())
        self.make((names.LEDGER_TOPIC, TopicKind.LEDGER, 1))
        self.make((REGISTRY, TopicKind.REGISTRY, partitions), (STATE, TopicKind.LINE_STATE, partitions))
        self.producer = TransactionalProducer(self.connection, f"ground-{secrets.token_hex(3)}", 60_000)
        self.producer.start(self.deadline)
        resource = {"resource": "r", "record_type": TYPE, "provider": PROVIDER, "name": "r", "name_en": "r"}
        self.say(
            "resource-published", resource | {"sharing": "unconditional", "fields": {}, "update_cycle_seconds": 60}
        )

    def make(self, *topics: tuple[str, TopicKind, int]) -> None:
        specs = [NewTopicSpec(name, count, topic_config(kind)) for name, kind, count in topics]
        self.admin.create_topics(specs, 1)

    def allow_own(self) -> None:
        """The rights that the reconciler gives to our principals."""
        self.admin.grant([acl for acl in own_acls() if acl.principal == names.DELIVERY])

    def say(self, event: str, data: dict[str, Any]) -> None:
        """Append one event to the ledger."""
        self._seq += 1
        now = format_time(SystemClock().now())
        said = LedgerEvent(self._seq, event, now, "test", "test", None, self._head, data)
        self._head = said.hash
        self.write([(names.LEDGER_TOPIC, b"test", self._codec.encode(said), 0, None)])

    def share(self, share: str, fields: tuple[str, ...] = EIGHT, **terms: Any) -> None:
        """Make a share's topic, then let the ledger say that there is one."""
        self.make((names.share_topic(share), TopicKind.SHARE, self.partitions))
        cut = Terms(TYPE, PROVIDER, fields, **terms)
        schema = subset_schema(self.schema.schema, fields, dict(cut.masks), "Share")
        self.shares[share] = schema
        schema_id = 100_000 + len(self.shares)
        said = {
            "share": share,
            "terms": terms_to_json(cut),
            "schema_id": schema_id,
            "schema": schema,
            "master_version": 1,
        }
        self.say("share-created", said)

    def write(self, records: list[tuple[str, bytes, bytes | None, int, Any]]) -> None:
        """One transaction with records (topic, key, value, partition, headers)."""
        self.producer.begin()
        for topic, key, value, partition, headers in records:
            self.producer.produce(topic, value, key, partition, headers=headers)
        self.producer.commit(self.deadline)

    def start(self, **environment: str) -> None:
        """Start the worker."""
        settings = self.kafka.settings(names.DELIVERY, self.folder / "delivery.secret")
        own = {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": names.DELIVERY,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(self.folder / "delivery.secret"),
            "EXCHANGE_MASTER_SECRET_FILE": str(self.folder / "master.secret"),
            "EXCHANGE_METRICS__PORT": "0",
            "EXCHANGE_WORKER_ID": "deliver-test",
        }
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-c", "from exchange.cli.main import app; app()", "deliver"],
                env={**os.environ, **own, **environment},
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End the worker and return its exit status."""
        assert self.worker is not None
        self.worker.send_signal(how)
        status = self.worker.wait(30)
        self.worker = None
        return status

    def states(self) -> list[UnitState]:
        """What the line has written about itself, by partition."""
        found = [UnitState() for _ in range(self.partitions)]
        for message in self.read(STATE):
            found[message.partition()].apply(message.key(), message.value())
        return found

    def read(self, topic: str) -> list[Any]:
        places = [(topic, partition) for partition in range(self.partitions)]
        return list(read_to_end(self.connection, places, Deadline.after(30)))

    def received(self, share: str) -> list[tuple[bytes, dict[str, Any] | None]]:
        """What stands in a share, decoded, each partition in its order."""
        schema = fastavro.parse_schema(self.shares[share])
        return [(m.key(), _decode(schema, m.value())) for m in self.read(names.share_topic(share))]

    def until(self, what: Callable[[], bool], seconds: float = 40) -> None:
        """Wait until something holds, while the worker lives."""
        deadline = Deadline.after(seconds)
        while not what():
            assert not deadline.passed, self.log()
            assert self.worker is None or self.worker.poll() is None, self.log()
            threading.Event().wait(0.05)

    def taken(self, count: int, share: str | None = None) -> Callable[[], bool]:
        """Whether the units together (or a share) have taken so many records."""

        def reached() -> bool:
            states = self.states()
            if share is not None:
                return sum(s.counts.get(share, Counts()).taken for s in states) == count
            return sum(s.taken for s in states) == count

        return reached

    def joined(self, *shares: str) -> Callable[[], bool]:
        """Whether shares have joined on all partitions."""
        return lambda: all(share in state.joins for state in self.states() for share in shares)

    def books(self, share: str) -> Counts:
        """The books of a share over all partitions."""
        total = Counts()
        for state in self.states():
            total.add(state.counts[share])
        return total

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()[-6000:]


def _decode(schema: Any, value: bytes | None) -> dict[str, Any] | None:
    return None if value is None else fastavro.schemaless_reader(io.BytesIO(value[5:]), schema)


def headers(number: int) -> list[tuple[str, bytes]]:
    """Headers in the order in which admission writes them."""
    named = {"ce_specversion": b"1.0", "ce_id": b"id.%d" % number, "ce_source": SOURCE, "ce_type": TYPE.encode()}
    named |= {"ce_time": b"2026-11-24T00:00:00Z", "content-type": b"application/avro", "ce_sequence": b"%d" % number}
    return list(named.items())


class Registry:
    """Versions of companies, some withdrawn, some leaving and entering the city; remembers what it wrote."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._random = random.Random(20261124)
        self._schema = fastavro.parse_schema(ground.schema.schema)
        self._frame = frame(ground.schema.id)
        self.versions: dict[bytes, list[tuple[str, str] | None]] = {}
        """Key -> (name, region) of every version in order; None = withdrawn."""
        self.count = 0

    def grow(self, records: int) -> None:
        """Write records in one transaction."""
        batch = []
        for _ in range(records):
            number = self._random.randrange(400)
            key = b"9134%014d" % number
            self.count += 1
            version = (
                None
                if self._random.random() < 0.1
                else (f"version {self.count}", self._random.choice(["340800", "340100"]))
            )
            self.versions.setdefault(key, []).append(version)
            value = None if version is None else self._frame + self.encode(key.decode(), *version)
            batch.append((REGISTRY, key, value, number % self._ground.partitions, headers(self.count)))
        self._ground.write(batch)

    def encode(self, code: str, name: str, region: str) -> bytes:
        out = io.BytesIO()
        optional = {item["name"]: None for item in self._ground.schema.schema["fields"] if "default" in item}
        said = {"credit_code": code, "name": name, "established": 16000, "region": region, "status": "active"}
        said |= {"registration_authority": "a", "authority_code": "11340000MB1990000X"}
        fastavro.schemaless_writer(out, self._schema, optional | said)
        return out.getvalue()


def told(versions: list[tuple[str, str] | None], region: str | None) -> list[str | None]:
    """What a grantee has to see of one key: names, and None for each tombstone; of one region, if given."""
    seen: list[str | None] = []
    for version in versions:
        inside = version is not None and region in (None, version[1])
        if inside:
            seen.append(version[0])
        elif region is None or (seen and seen[-1] is not None):
            seen.append(None)
    return seen


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A Kafka of our own: its ledger and its delivery group are shared with nobody."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka-delivery")).start() as kafka:
        found = Ground(tmp_path_factory.mktemp("ground"), kafka)
        yield found
        if found.worker is not None:
            found.stop(signal.SIGKILL)


def by_key(received: list[tuple[bytes, dict[str, Any] | None]]) -> dict[bytes, list[str | None]]:
    found: dict[bytes, list[str | None]] = {}
    for key, record in received:
        found.setdefault(key, []).append(None if record is None else record["name"])
    return found


def test_killed_worker_loses_doubles_and_reorders_nothing(ground: Ground) -> None:
    ground.allow_own()
    ground.share("all")
    ground.share("city", scope=CITY)
    ground.share("hidden", ("name", "region"), pseudonymous=True)
    registry = Registry(ground)
    ground.start()
    ground.until(ground.joined("all", "city", "hidden"))
    for _ in range(3):
        seen = sum(state.taken for state in ground.states())
        for _ in range(6):
            registry.grow(400)
        ground.until(lambda seen=seen: sum(state.taken for state in ground.states()) > seen)  # type: ignore[misc]
        registry.grow(400)
        ground.stop(signal.SIGKILL)
        registry.grow(200)
        ground.start()
    ground.until(ground.taken(registry.count))
    assert ground.stop() == 0

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


def test_share_joins_an_idle_unit_and_gets_only_what_comes_after(ground: Ground) -> None:
    registry = Registry(ground)
    before = sum(state.taken for state in ground.states())
    ground.start()
    ground.share("late")
    ground.until(ground.joined("late"))
    assert [(state.joins["late"].joined, state.joins["late"].taken) for state in ground.states()] == [
        (state.totals.next, state.taken) for state in ground.states()
    ]
    registry.grow(50)
    ground.until(ground.taken(50, "late"))
    assert ground.books("late").taken == 50
    assert sum(state.taken for state in ground.states()) == before + 50
    assert by_key(ground.received("late")) == {key: told(found, None) for key, found in registry.versions.items()}
    ground.say("share-deleted", {"share": "late"})
    ground.until(lambda: all("late" not in state.joins for state in ground.states()))
    assert ground.stop() == 0


def test_share_that_kafka_refuses_is_suspended_alone(ground: Ground) -> None:
    ground.allow_own()
    rights = [Acl(names.DELIVERY, "topic", "share.", "write", prefixed=True)]
    ground.admin.revoke(rights)
    single = [Acl(names.DELIVERY, "topic", names.share_topic(share), "write") for share in ground.shares]
    ground.admin.grant(single)
    registry = Registry(ground)
    ground.share("poor")
    ground.start()
    ground.until(ground.joined("poor"))
    already = ground.books("all").taken
    registry.grow(50)
    ground.until(ground.taken(already + 50, "all"))
    places = [state.joins["poor"].suspended for state in ground.states()]
    assert "E_SHARE_UNWRITABLE" in places
    assert ground.books("poor").difference == 0
    assert ground.received("poor") == []
    assert "share_suspended" in ground.log()
    assert all(json.loads(line) for line in ground.log().splitlines()[1:])
    assert ground.stop() == 0
