"""When a unit that failed is built again, and how far behind one is."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, cast

import pytest
from structlog.testing import capture_logs

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Place
from exchange.kafka.line.builder import Builder
from exchange.kafka.line.lag import Lag, LagMeter
from exchange.kafka.line.membership import Membership
from exchange.kafka.line.slot import Slot, SlotState
from exchange.kafka.line.unit import Unit, UnitId
from exchange.names import RecordType, TopicName

OURS = UnitId(RecordType("population.resident"), 0)


class Factory:
    """Makes nothing."""

    def topics(self) -> list[TopicName]:
        return []

    def unit(self, record_type: RecordType, partition: int) -> Unit:
        raise ValueError("a value of a record")

    def refused(self, record_type: RecordType, partition: int, topics: frozenset[str]) -> None:
        assert (record_type, partition, topics) == (*OURS, frozenset())


@pytest.fixture
def one() -> Iterator[Slot]:
    without_secret = Connection("127.0.0.1:1", "SASL_PLAINTEXT", "SCRAM-SHA-512", "somebody", None, "")
    builder = Builder(without_secret, "admission", Factory())
    yield Slot(OURS, builder)
    builder.close()


def told(slot: Slot, error: Exception, times: int = 1) -> list[Any]:
    """What is told of failures in a row."""
    with capture_logs() as lines:
        for _ in range(times):
            slot.fail(error)
    return lines


def test_a_unit_that_fails_again_and_again_is_left_alone_for_longer_and_longer(one: Slot) -> None:
    pauses = [line["again_in_seconds"] for line in told(one, ExchangeError("E_KAFKA"), 2_000)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert max(pauses) == pauses[-1] == 30
    assert one.state is SlotState.WAITING
    one.advance(lambda _: set())
    assert one.state is SlotState.WAITING


def test_a_unit_is_built_soon_after_an_outage_however_long_it_was(one: Slot) -> None:
    lines = told(one, ExchangeError("E_KAFKA_UNREACHABLE"), 2_000)
    assert max(line["again_in_seconds"] for line in lines) == 2


def test_a_fault_of_ours_is_told_by_kind_and_place_and_never_by_its_text(one: Slot) -> None:
    def act() -> None:
        raise ValueError("a value of a record")

    with capture_logs() as lines:
        assert not one.guarded(act)
    (line,) = lines
    assert (line["event"], line["log_level"], line["code"]) == ("line.unit_rebuilt", "error", "E_INTERNAL")
    assert line["detail"].startswith("ValueError in act:")


def test_a_twin_is_not_judged_by_a_transaction(one: Slot) -> None:
    (line,) = told(one, ExchangeError("E_WORKER_TWIN"))
    assert (line["code"], line["log_level"]) == ("E_KAFKA_MEMBERSHIP", "warning")


def test_a_held_unit_is_built_at_once_when_no_other_worker_reads_a_part_of_it(one: Slot) -> None:
    one.keep(frozenset({"inbox.population.resident.civil-affairs"}))
    one.advance(lambda unit: {"inbox.population.resident.civil-affairs", "inbox.population.resident.health"})
    assert one.state is SlotState.HELD
    one.keep(frozenset({"inbox.population.resident.civil-affairs", "inbox.population.resident.health"}))
    one.advance(lambda unit: {"inbox.population.resident.civil-affairs", "inbox.population.resident.health"})
    assert one.state is SlotState.BUILDING


def test_a_build_that_fails_is_told_and_tried_again_later(one: Slot) -> None:
    one.keep(frozenset())
    with capture_logs() as lines:
        deadline = Deadline.after(15)
        while not lines and not deadline.passed:
            one.advance(lambda _: set())
    assert (lines[0]["code"], one.state) == ("E_KAFKA_REFUSED", SlotState.WAITING)


class Members:
    """The group as the meter sees it: every input that has not been read to its end has something more."""

    def behind(self, positions: Mapping[Place, int]) -> dict[Place, int]:
        return dict.fromkeys(positions, 5_000)


class Ready(Slot):
    """A slot at work, without a Kafka."""

    positions: ClassVar[dict[Place, int]] = {}

    @property
    def _positions(self) -> Mapping[Place, int]:
        return self.positions


@pytest.fixture
def ready(one: Slot) -> Slot:
    return Ready(OURS, one._builder)


def lag_of(slot: Slot) -> Lag:
    meter = LagMeter(cast(Membership, Members()))
    meter.measure([slot])
    return meter.latest[OURS.record_type]


def test_a_line_that_was_at_the_end_until_a_rebalance_is_not_as_far_behind_as_its_last_record_is_old(
    ready: Slot,
) -> None:
    inbox = ("inbox.population.resident.health", 0)
    Ready.positions = {inbox: 7}
    ready.reached[inbox] = int((time.time() - 7 * 3600) * 1000)
    ready.note_end(inbox)
    ready.read()  # a rebalance: the end is to be found again, and some thousand rows have come
    lag = lag_of(ready)
    assert lag.records == 5_000
    assert lag.seconds < 60


def test_an_input_that_is_read_on_hides_none_that_is_behind(ready: Slot) -> None:
    read, left = ("inbox.population.resident.health", 0), ("inbox.population.resident.civil-affairs", 0)
    Ready.positions = {read: 7, left: 7}
    ready.reached[left] = int((time.time() - 3600) * 1000)
    ready.reached[read] = int(time.time() * 1000)
    assert 3600 <= lag_of(ready).seconds < 3700
