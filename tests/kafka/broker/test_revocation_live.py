"""The end of a grant, seen by a grantee that reads all the time: its last record, its refusal, and nothing left."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from exchange import names
from exchange.broker.grants.suspend import ResumeGrant, RevokeGrant, SuspendGrant
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.names import Department, ShareName, share_topic
from tests.harness.kafka.broker import Bus, prepared_kafka, until

pytestmark = pytest.mark.kafka
TAX, MARKET, HR = (Department(slug) for slug in ("taxation", "market-regulation", "human-resources"))
BOUND_SECONDS = 5.0
"""A second is promised; the rest is room for a machine that runs other tests beside this one."""


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with prepared_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def bus(own_kafka: EmbeddedKafka) -> Bus:
    bus = Bus(own_kafka)
    bus.ledger.clock.moment = datetime.now(UTC)
    bus.register(TAX, HR, MARKET)
    return bus


class Reader:
    """A grantee with a client of its own, in a thread, and a hand that writes its share all the time."""

    def __init__(self, bus: Bus, grant: GrantEntry, department: Department = TAX) -> None:
        self.last = 0.0
        """When the newest record came (monotonic)."""
        self.refused = threading.Event()
        self._topic = share_topic(grant.share or ShareName(""))
        self._reader = Consumer(
            bus.connection(department).config(
                group_id=names.grant_group(grant.grant), auto_offset_reset="earliest", session_timeout_ms=6000,
                isolation_level="read_committed", enable_auto_commit=False,
            )
        )  # fmt: skip
        self._writer = Producer(bus.connection(names.DELIVERY).config(linger_ms=0))
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._read, self._write)]

    def __enter__(self) -> "Reader":
        self._reader.subscribe([self._topic])
        for thread in self._threads:
            thread.start()
        until(lambda: self.last > 0, "the grantee reads")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._reader.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            message = self._reader.poll(0.05)
            if message is None:
                continue
            if message.error() is None:
                self.last = time.monotonic()
            elif message.error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                self.refused.set()

    def _write(self) -> None:
        while not self._stop.wait(0.005):
            self._writer.produce(self._topic, b"v", b"k")
            self._writer.poll(0)
        self._writer.flush(10)


def cut_off(bus: Bus, reader: Reader, act: Callable[[], object]) -> float:
    """Let something end the grant; the seconds from then to the last record."""
    begin = time.monotonic()
    act()
    bus.reconciler.reconcile()
    until(reader.refused.is_set, "the grantee is refused")
    seconds = reader.last - begin
    print(f"last record {seconds:+.3f} s after the act, refused after {time.monotonic() - begin:.3f} s")
    assert seconds < BOUND_SECONDS
    return seconds


def nothing_left(bus: Bus, grant: GrantEntry, department: Department = TAX) -> None:
    """No right of the grant is left, and who connects anew is refused."""
    about = {
        share_topic(grant.share or ShareName("")),
        names.grant_group(grant.grant),
        names.receipt_topic(grant.grant),
    }
    until(lambda: not [acl for acl in bus.admin.acls() if acl.name in about and not acl.prefixed], "no right is left")
    anew = Consumer(bus.connection(department).config(group_id=names.grant_group(grant.grant), session_timeout_ms=6000))
    anew.subscribe([share_topic(grant.share or ShareName(""))])
    codes: set[int] = set()

    def refused() -> bool:
        message = anew.poll(0.2)
        if message is not None:
            assert message.error() is not None
            codes.add(int(message.error().code()))
        return bool(codes)

    until(refused, "a new connection is refused")
    assert codes <= {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
    anew.close()


def test_a_revoked_grantee_gets_its_last_record_within_a_second_and_is_refused_for_good(bus: Bus) -> None:
    grant = bus.grant(TAX)
    bus.settle()
    bus.in_flow.add(grant.share or ShareName(""))  # the line has not let go, so the topic stays
    with Reader(bus, grant) as reader:
        cut_off(bus, reader, lambda: bus.ledger.execute(RevokeGrant(grant.grant, MARKET, "purpose met")))
        nothing_left(bus, grant)


def test_an_expired_grant_is_cut_off_by_the_leader(bus: Bus) -> None:
    clock = bus.ledger.clock
    grant = bus.grant(TAX, use_until=clock.now() + timedelta(hours=1))
    bus.settle()
    bus.in_flow.add(grant.share or ShareName(""))
    with Reader(bus, grant) as reader:
        cut_off(bus, reader, lambda: clock.forward(hours=1))
        nothing_left(bus, grant)
    assert grant.end_reason == "expired"


def test_a_suspended_grantee_reads_nothing_until_it_is_resumed(bus: Bus) -> None:
    grant = bus.grant(TAX)
    bus.settle()
    with Reader(bus, grant) as reader:
        cut_off(bus, reader, lambda: bus.ledger.execute(SuspendGrant(grant.grant, MARKET, "looked into")))
        nothing_left(bus, grant)
    bus.ledger.execute(ResumeGrant(grant.grant, MARKET))
    bus.settle()
    with Reader(bus, grant) as reader:
        assert reader.last > 0


@pytest.mark.parametrize("successors", [(), (HR,)])
def test_a_department_that_exists_no_more_is_cut_off_and_its_single_successor_reads_on_in_the_same_group(
    bus: Bus, successors: tuple[Department, ...]
) -> None:
    grant = bus.grant(TAX)
    bus.settle()
    share = grant.share or ShareName("")
    bus.in_flow.add(share)

    def end() -> None:
        entry = bus.ledger.state.departments[TAX]
        entry.valid_until, entry.successors = bus.ledger.clock.now().date().isoformat(), successors

    with Reader(bus, grant) as reader:
        cut_off(bus, reader, end)
        if not successors:
            nothing_left(bus, grant)
    until(lambda: not [acl for acl in bus.admin.acls() if acl.principal == TAX], "nothing is left of its rights")
    assert (grant.ended is None) == bool(successors)
    for heir in successors:
        bus.settle()
        with Reader(bus, grant, heir) as following:
            assert following.last > 0
