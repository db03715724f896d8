"""A ledger of an earlier version in a real Kafka: workers go on from it, one after the other, while clients command."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.commands import AddDepartment
from exchange.broker.grants.use import RecordUse
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.ledger.events.event import LedgerEvent, read_lines
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.snapshot.topic import PARTITIONS, Snapshots, write_snapshot
from exchange.ledger.store.command import Command
from exchange.ledger.store.follower import LedgerFollower, read_ledger
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.ledger.store.ledger_topic import LedgerTopic
from exchange.ledger.verify import Head, verify
from exchange.names import Department
from exchange.settings import Settings
from exchange.signing import SigningKey
from tests.harness.faults.history import History, violations
from tests.harness.ledger.clients import insist, wanted, written

pytestmark = pytest.mark.kafka
KEPT = Path(__file__).parents[2] / "unit" / "ledger" / "fixtures" / "kept-ledger.jsonl"
BY = Department("natural-resources")
CLIENTS, COMMANDS = 3, 25


def kept() -> list[LedgerEvent]:
    with KEPT.open(encoding="utf-8") as file:
        return list(read_lines(file))


def repeated() -> Iterator[tuple[str, str, Command]]:
    """(actor, idempotency key, command) as they were sent when the ledger was written."""
    use = RecordUse(
        grant="g-130",
        by=BY,
        scenario="开办企业核验",
        process="比对统一社会信用代码",
        effect="一次办结",
        storage="不留存",
    )
    yield "operator", "again-department", AddDepartment(BY)
    yield BY, "again-use", use


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


def led(store: LedgerStore) -> LedgerStore:
    until = Deadline.after(60)
    while not store.leader:
        assert not until.passed, "nobody leads"
        store.wait(store.state.seq, 0.05)
    return store


def test_workers_are_replaced_one_by_one_under_load_and_nothing_is_lost_or_done_twice(
    admin: Admin, admin_connection: Connection, schemas: SchemaRepository, unique: str, tmp_path: Path
) -> None:
    events, codec, key = kept(), EventCodec(schemas), SigningKey.make(tmp_path / "key.pem")
    place, snapshots = LedgerTopic(f"{unique}.ledger", f"{unique}.broker", f"{unique}.broker"), f"{unique}.snapshot"
    specs = [
        NewTopicSpec(place.name, 1, topic_config(TopicKind.LEDGER)),
        NewTopicSpec(snapshots, PARTITIONS, topic_config(TopicKind.SNAPSHOT)),
    ]
    admin.create_topics(specs, 1)
    with closing(IdempotentProducer(admin_connection)) as producer:
        for event in events:
            producer.send(place.name, event.entity.encode(), codec.encode(event))
        producer.flush(Deadline.after(20))

    history, until = History(), Deadline.after(150)
    done = threading.Event()
    with ExitStack() as stack, ThreadPoolExecutor(CLIENTS) as clients:
        stack.callback(done.set)

        def start(worker: str, known: Snapshots | None = None) -> LedgerStore:
            store = LedgerStore(admin_connection, schemas, worker, topic=place, snapshots=known)
            stack.callback(store.close)
            store.start()
            return store

        first = led(start("one"))
        assert_repeats(first, events)
        running = [clients.submit(client, lambda: first, history, number, until) for number in range(CLIENTS)]
        assert all(one.result() is None for one in running)
        with closing(LedgerFollower(admin_connection, schemas, place.name)) as ledger:
            ledger.catch_up()
            assert ledger.last_offset is not None
            write_snapshot(admin_connection, key, ledger.state, ledger.last_offset, snapshots)
        second = start("two", Snapshots(admin_connection, key.public, snapshots))
        leading = [first]
        running = [
            clients.submit(client, lambda: leading[0], history, number, until) for number in range(3, 3 + CLIENTS)
        ]
        first.close()
        leading[0] = led(second)
        assert all(one.result() is None for one in running)
        assert_repeats(second, events)

    found = list(read_ledger(admin_connection, schemas, place.name))
    assert verify(found, Head(events[-1].seq, events[-1].hash)).seq == len(found)
    ours = [one for one in written(found) if one.seq > len(events)]
    assert violations(history.operations.values(), ours) == []
    assert history.open == []
    assert len(history.operations) == 2 * CLIENTS * COMMANDS


def client(leader: Callable[[], LedgerStore], history: History, number: int, until: Deadline) -> None:
    """Command until everything is answered, whoever leads."""
    for one in islice(wanted(f"client-{number}"), COMMANDS):
        while True:
            try:
                insist(leader(), history, [one], Deadline.after(5))
                break
            except ExchangeError:
                assert not until.passed, "a command was not answered in time"


def assert_repeats(store: LedgerStore, events: list[LedgerEvent]) -> None:
    for actor, key, command in repeated():
        answer = store.execute(command, actor, key, Deadline.after(20))
        before = [event for event in events if (event.actor, event.command_id) == (actor, key)]
        assert answer.repeated
        assert (answer.entities, answer.first) == (tuple(event.entity for event in before), before[0].seq)
