"""Every error of the measured table, provoked on a real Kafka, is told and mended as the table says.

A lost leader is met by the fault suite on three nodes, where the client asks again by itself: here only its code is.
"""

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.errors import Action, ExchangeError
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.quotas import Quota, set_quotas
from exchange.kafka.admin.topic_settings import set_topic_settings, topic_settings
from exchange.kafka.client import producer as client
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import Recovery, error_of, recovery, translate
from exchange.kafka.client.partitioner import partition_of
from exchange.kafka.client.producer import IdempotentProducer, TransactionalProducer
from exchange.kafka.client.reader import read_to_end
from exchange.kafka.client.share_reader import ShareReader
from exchange.names import transactional_id
from exchange.settings import KafkaSettings
from tests.harness.kafka.line import PARTITIONS, Bus, running, until

pytestmark = pytest.mark.kafka
ABORTABLE, FATAL, RETRIABLE, NO_FLAG = "abortable", "fatal", "retriable", None


class Desk:
    """Topics and producers of one test."""

    def __init__(self, connection: Connection, admin: Admin, unique: str) -> None:
        self.connection, self.admin, self.unique = connection, admin, unique
        self._number = 0

    def topic(self, partitions: int = 1, **config: str) -> str:
        self._number += 1
        name = f"{self.unique}.{self._number}"
        settings = {option.replace("_", "."): value for option, value in config.items()}
        self.admin.create_topics([NewTopicSpec(name, partitions, settings)], 1)
        until(lambda: name in self.admin.topics())
        return name

    def delete(self, topic: str) -> None:
        self.admin.delete_topics([topic])
        until(lambda: topic not in self.admin.topics())

    def producer(
        self, name: str = "", timeout_ms: int = 30_000, connection: Connection | None = None, **options: Any
    ) -> TransactionalProducer:
        """One that has started; `topic_metadata_propagation_max_ms` is how long it believes in a new topic."""
        identity = f"{self.unique}.{name or secrets.token_hex(4)}"
        found = TransactionalProducer(connection or self.connection, identity, timeout_ms, **options)
        found.start(soon())
        return found

    def keys(self, topic: str) -> list[bytes | None]:
        return [message.key() for message in read_to_end(self.connection, [(topic, 0)], soon())]


@pytest.fixture
def desk(admin_connection: Connection, admin: Admin, unique: str) -> Desk:
    return Desk(admin_connection, admin, unique)


def soon() -> Deadline:
    return Deadline.after(20)


def at_once() -> Deadline:
    """The first answer counts."""
    return Deadline.after(0)


def put(producer: TransactionalProducer, *topics: str, key: bytes = b"k") -> None:
    for topic in topics:
        producer.produce(topic, b"v", key, 0)


def told(act: Callable[[], object], name: str, flag: str | None, code: str, then: Recovery) -> None:
    """The client says `name` with this flag; for us that is `code`, and the owner does `then`."""
    with pytest.raises(KafkaException) as caught:
        act()
    error = error_of(caught.value)
    flags = {RETRIABLE: error.retriable(), ABORTABLE: error.txn_requires_abort(), FATAL: error.fatal()}
    assert (error.name(), next((one for one, is_set in flags.items() if is_set), NO_FLAG)) == (name, flag)
    ours = translate(caught.value, "doing it")
    assert (ours.code, ours.detail, recovery(caught.value)) == (code, f"doing it: {name}", then)


def test_an_instance_that_a_newer_one_has_fenced_does_nothing_more(desk: Desk) -> None:
    topic = desk.topic()
    old = desk.producer("one")
    old.begin()
    put(old, topic, key=b"old")
    new = desk.producer("one")
    for act in (lambda: old.commit(soon()), lambda: old.abort(soon()), old.begin):
        told(act, "_FENCED", FATAL, "E_KAFKA_FENCED", Recovery.REBUILD)
    new.begin()
    put(new, topic, key=b"new")
    new.commit(soon())
    assert desk.keys(topic) == [b"new"]


def test_a_transaction_that_outlived_its_timeout_looks_like_fencing_and_is_rebuilt(desk: Desk) -> None:
    topic = desk.topic()
    slow = desk.producer("slow", timeout_ms=1000)
    slow.begin()
    put(slow, topic, key=b"slow")
    slow.poll(0.1)
    # The coordinator looks every second for transactions that are over time. Then readers get past what it wrote.
    until(lambda: desk.admin.end_offsets([(topic, 0)])[topic, 0] > 0)
    told(lambda: slow.commit(soon()), "_FENCED", FATAL, "E_KAFKA_FENCED", Recovery.REBUILD)
    again = desk.producer("slow")
    again.begin()
    put(again, topic, key=b"again")
    again.commit(soon())
    assert desk.keys(topic) == [b"again"]


class Members:
    """Members of one group on one topic of two partitions."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self.topic, self.group = desk, desk.topic(partitions=2), f"{desk.unique}.group"
        self._open: list[Consumer] = []

    def join(self, **options: Any) -> Consumer:
        """One that has been given partitions."""
        usual = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 200, "auto_offset_reset": "earliest"}
        found = Consumer(self._desk.connection.config(group_id=self.group, **usual, **options))
        self._open.append(found)
        found.subscribe([self.topic])
        until(lambda: (self.poll(), bool(found.assignment()))[1])
        return found

    def poll(self) -> None:
        for member in self._open:
            member.poll(0.05)

    def leave(self, member: Consumer) -> None:
        self._open.remove(member)
        member.close()

    def close(self) -> None:
        for member in self._open:
            member.close()


@pytest.fixture
def members(desk: Desk) -> Iterator[Members]:
    with closing(Members(desk)) as found:
        yield found


def lost_membership(desk: Desk, members: Members, group: Any, name: str, code: str, then: Recovery) -> None:
    """The offsets of a member that is none any more do not pass, and neither does what was written with them."""
    output = desk.topic()
    producer = desk.producer()
    producer.begin()
    put(producer, output)
    offsets = [TopicPartition(members.topic, 0, 5)]
    told(lambda: producer.send_offsets(offsets, group, soon()), name, ABORTABLE, code, then)
    producer.abort(soon())
    assert desk.keys(output) == []
    assert desk.admin.committed(members.group) == {}


def test_a_member_that_has_left_commits_nothing(desk: Desk, members: Members) -> None:
    member = members.join()
    group = member.consumer_group_metadata()
    members.leave(member)
    lost_membership(desk, members, group, "UNKNOWN_MEMBER_ID", "E_KAFKA_MEMBERSHIP", Recovery.REBUILD)


def test_a_batch_of_an_older_generation_commits_nothing(desk: Desk, members: Members) -> None:
    first = members.join()
    group = first.consumer_group_metadata()
    members.join()
    until(lambda: (members.poll(), len(first.assignment()) == 1)[1])
    lost_membership(desk, members, group, "ILLEGAL_GENERATION", "E_KAFKA_MEMBERSHIP", Recovery.REBUILD)


def test_a_member_whose_id_a_twin_has_taken_commits_nothing_and_leaves(desk: Desk, members: Members) -> None:
    group = members.join(group_instance_id="worker").consumer_group_metadata()
    members.join(group_instance_id="worker")
    lost_membership(desk, members, group, "FENCED_INSTANCE_ID", "E_WORKER_TWIN", Recovery.LEAVE)


@pytest.fixture
def stranger(kafka_settings_for: Callable[[str], KafkaSettings], unique: str) -> Connection:
    """A department without any right."""
    return Connection.of(kafka_settings_for(unique))


def test_a_department_opens_no_transaction(desk: Desk, stranger: Connection) -> None:
    name = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
    told(lambda: desk.producer(connection=stranger), name, FATAL, "E_KAFKA_FORBIDDEN", Recovery.REBUILD)


def allowed(desk: Desk, topic: str) -> list[Acl]:
    rights = [Acl(desk.unique, "transactional_id", desk.unique, one, prefixed=True) for one in ("write", "describe")]
    return [*rights, Acl(desk.unique, "topic", topic, "write")]


def test_a_topic_that_may_not_be_written_aborts_the_transaction_and_is_named(desk: Desk, stranger: Connection) -> None:
    good, forbidden = desk.topic(), desk.topic()
    desk.admin.grant(allowed(desk, good))
    until(lambda: set(allowed(desk, good)) <= desk.admin.acls())
    producer = desk.producer(connection=stranger)
    producer.begin()
    put(producer, good, forbidden, key=b"first")
    told(lambda: producer.commit(soon()), "_INCONSISTENT", ABORTABLE, "E_KAFKA", Recovery.REBUILD)
    assert producer.failed_topics == {forbidden}
    producer.abort(soon())
    producer.begin()
    put(producer, good, key=b"without it")
    producer.commit(soon())
    assert (desk.keys(good), desk.keys(forbidden)) == ([b"without it"], [])


def test_a_department_that_may_not_write_is_told_so(desk: Desk, stranger: Connection) -> None:
    producer = IdempotentProducer(stranger)
    producer.send(desk.topic(), b"k", b"v")
    # Of the topic; or of the cluster, when the client asks for its producer id before anything else.
    with pytest.raises(ExchangeError, match="AUTHORIZATION_FAILED") as caught:
        producer.flush(soon())
    assert caught.value.code == "E_KAFKA_FORBIDDEN"


def test_a_record_too_large_for_its_topic_aborts_the_transaction_and_the_topic_is_named(desk: Desk) -> None:
    good, small = desk.topic(), desk.topic(max_message_bytes="200")
    producer = desk.producer()
    producer.begin()
    put(producer, good, key=b"first")
    producer.produce(small, secrets.token_bytes(300), b"k", 0)
    told(lambda: producer.commit(soon()), "MSG_SIZE_TOO_LARGE", ABORTABLE, "E_KAFKA_TOO_LARGE", Recovery.REBUILD)
    assert producer.failed_topics == {small}
    producer.abort(soon())
    producer.begin()
    put(producer, good, key=b"without it")
    producer.commit(soon())
    assert (desk.keys(good), desk.keys(small)) == ([b"without it"], [])


def test_a_record_too_large_for_the_client_is_refused_alone_and_the_transaction_is_still_good(desk: Desk) -> None:
    topic = desk.topic()
    producer = desk.producer()
    producer.begin()
    put(producer, topic, key=b"before")
    large = bytes(1_100_000)
    refused = lambda: producer.produce(topic, large, b"large", 0)  # noqa: E731 - said twice
    told(refused, "MSG_SIZE_TOO_LARGE", NO_FLAG, "E_KAFKA_TOO_LARGE", Recovery.REBUILD)
    put(producer, topic, key=b"after")
    producer.commit(soon())
    assert desk.keys(topic) == [b"before", b"after"]
    assert ExchangeError("E_KAFKA_TOO_LARGE").entry.action is Action.QUARANTINE
    department = IdempotentProducer(desk.connection)
    with pytest.raises(ExchangeError, match="E_KAFKA_TOO_LARGE"):
        department.send(topic, b"large", large)


def test_a_topic_that_never_existed_aborts_the_transaction_and_is_named(desk: Desk) -> None:
    never = f"{desk.unique}.never"
    producer = desk.producer(topic_metadata_propagation_max_ms=500)  # usually 30 s: it might be about to be made
    producer.begin()
    put(producer, never)
    told(lambda: producer.commit(soon()), "_INCONSISTENT", ABORTABLE, "E_KAFKA", Recovery.REBUILD)
    assert producer.failed_topics == {never}
    producer.abort(soon())


@pytest.mark.parametrize("opened", [True, False], ids=["while it is open", "before it begins"])
def test_the_transaction_of_a_deleted_topic_ends_in_silence_or_in_an_error_and_a_new_producer_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    monkeypatch.setattr(client, "_CALL_SECONDS", 0.5)
    good, gone = desk.topic(), desk.topic()
    producer = desk.producer("one")
    producer.begin()
    put(producer, gone, good, key=b"first")
    producer.commit(soon())
    if opened:
        producer.begin()
        put(producer, good, key=b"second")
        producer.poll(0.2)
    desk.delete(gone)
    if not opened:
        producer.begin()
    put(producer, gone, good, key=b"third")
    asked = iter([False, True])  # what the line asks: is it unwritable?
    with pytest.raises(KafkaException) as caught:
        producer.commit(soon(), lambda: next(asked))
    met = (error_of(caught.value).name(), translate(caught.value).code, recovery(caught.value), list(asked))
    assert met in (
        ("_TIMED_OUT", "E_KAFKA_UNREACHABLE", Recovery.AGAIN, []),
        # when the client heard of the deletion in good time
        ("UNKNOWN_TOPIC_OR_PART", "E_KAFKA_TOPIC_MISSING", Recovery.REBUILD, [False, True]),
    )
    again = desk.producer("one")
    again.begin()
    put(again, good, key=b"without it")
    again.commit(soon())
    assert desk.keys(good) == [b"first", b"without it"]


@contextmanager
def frozen(kafka: EmbeddedKafka) -> Iterator[None]:
    """Kafka does not move while the block runs."""
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kafka.pid, signal.SIGCONT)


def test_a_commit_that_a_frozen_broker_does_not_answer_is_called_again_until_it_is(
    desk: Desk, kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_CALL_SECONDS", 0.3)
    topic = desk.topic()
    producer = desk.producer()
    producer.begin()
    put(producer, topic)
    producer.poll(0.2)
    with frozen(kafka):
        told(lambda: producer.commit(at_once()), "_TIMED_OUT", RETRIABLE, "E_KAFKA_UNREACHABLE", Recovery.AGAIN)
        for meanwhile in (producer.begin, lambda: producer.abort(at_once())):
            told(meanwhile, "_CONFLICT", RETRIABLE, "E_KAFKA", Recovery.AGAIN)
        waiting = threading.Thread(target=producer.commit, args=(soon(),))
        waiting.start()
        waiting.join(0.7)
        assert waiting.is_alive()
    waiting.join(20)
    assert desk.keys(topic) == [b"k"]


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    ],
)
def test_a_leader_that_is_being_replaced_is_asked_again(code: int) -> None:
    error = KafkaError(code, "", False, True, False)
    assert (translate(error).code, recovery(error)) == ("E_KAFKA_UNREACHABLE", Recovery.AGAIN)
    assert translate(error).entry.action is Action.RETRY


# what the lines do


@pytest.fixture
def bus(admin_connection: Connection, admin: Admin, unique: str) -> Bus:
    return Bus(admin_connection, admin, unique)


def rebuilt(logs: list[Any]) -> set[tuple[int, str]]:
    return {(entry["partition"], entry["code"]) for entry in logs if entry["event"] == "line.unit_rebuilt"}


def test_a_unit_whose_id_was_taken_is_rebuilt_and_loses_and_doubles_nothing(bus: Bus) -> None:
    line = bus.line()
    with structlog.testing.capture_logs() as logs, running(line):
        bus.send([b"before"])
        until(lambda: bus.keys() == [b"before"])
        for partition in range(PARTITIONS):
            identity = transactional_id("admission", bus.record_type, partition)
            TransactionalProducer(bus.connection, identity, 30_000).start(soon())
        bus.send([b"after"])
        until(lambda: len(bus.keys()) == 2)
        assert bus.counted() == 2
    assert bus.keys() == [b"after", b"before"]
    assert {code for _, code in rebuilt(logs)} == {"E_KAFKA_FENCED"}


def test_a_topic_that_is_deleted_holds_its_unit_up_for_seconds_only(bus: Bus) -> None:
    set_topic_settings(bus.connection, {bus.narrow: {"max.message.bytes": "10000"}})
    bus.send([b"wide", b"wide", b"before"])
    with structlog.testing.capture_logs() as logs, running(bus.line()):
        until(lambda: bus.counted() == 3)
        assert len(bus.read(bus.narrow)) == 2
        bus.admin.delete_topics([bus.narrow])
        until(lambda: bus.narrow not in bus.admin.topics())
        bus.send([b"wide", b"after"])
        began = time.monotonic()
        until(lambda: bus.counted() == 5)
        assert time.monotonic() - began < 15
    assert bus.keys() == [b"after", b"before"]
    # No answer; or, when the client has heard of the deletion before, that there is no such topic.
    assert {code for _, code in rebuilt(logs)} - {"E_KAFKA_TOPIC_MISSING"} <= {"E_KAFKA_UNREACHABLE"}


def test_a_place_that_is_out_of_range_stops_its_unit_and_no_other(bus: Bus) -> None:
    first, second = (next(b"%d" % n for n in range(99) if partition_of(b"%d" % n, 2) == place) for place in (0, 1))
    bus.send([first, second])
    with running(bus.line()):
        until(lambda: bus.counted() == 2)
    bus.send([first, first])
    drop(bus, bus.inbox("first"), 0, 3)
    bus.send([first, second])
    with structlog.testing.capture_logs() as logs, running(bus.line()):
        until(lambda: bus.counted() == 3 and bool(rebuilt(logs)))
    assert rebuilt(logs) == {(0, "E_OFFSET_LOST")}
    assert bus.keys() == sorted([first, second, second])


def drop(bus: Bus, topic: str, partition: int, end: int) -> None:
    """Remove what stands before `end`, as retention does."""
    admin = AdminClient(bus.connection.config())
    for removed in admin.delete_records([TopicPartition(topic, partition, end)]).values():
        removed.result(20)


def test_where_the_offsets_of_a_group_are_gone_a_unit_reads_on_where_its_state_says(bus: Bus) -> None:
    first, second = (next(b"%d" % n for n in range(99) if partition_of(b"%d" % n, 2) == place) for place in (0, 1))
    bus.send([first, first, second])
    bus.known = {0: 1}
    with running(bus.line()):
        until(lambda: bus.counted() == 2)
    assert bus.keys() == sorted([first, second])


def test_what_follows_on_a_state_and_was_removed_stops_its_unit_and_no_other(bus: Bus) -> None:
    first, second = (next(b"%d" % n for n in range(99) if partition_of(b"%d" % n, 2) == place) for place in (0, 1))
    bus.send([first, first, first, second])
    drop(bus, bus.inbox("first"), 0, 2)
    bus.known = {0: 1}
    with structlog.testing.capture_logs() as logs, running(bus.line()):
        until(lambda: bus.counted() == 1 and bool(rebuilt(logs)))
    assert rebuilt(logs) == {(0, "E_OFFSET_LOST")}
    assert bus.keys() == [second]
    assert ExchangeError("E_OFFSET_LOST").entry.action is Action.STOP


# who is let in, and what may be set


def test_a_wrong_secret_is_told_as_such_and_not_as_a_kafka_that_is_away(
    desk: Desk, kafka: EmbeddedKafka, stranger: Connection
) -> None:
    topic = desk.topic()
    wrong = Connection.as_principal(kafka.admin_settings(), desk.unique, "not the secret")
    producer = IdempotentProducer(wrong)
    producer.send(topic, b"k", b"v")

    def share() -> None:
        with closing(ShareReader(wrong, topic, desk.unique, "m", lambda places: dict.fromkeys(places, 0))) as reader:
            until(lambda: reader.poll(1, 1_000, 0.1) is None)

    for reach in (
        lambda: list(read_to_end(wrong, [(topic, 0)], soon())),
        share,
        lambda: producer.flush(Deadline.after(2)),
        lambda: Admin(wrong).brokers(2),
    ):
        with pytest.raises(ExchangeError, match=desk.unique) as caught:
            reach()
        assert caught.value.code == "E_KAFKA_REFUSED"
    with pytest.raises(ExchangeError) as caught:
        list(read_to_end(stranger, [(topic, 0)], soon()))
    assert caught.value.code == "E_KAFKA_FORBIDDEN"


def test_a_topic_that_does_not_exist_is_told_as_such(desk: Desk) -> None:
    never = f"{desk.unique}.never"
    with pytest.raises(ExchangeError, match="UNKNOWN_TOPIC_OR_PART") as caught:
        topic_settings(desk.connection, [never])
    assert caught.value.code == "E_KAFKA_TOPIC_MISSING"


def test_a_quota_that_kafka_refuses_is_told(desk: Desk) -> None:
    with pytest.raises(ExchangeError, match="greater than 0") as caught:
        set_quotas(desk.connection, {desk.unique: Quota(-1, -1)})
    assert caught.value.code == "E_ENFORCE"
