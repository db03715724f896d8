"""Quarantine on a real Kafka with a real admission worker: what is redriven, what comes of it, whatever dies when."""

import dataclasses
import json
import random
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from confluent_kafka import KafkaError, Producer

from exchange import names
from exchange.broker.enforcement.wanted import own_acls
from exchange.broker.quarantine.commands import Asked
from exchange.broker.quarantine.desk import By, Quarantine
from exchange.broker.quarantine.pick import Outcome
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.identifiers import credit_code
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.partitioner import partition_of
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Draft
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.quarantine.look import Filter
from exchange.quarantine.quarantine_id import quarantine_id
from exchange.quarantine.redrive import Left
from exchange.quarantine.store import KafkaQuarantineStore
from exchange.record import header
from exchange.settings import KafkaSettings
from tests.harness.kafka.admission import (
    INBOX,
    PROVIDER,
    QUARANTINE,
    REGISTRY,
    TYPE,
    AdmissionHarness,
    Outgoing,
    companies,
    variants,
)

pytestmark = pytest.mark.kafka
REDRIVE = names.redrive_topic(TYPE)
CHILD = Path(__file__).with_name("quarantine_broker.py")
OPERATOR = By(None, "operator", None)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A Kafka of this module's own: it holds the one ledger."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as running:
        yield running


@pytest.fixture(scope="module")
def harness(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdmissionHarness]:
    harness = AdmissionHarness(tmp_path_factory.mktemp("harness"), kafka)
    spec = NewTopicSpec(REDRIVE, harness.partitions, topic_config(TopicKind.REDRIVE))
    harness.admin.create_topics([spec], 1)
    harness.admin.grant([acl for acl in own_acls() if acl.principal == names.BROKER])
    harness.start()
    yield harness
    if harness.worker is not None:
        harness.stop()


@pytest.fixture(scope="module")
def broker_settings(
    kafka: EmbeddedKafka, harness: AdmissionHarness, tmp_path_factory: pytest.TempPathFactory
) -> KafkaSettings:
    """The broker service's own principal, with the rights that the product gives it and no other."""
    file = tmp_path_factory.mktemp("secrets") / "broker.secret"
    file.write_text(secrets.token_urlsafe(18), encoding="utf-8")
    file.chmod(0o600)
    harness.admin.set_secret(names.BROKER, file.read_text(encoding="utf-8"))
    return kafka.settings(names.BROKER, file)


@dataclass
class Desk:
    """The quarantine of a broker instance that leads."""

    harness: AdmissionHarness
    store: LedgerStore
    quarantine: Quarantine

    def waiting(self, code: str | None = None) -> list[str]:
        found, _ = self.quarantine.look([PROVIDER], Filter(code), "waiting", 500)
        return [str(seen.entry.id) for seen in found]

    def quarantined(self, records: Sequence[Outgoing], *more: Outgoing) -> list[str]:
        """Send records of which `records` do not pass; their ids, when all are through."""
        before, taken = set(self.waiting()), self.harness.books().taken
        self.harness.write([*records, *more])
        self.harness.until(lambda: self.harness.books().taken == taken + len(records) + len(more))
        new = [place for place in self.waiting() if place not in before]
        assert len(new) == len(records)
        return new

    def redrive(self, *ids: str, **asked: Any) -> Outcome:
        """Redrive, and wait until admission has taken everything."""
        taken = self.harness.books().taken
        done = self.quarantine.redrive(PROVIDER, Asked(ids=ids, **{"limit": 100} | asked), OPERATOR)
        self.harness.until(lambda: self.harness.books().taken == taken + done.count)
        return done


@contextmanager
def leading(settings: KafkaSettings, harness: AdmissionHarness) -> Iterator[LedgerStore]:
    store = LedgerStore(Connection.of(settings), harness.schemas, "broker-test")
    store.start()
    harness.until(lambda: store.leader)
    yield store
    store.close()


@pytest.fixture
def desk(harness: AdmissionHarness, broker_settings: KafkaSettings) -> Iterator[Desk]:
    connection = Connection.of(broker_settings)
    kept = KafkaQuarantineStore(connection, Admin(connection))

    def put_aside() -> dict[tuple[str, ...], float]:
        of_provider = harness.books().by_provider.get(PROVIDER, {})
        return {(PROVIDER, code): float(count) for code, count in of_provider.items()}

    with leading(broker_settings, harness) as ledger:
        yield Desk(harness, ledger, Quarantine(ledger, kept, harness.schemas, put_aside))


def outgoing(harness: AdmissionHarness, row: dict[str, Any], sequence: int | None, astray: bool = False) -> Outgoing:
    """A version of a row for the inbox; `astray`: in another partition than that of its key."""
    key = row["credit_code"].encode()
    partition = (partition_of(key, harness.partitions) + astray) % harness.partitions
    headers = None if sequence is None else [("ce_sequence", b"%d" % sequence), ("ce_time", b"2026-11-24T08:00:00Z")]
    return (INBOX, key, harness.encode(row | {"name": f"第{sequence}版"}), partition, headers)


def foreign(row: dict[str, Any]) -> dict[str, Any]:
    """The row under a key that another department registers."""
    body = "5" + row["credit_code"][1:17]
    return row | {"credit_code": body + credit_code.check_character(body)}


@dataclass(frozen=True, slots=True)
class Own:
    """Say which first characters of credit codes the department registers."""

    owns: tuple[str, ...]

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        entry = dataclasses.asdict(state.departments[PROVIDER])
        draft = Draft(state)
        draft.say("department-registered", PROVIDER, **{**entry, "owns": list(self.owns), "successors": []})
        return draft.events


def own(desk: Desk, *characters: str) -> None:
    desk.store.execute(Own(characters), "operator", None, Deadline.after(20))


def registry(harness: AdmissionHarness) -> dict[str, list[tuple[int, bool]]]:
    """(sequence, whether it is there or withdrawn) of every version, by credit code."""
    found: dict[str, list[tuple[int, bool]]] = {}
    for message in harness.read(REGISTRY):
        version = (int(header(message.headers(), "ce_sequence") or b"-1"), message.value() is not None)
        found.setdefault((message.key() or b"").decode(), []).append(version)
    return found


def in_registry(harness: AdmissionHarness, row: dict[str, Any]) -> list[tuple[int, bool]]:
    return registry(harness).get(row["credit_code"], [])


def at(harness: AdmissionHarness, topic: str, place: str) -> Message:
    return next(m for m in harness.read(topic) if m.offset() == quarantine_id(place).offset)


def test_a_redriven_record_passes_untouched_and_in_order_once_its_fault_is_mended(desk: Desk) -> None:
    harness = desk.harness
    (row,) = companies(1, seed=11)
    ids = desk.quarantined([outgoing(harness, row, number, astray=True) for number in (1, 2, 3)])
    first = at(harness, QUARANTINE, ids[0])
    done = desk.redrive(code="E_KEY_PARTITION")
    assert (done.count, [str(place) for place in done.ids], done.left) == (3, ids, {})
    assert in_registry(harness, row) == [(1, True), (2, True), (3, True)]
    passed = next(m for m in harness.read(REGISTRY) if m.key() == row["credit_code"].encode())
    assert (passed.value(), header(passed.headers(), "ce_time")) == (first.value(), b"2026-11-24T08:00:00Z")
    assert not any(name.startswith("x-exchange-") for name, _ in passed.headers() or [])
    assert desk.waiting() == []
    shown = desk.quarantine.show(quarantine_id(ids[0]))
    assert (shown.status, shown.act and shown.act.seq) == ("redriven", done.event)


def test_an_older_version_is_superseded(desk: Desk) -> None:
    harness = desk.harness
    (row,) = companies(1, seed=12)
    ids = desk.quarantined([outgoing(harness, row, 3, astray=True)], outgoing(harness, row, 5))
    before = harness.books().superseded
    desk.redrive(*ids)
    assert harness.books().superseded == before + 1
    assert in_registry(harness, row) == [(5, True)]


def test_a_withdrawn_key_is_not_resurrected(desk: Desk) -> None:
    harness = desk.harness
    (row,) = companies(1, seed=13)
    good = outgoing(harness, row, 5)
    withdrawals = [(*good[:2], None, good[3], [("ce_sequence", sequence)]) for sequence in (b"6", b"9")]
    ids = desk.quarantined([outgoing(harness, row, one, astray=True) for one in (3, 8)], good, *withdrawals)
    assert harness.stop() == 0
    harness.start()  # it knows both withdrawals from Kafka alone, though the second one told nobody anything new
    desk.redrive(*ids)
    assert in_registry(harness, row) == [(5, True), (6, False)]


def test_without_a_sequence_its_place_in_the_inbox_orders_a_redriven_record(desk: Desk) -> None:
    harness = desk.harness
    row, other = (foreign(one) for one in companies(2, seed=14))
    ids = [place for one in (row, other) for place in desk.quarantined([outgoing(harness, one, None)])]
    offset = desk.quarantine.show(quarantine_id(ids[1])).entry.origin
    own(desk, "5", "9")
    desk.quarantined([], outgoing(harness, row | {"business_scope": "newer"}, None))
    before = harness.books().superseded
    desk.redrive(*ids)
    assert harness.books().superseded == before + 1
    assert len(in_registry(harness, row)) == 1
    assert offset is not None
    assert in_registry(harness, other) == [(offset.offset, True)]


def test_what_nothing_mends_stays_where_it_is(desk: Desk) -> None:
    harness = desk.harness
    (row,) = companies(1, seed=16)
    good = outgoing(harness, row, 1)
    ids = desk.quarantined([(INBOX, None, *good[2:]), outgoing(harness, row, None, astray=True)])
    before = len(harness.read(REDRIVE))
    done = desk.redrive(*ids)
    assert (done.count, done.event, done.left) == (0, None, {Left.NO_KEY: 1, Left.NO_ORDER: 1})
    assert set(ids) <= set(desk.waiting())
    assert len(harness.read(REDRIVE)) == before


def test_what_is_still_wrong_comes_back_to_the_same_provider_with_its_first_origin(desk: Desk) -> None:
    harness = desk.harness
    (row,) = companies(1, seed=15)
    (place,) = desk.quarantined([outgoing(harness, row | {"status": "no-such-status"}, 1)])
    origin = desk.quarantine.show(quarantine_id(place)).entry.origin
    first = at(harness, QUARANTINE, place)
    desk.redrive(place)
    again = desk.waiting()[-1]
    shown = desk.quarantine.show(quarantine_id(again)).entry
    assert (shown.code, shown.origin, shown.redriven_from) == ("E_CODE_UNKNOWN", origin, place)
    second = at(harness, QUARANTINE, again)
    assert (second.key(), second.value()) == (first.key(), first.value())
    assert desk.redrive(place).left == {Left.SETTLED: 1}
    desk.redrive(again)
    assert desk.quarantine.show(quarantine_id(desk.waiting()[-1])).entry.redriven_from == again


def test_a_discarded_record_waits_no_longer_and_is_not_redriven(desk: Desk) -> None:
    harness = desk.harness
    (row,) = companies(1, seed=17)
    (place,) = desk.quarantined([outgoing(harness, row | {"status": "no-such-status"}, 1)])
    before = desk.quarantine.waiting()[(PROVIDER, "E_CODE_UNKNOWN")]
    asked = Asked(ids=(place,), limit=1)
    desk.quarantine.discard(PROVIDER, asked, "sent again", OPERATOR)
    assert place not in desk.waiting()
    assert desk.quarantine.waiting()[(PROVIDER, "E_CODE_UNKNOWN")] == before - 1
    seen = desk.quarantine.show(quarantine_id(place))
    assert (seen.status, seen.act and seen.act.reason) == ("discarded", "sent again")
    assert desk.redrive(place).left == {Left.SETTLED: 1}


def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    harness = desk.harness
    (row,) = companies(1, seed=18)
    ids = desk.quarantined([outgoing(harness, row, number, astray=True) for number in (1, 2)])
    seq, before = desk.store.state.seq, len(harness.read(REDRIVE))
    done = desk.quarantine.redrive(PROVIDER, Asked(code="E_KEY_PARTITION", limit=1), OPERATOR, dry_run=True)
    assert (done.count, done.event, [str(place) for place in done.ids]) == (1, None, ids[:1])
    assert (desk.store.state.seq, len(harness.read(REDRIVE))) == (seq, before)
    assert set(ids) <= set(desk.waiting())


def test_redriving_in_parts_takes_every_record_once(desk: Desk) -> None:
    harness = desk.harness
    rows = list(variants(list(companies(5, seed=19)), 30))
    ids = desk.quarantined([outgoing(harness, row, 1, astray=True) for row in rows])
    found: list[str] = []
    after: str | None = None
    while after is not None or not found:
        done = desk.redrive(code="E_KEY_PARTITION", limit=8, after=after)
        found += [str(place) for place in done.ids]
        after = None if done.following is None else str(done.following)
    assert set(ids) <= set(found)
    assert len(found) == len(set(found))
    stands = registry(harness)
    assert all(stands[row["credit_code"]] == [(1, True)] for row in rows)


def test_neither_a_department_nor_a_line_can_write_what_is_redriven(
    harness: AdmissionHarness, kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(secrets.token_urlsafe(18), encoding="utf-8")
    harness.admin.set_secret(PROVIDER, file.read_text(encoding="utf-8"))
    harness.admin.grant([Acl(PROVIDER, "topic", INBOX, "write")])
    failed: list[str] = []
    producer = Producer(Connection.of(kafka.settings(PROVIDER, file)).config(message_timeout_ms=15_000))
    producer.produce(REDRIVE, b"v", b"k", 0, on_delivery=lambda error, _: failed.append(error.name()))
    producer.flush(20)
    assert failed == [KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED).name()]
    writers = {
        acl.principal for acl in own_acls() if "exchange.redrive.".startswith(acl.name) and "write" in acl.operation
    }
    assert writers == {names.BROKER}


@contextmanager
def running(job: str, log: BinaryIO) -> Iterator[subprocess.Popen[str]]:
    """A broker in a process of its own."""
    command = [sys.executable, str(CHILD)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True) as child:
        assert child.stdin is not None
        child.stdin.write(job + "\n")
        child.stdin.flush()
        yield child


def test_a_broker_killed_while_it_redrives_leaves_no_record_twice_and_no_part_half(
    harness: AdmissionHarness, broker_settings: KafkaSettings, desk: Desk, tmp_path: Path
) -> None:
    rows = [row | {"business_scope": "x" * 30_000} for row in variants(list(companies(5, seed=20)), 120, first=1_000)]
    ids = desk.quarantined([outgoing(harness, row, 1, astray=True) for row in rows])
    offsets = [quarantine_id(place).offset for place in ids]
    parts = {str(number): offsets[number::10] for number in range(10)}
    desk.store.close()
    chance, answered = random.Random(7), set[str]()
    settings = broker_settings.model_dump(mode="json") | {"password": ""}
    for _ in range(3):
        # Also what was answered is asked again, with its idempotency key: nothing may come of it.
        left = {name: some for name, some in parts.items() if name not in answered or name == "0"}
        job = {"settings": settings, "worker": "broker-child", "department": PROVIDER, "parts": left}
        with (tmp_path / "broker.log").open("ab") as log, running(json.dumps(job), log) as child:
            assert child.stdout is not None
            told = [child.stdout.readline() for _ in range(2 * chance.randrange(1, 4))]
            assert told[0] == "leader\n"
            threading.Event().wait(chance.random() / 5)  # the moment of the kill is by chance
            child.send_signal(signal.SIGKILL)
            told += child.stdout.readlines()
        answered |= {line.strip() for line in told} & parts.keys()
    with leading(broker_settings, harness) as store:
        acts = store.read(lambda state: state.settled[PROVIDER])
        settled = {offset for offset in offsets if acts.act_on(0, offset) is not None}
    was = (header(message.headers(), "x-exchange-redriven") or b"" for message in harness.read(REDRIVE))
    sent = Counter(quarantine_id(place.decode()).offset for place in was)
    redriven = {offset: sent[offset] for offset in offsets if sent[offset]}
    assert set(redriven.values()) == {1}
    assert redriven.keys() == settled
    whole = {name for name, some in parts.items() if settled.issuperset(some)}
    assert settled == {offset for name in whole for offset in parts[name]}
    assert answered <= whole
