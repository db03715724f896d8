import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.tokens import IssueToken, RevokeToken
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.follower import LedgerFollower, read_ledger
from exchange.ledger.store.leader_term import Term
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.ledger.store.ledger_topic import LedgerTopic
from exchange.ledger.verify import verify
from exchange.names import HEARTBEAT_KEY
from exchange.settings import KafkaSettings, Settings
from tests.harness.faults.history import History, violations
from tests.harness.ledger.clients import Wanted, hear, insist, wanted, written

pytestmark = pytest.mark.kafka
CHILD = Path(__file__).with_name("ledger_broker.py")
OPERATOR = "operator"
CLIENTS = 4


@pytest.fixture(scope="module")
def schemas() -> SchemaRepository:
    return SchemaRepository.load(Settings().schemas)


@pytest.fixture
def place(admin: Admin, unique: str) -> LedgerTopic:
    topic = f"{unique}.ledger"
    admin.create_topics([NewTopicSpec(topic, 1, topic_config(TopicKind.LEDGER))], 1)
    return LedgerTopic(topic, f"{unique}.broker", f"{unique}.broker")


@pytest.fixture
def start(
    admin_connection: Connection, schemas: SchemaRepository, place: LedgerTopic
) -> Iterator[Callable[[str], LedgerStore]]:
    with ExitStack() as stores:

        def start(worker: str) -> LedgerStore:
            store = LedgerStore(admin_connection, schemas, worker, topic=place)
            stores.callback(store.close)
            store.start()
            return store

        yield start


def led(store: LedgerStore) -> LedgerStore:
    wait_until(lambda: store.leader, "the store leads")
    return store


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 40) -> None:
    deadline = Deadline.after(seconds)
    pause = threading.Event()
    while not holds():
        assert not deadline.passed, f"not in time: {what}"
        pause.wait(0.02)


def token(number: object) -> IssueToken:
    return IssueToken("auditor", None, f"digest-{number}")


def soon() -> Deadline:
    return Deadline.after(20)


def events(connection: Connection, schemas: SchemaRepository, place: LedgerTopic) -> list[LedgerEvent]:
    found = list(read_ledger(connection, schemas, place.name))
    verify(found)
    return found


def test_answered_command_can_be_read_here_and_by_followers(
    start: Callable[[str], LedgerStore], admin_connection: Connection, schemas: SchemaRepository, place: LedgerTopic
) -> None:
    store = led(start("one"))

    result = store.execute(token(1), OPERATOR, None, soon())

    assert result.entities == ("t-1",)
    assert store.read(lambda state: state.tokens["t-1"].digest) == "digest-1"
    follower = LedgerFollower(admin_connection, schemas, place.name)
    follower.catch_up()
    assert follower.state.seq == 1
    assert follower.state.head == store.state.head
    follower.close()


def test_a_heartbeat_that_ended_a_hanging_transaction_is_no_event(
    start: Callable[[str], LedgerStore], admin_connection: Connection, schemas: SchemaRepository, place: LedgerTopic
) -> None:
    producer = IdempotentProducer(admin_connection)
    producer.send(place.name, HEARTBEAT_KEY, None)
    producer.flush(soon())
    producer.close()

    assert led(start("one")).execute(token(1), OPERATOR, None, soon()).first == 1
    assert [event.seq for event in events(admin_connection, schemas, place)] == [1]


def test_refused_command_leaves_no_trace(start: Callable[[str], LedgerStore]) -> None:
    store = led(start("one"))

    with pytest.raises(ExchangeError, match="E_NOT_FOUND"):
        store.execute(RevokeToken("t-9"), OPERATOR, "key", soon())

    assert store.execute(token(1), OPERATOR, "key", soon()).first == 1


def test_command_that_changes_nothing_makes_no_event(start: Callable[[str], LedgerStore]) -> None:
    store = led(start("one"))
    store.execute(token(1), OPERATOR, None, soon())

    again = store.execute(token(1), OPERATOR, None, soon())

    assert again.entities == ()
    assert store.state.seq == 1


def test_same_key_and_command_gives_the_earlier_result(start: Callable[[str], LedgerStore]) -> None:
    store = led(start("one"))
    first = store.execute(token(1), OPERATOR, "key", soon())
    store.execute(token(2), OPERATOR, "other", soon())

    again = store.execute(token(3), OPERATOR, "key", soon())

    assert (again.entities, again.first, again.repeated) == (first.entities, first.first, True)
    assert store.state.seq == 2


def test_same_key_for_another_command_is_refused(start: Callable[[str], LedgerStore]) -> None:
    store = led(start("one"))
    store.execute(token(1), OPERATOR, "key", soon())

    with pytest.raises(ExchangeError, match="E_IDEMPOTENCY"):
        store.execute(RevokeToken("t-1"), OPERATOR, "key", soon())
    assert store.execute(token(2), "another", "key", soon()).entities == ("t-2",), "a key belongs to its actor"


def test_waiting_commands_see_each_other_and_are_all_written(
    start: Callable[[str], LedgerStore], admin_connection: Connection, schemas: SchemaRepository, place: LedgerTopic
) -> None:
    store = led(start("one"))

    with ThreadPoolExecutor(32) as callers:
        results = list(callers.map(lambda n: store.execute(token(n // 2), OPERATOR, None, soon()), range(200)))

    written = events(admin_connection, schemas, place)
    assert len(written) == 100, "of two equal commands one makes the event"
    assert sum(len(result.entities) for result in results) == 100


def test_ledger_survives_restart_of_its_only_broker(
    start: Callable[[str], LedgerStore],
) -> None:
    first = led(start("one"))
    first.execute(token(1), OPERATOR, "key", soon())
    first.close()

    second = led(start("one"))

    assert second.execute(token(1), OPERATOR, "key", soon()).repeated
    assert second.state.seq == 1


def test_follower_takes_no_commands_and_serves_reads(start: Callable[[str], LedgerStore]) -> None:
    leader = led(start("one"))
    follower = start("two")
    leader.execute(token(1), OPERATOR, None, soon())

    with pytest.raises(ExchangeError, match="E_NOT_LEADER"):
        follower.execute(token(2), OPERATOR, None, soon())

    assert follower.wait(0, 20) == 1
    assert follower.read(lambda state: state.tokens.keys()) == {"t-1"}


def test_newcomer_does_not_take_the_leadership(start: Callable[[str], LedgerStore]) -> None:
    leader = led(start("one"))
    newcomer = start("two")
    assert newcomer.wait_ready(soon())

    for number in range(30):
        leader.execute(token(number), OPERATOR, None, soon())

    assert leader.leader
    assert not newcomer.leader


def test_commands_around_the_death_of_their_leader_have_one_order(
    start: Callable[[str], LedgerStore],
    admin_settings: KafkaSettings,
    admin_connection: Connection,
    schemas: SchemaRepository,
    place: LedgerTopic,
) -> None:
    history = History()
    with _child(admin_settings, place, "first") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "leader\n"
        second = start("second")
        assert second.wait_ready(soon())
        assert not second.leader
        hear(history, itertools.islice(child.stdout, 400))
        os.kill(child.pid, signal.SIGKILL)
        hear(history, (line for line in child.stdout if line.endswith("\n")))
    open_ones, known = history.open, [one for one in history.operations.values() if one.answers]
    assert open_ones, "no command was under way"
    again = [(one.key, one.once) for one in (*map(history.operations.__getitem__, open_ones), *known)]
    fresh = [itertools.islice(wanted(f"second-{number}"), 60) for number in range(CLIENTS)]

    _insist(second, history, [again[0::2], again[1::2], *fresh])

    ledger = events(admin_connection, schemas, place)
    assert violations(history.operations.values(), written(ledger)) == []
    assert history.open == []
    assert any(len(one.answers) > 1 for one in known), "nothing was repeated"


def test_fenced_leader_writes_nothing_and_the_new_one_goes_on(
    start: Callable[[str], LedgerStore], admin_connection: Connection, schemas: SchemaRepository, place: LedgerTopic
) -> None:
    store = led(start("one"))
    store.execute(token(1), OPERATOR, "one", soon())
    usurper = Term(admin_connection, schemas, store._clock, LedgerState(), place)
    usurper.start(soon())

    with pytest.raises(ExchangeError, match="E_NOT_LEADER"):
        store.execute(token(2), OPERATOR, "two", soon())
    usurper.close()

    led(store)  # the group still says that it leads, so it begins a new term
    assert store.execute(token(3), OPERATOR, "three", soon()).first == 2
    assert [event.command_id for event in events(admin_connection, schemas, place)] == ["one", "three"]


def test_leader_that_was_stopped_for_long_neither_fences_its_successor_nor_answers_wrongly(
    start: Callable[[str], LedgerStore],
    admin_settings: KafkaSettings,
    admin_connection: Connection,
    schemas: SchemaRepository,
    place: LedgerTopic,
) -> None:
    history = History()
    with _child(admin_settings, place, "first") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "leader\n"
        second = start("second")
        hear(history, itertools.islice(child.stdout, 100))
        os.kill(child.pid, signal.SIGSTOP)
        _insist(second, history, [itertools.islice(wanted("second"), 20)])
        os.kill(child.pid, signal.SIGCONT)
        _insist(second, history, [itertools.islice(wanted(f"woken-{number}"), 30) for number in range(CLIENTS)])
        hear(history, itertools.takewhile(lambda line: line != "over\n", child.stdout))

        assert second.leader
        _insist(second, history, [[(key, history.operations[key].once) for key in history.open]])
    assert violations(history.operations.values(), written(events(admin_connection, schemas, place))) == []


def _insist(store: LedgerStore, history: History, clients: Sequence[Iterable[Wanted]]) -> None:
    """All clients at once, until everything they want is answered."""
    with ThreadPoolExecutor(len(clients)) as threads:
        for done in [threads.submit(insist, store, history, wants, Deadline.after(40)) for wants in clients]:
            done.result()


def _child(settings: KafkaSettings, place: LedgerTopic, worker: str) -> "_Child":
    job = {
        "settings": json.loads(settings.model_dump_json()),
        "place": [place.name, place.group, place.transactional_id],
        "worker": worker,
        "clients": CLIENTS,
    }
    return _Child(job)


class _Child:
    """A broker in a process of its own, killed at the end whatever happens."""

    def __init__(self, job: dict[str, object]) -> None:
        self._job = job

    def __enter__(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._job) + "\n")
        self._process.stdin.flush()
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
