"""Snapshots on a real Kafka: a leader and a follower begin with one that fits, and throw every other one away."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.tokens import IssueToken
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.snapshot import topic as snapshot_topic
from exchange.ledger.snapshot.manifest import Manifest
from exchange.ledger.snapshot.topic import MANIFESTS, PARTITIONS, Snapshots, write_snapshot
from exchange.ledger.store.follower import LedgerFollower, read_ledger
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.ledger.store.ledger_topic import LedgerTopic
from exchange.ledger.verify import verify
from exchange.settings import Settings
from exchange.signing import SigningKey
from tests.harness.ledger.years import ledger_of

pytestmark = pytest.mark.kafka
EVENTS = 1_200


@dataclass
class World:
    """A ledger and its snapshots' topic."""

    admin: Admin
    connection: Connection
    schemas: SchemaRepository
    key: SigningKey
    unique: str

    def __post_init__(self) -> None:
        self.place = LedgerTopic(f"{self.unique}.ledger", f"{self.unique}.broker", f"{self.unique}.broker")
        self.kept = f"{self.unique}.snapshot"
        specs = [
            NewTopicSpec(self.place.name, 1, topic_config(TopicKind.LEDGER)),
            NewTopicSpec(self.kept, PARTITIONS, topic_config(TopicKind.SNAPSHOT)),
        ]
        self.admin.create_topics(specs, 1)

    def tell(self, *events: LedgerEvent, topic: str = "") -> None:
        """Write events into the ledger."""
        codec = EventCodec(self.schemas)
        with closing(IdempotentProducer(self.connection)) as producer:
            for event in events:
                producer.send(topic or self.place.name, event.entity.encode(), codec.encode(event))
            producer.flush(Deadline.after(20))

    def put(self, partition: int, key: bytes, value: bytes) -> None:
        """Write into the topic of snapshots behind everybody's back."""
        with closing(IdempotentProducer(self.connection)) as producer:
            producer.send(self.kept, key, value, partition=partition)
            producer.flush(Deadline.after(20))

    def snapshots(self, key: SigningKey | None = None) -> Snapshots:
        """As a process reads them that has the public key."""
        return Snapshots(self.connection, (key or self.key).public, self.kept)

    def follower(self, snapshots: Snapshots | None = None) -> LedgerFollower:
        """One that has read to the end."""
        follower = LedgerFollower(self.connection, self.schemas, self.place.name, snapshots)
        with ExitStack() as stack:
            stack.callback(follower.close)
            follower.catch_up()
        return follower

    def snapshot(self, key: SigningKey | None = None) -> Manifest:
        """Write one of the state at the ledger's end."""
        ledger = self.follower()
        assert ledger.last_offset is not None
        return write_snapshot(self.connection, key or self.key, ledger.state, ledger.last_offset, self.kept)


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def world(admin: Admin, admin_connection: Connection, schemas: SchemaRepository, unique: str, tmp_path: Path) -> World:
    return World(admin, admin_connection, schemas, SigningKey.make(tmp_path / "key.pem"), unique)


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The sequence numbers of the events that followers fold."""
    from exchange.ledger.store import follower  # noqa: PLC0415 - its name for the fold is what is watched

    seen: list[int] = []
    fold = follower.apply

    def watched(state: object, event: LedgerEvent) -> None:
        seen.append(event.seq)
        fold(state, event)  # type: ignore[arg-type]

    monkeypatch.setattr(follower, "apply", watched)
    yield seen


def test_a_follower_folds_only_what_came_behind_the_snapshot(world: World, applied: list[int]) -> None:
    events = list(ledger_of(EVENTS))
    world.tell(*events[:1_000])
    world.snapshot()
    world.tell(*events[1_000:])
    applied.clear()

    found = world.follower(world.snapshots())

    assert applied == list(range(1_001, EVENTS + 1))
    assert found.last_offset == EVENTS - 1
    whole = world.follower()
    assert (found.state.seq, found.state.head) == (whole.state.seq, whole.state.head)
    assert (found.state.demands, found.state.grants) == (whole.state.demands, whole.state.grants)


def test_a_snapshot_of_the_very_end_is_taken_and_a_follower_goes_on_from_it(world: World, applied: list[int]) -> None:
    events = list(ledger_of(50))
    world.tell(*events[:49])
    world.snapshot()
    applied.clear()
    with closing(LedgerFollower(world.connection, world.schemas, world.place.name, world.snapshots())) as follower:
        follower.catch_up()
        assert (follower.state.seq, applied) == (49, [])

        world.tell(events[49])
        until = Deadline.after(20)
        while follower.state.seq < 50:
            assert not until.passed
            follower.poll(0.2)

    assert applied == [50]


def test_a_leader_begins_with_a_snapshot_and_answers_a_repetition_from_it(world: World, applied: list[int]) -> None:
    def led() -> LedgerStore:
        store = LedgerStore(world.connection, world.schemas, "one", topic=world.place, snapshots=world.snapshots())
        store.start()
        until = Deadline.after(40)
        while not store.leader:
            assert not until.passed
            store.wait(store.state.seq, 0.05)
        return store

    with closing(led()) as first:
        said = first.execute(IssueToken("auditor", None, "digest-1"), "operator", "key", Deadline.after(20))
        first.execute(IssueToken("auditor", None, "digest-2"), "operator", "other", Deadline.after(20))
    world.snapshot()
    applied.clear()

    with closing(led()) as second:
        again = second.execute(IssueToken("auditor", None, "digest-1"), "operator", "key", Deadline.after(20))
        assert (again.entities, again.first, again.repeated) == (said.entities, said.first, True)
        assert second.execute(IssueToken("auditor", None, "new"), "operator", "new", Deadline.after(20)).first == 3
    assert applied == [3]
    assert verify(read_ledger(world.connection, world.schemas, world.place.name)).seq == 3


def _of_another_chain(world: World) -> None:
    other = list(ledger_of(900, seed=2))
    topic = f"{world.unique}.other"
    world.admin.create_topics([NewTopicSpec(topic, 1, topic_config(TopicKind.LEDGER))], 1)
    world.tell(*other, topic=topic)
    with closing(LedgerFollower(world.connection, world.schemas, topic)) as ledger:
        ledger.catch_up()
        write_snapshot(world.connection, world.key, ledger.state, 899, world.kept)


def _beyond_the_end(world: World) -> None:
    """As after the ledger was restored from an older export."""
    later = list(ledger_of(EVENTS + 300))
    topic = f"{world.unique}.longer"
    world.admin.create_topics([NewTopicSpec(topic, 1, topic_config(TopicKind.LEDGER))], 1)
    world.tell(*later, topic=topic)
    with closing(LedgerFollower(world.connection, world.schemas, topic)) as ledger:
        ledger.catch_up()
        write_snapshot(world.connection, world.key, ledger.state, EVENTS + 299, world.kept)


def _at_the_very_end(world: World) -> None:
    ledger = world.follower()
    write_snapshot(world.connection, world.key, ledger.state, EVENTS, world.kept)


def _turned_in_place(world: World) -> None:
    """The record is there in its place, and one bit of it is another one."""
    manifest = world.snapshot()
    hashes = (hashlib.sha256(b"another").hexdigest(), *manifest.records[1:])
    world.put(MANIFESTS, b"a", replace(manifest, records=hashes).signed(world.key))


def _half_written(world: World) -> None:
    manifest = world.snapshot()
    missing = replace(manifest, records=(*manifest.records, "a" * 64))
    world.put(MANIFESTS, b"a", missing.signed(world.key))


def _not_signed(world: World) -> None:
    manifest = world.snapshot()
    world.put(MANIFESTS, b"a", b"\x00" * 64 + manifest.signed(world.key)[64:])


def _of_another_form(world: World) -> None:
    manifest = world.snapshot()
    world.put(MANIFESTS, b"a", replace(manifest, form="b" * 64).signed(world.key))


@pytest.mark.parametrize(
    "spoil",
    [
        _of_another_chain,
        _beyond_the_end,
        _at_the_very_end,
        _turned_in_place,
        _half_written,
        _not_signed,
        _of_another_form,
    ],
)
def test_a_snapshot_that_does_not_fit_is_thrown_away_and_the_ledger_is_read_from_its_beginning(
    world: World, applied: list[int], spoil: Callable[[World], None]
) -> None:
    world.tell(*ledger_of(EVENTS))
    spoil(world)
    applied.clear()

    found = world.follower(world.snapshots())

    assert applied == list(range(1, EVENTS + 1))
    whole = world.follower()
    assert found.state == whole.state


def test_a_snapshot_signed_with_another_key_is_thrown_away(world: World, applied: list[int], tmp_path: Path) -> None:
    world.tell(*ledger_of(100))
    world.snapshot(SigningKey.make(tmp_path / "other.pem"))
    applied.clear()

    world.follower(world.snapshots())

    assert len(applied) == 100


def test_the_older_snapshot_is_taken_when_the_newer_one_is_half_written(world: World, applied: list[int]) -> None:
    events = list(ledger_of(300))
    world.tell(*events[:100])
    world.snapshot()
    world.tell(*events[100:200])
    newer = world.snapshot()
    world.tell(*events[200:])
    world.put(MANIFESTS, b"b", replace(newer, records=(*newer.records, "a" * 64)).signed(world.key))
    applied.clear()

    found = world.follower(world.snapshots())

    assert applied == list(range(101, 301))
    assert found.state.seq == 300


def test_a_third_snapshot_is_written_over_the_oldest(world: World) -> None:
    events = list(ledger_of(300))
    for end in (100, 200, 300):
        world.tell(*events[end - 100 : end])
        world.snapshot()

    assert [manifest.seq for _, manifest in world.snapshots().manifests()] == [300, 200]
    assert [one.state.seq for one in world.snapshots().newest()] == [300, 200]


def test_a_large_snapshot_stands_in_many_records(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_topic, "_RECORD_BYTES", 1_000)
    world.tell(*ledger_of(500))

    assert len(world.snapshot().records) > 20

    found, whole = world.follower(world.snapshots()), world.follower()
    assert (found.state.head, found.state.demands) == (whole.state.head, whole.state.demands)


def test_without_the_topic_the_ledger_is_read_from_its_beginning(world: World) -> None:
    world.tell(*ledger_of(50))

    missing = Snapshots(world.connection, world.key.public, f"{world.unique}.none")

    assert world.follower(missing).state.seq == 50


def test_who_is_to_lead_reads_first_and_says_how_far_it_is(world: World) -> None:
    world.tell(*ledger_of(EVENTS))
    go_on = threading.Event()
    store = LedgerStore(world.connection, world.schemas, "reading", topic=world.place)
    fetch = store._follower.fetch

    def slowly(seconds: float) -> list[LedgerEvent]:
        if store.progress.offset and not go_on.is_set():
            go_on.wait(seconds)
            return []
        return fetch(seconds)

    store._follower.fetch = slowly  # type: ignore[method-assign]
    with closing(store):
        store.start()
        until = Deadline.after(60)
        while not store.progress.offset:
            assert not until.passed
            store.wait(0, 0.05)
        assert (store.progress.end, store.leader) == (EVENTS, False)
        with pytest.raises(ExchangeError, match="E_NOT_LEADER"):
            store.execute(IssueToken("auditor", None, "digest"), "operator", None, Deadline.after(20))

        go_on.set()
        while not store.leader:
            assert not until.passed
            store.wait(EVENTS, 0.05)

        said = store.execute(IssueToken("auditor", None, "digest"), "operator", None, Deadline.after(20))
        assert said.first == EVENTS + 1
