"""Receipts are written in passing: seldom, the newest only, and again when one was lost."""

from typing import Any

import pytest

from exchange.clock import parse_time
from exchange.errors import ExchangeError
from exchange.handover import receipt, report
from exchange.handover.granted import Owner
from exchange.handover.grants import ActiveGrant
from exchange.handover.receipt import Receipt
from exchange.handover.report import Receipts
from exchange.names import Department, GrantId, RecordType, SchemaId, TopicName

GRANT = ActiveGrant(GrantId("g-1"), Department("market-regulation"), TopicName("share.s-1"), "g", SchemaId(1), False)
OWNER = Owner(Department("taxation"), RecordType("legal-entity.registration"), GRANT, "taxation.companies")
AT = parse_time("2026-11-24T08:00:00Z")


class Letters:
    """A producer that loses what a test wants lost."""

    def __init__(self) -> None:
        self.sent: list[Receipt] = []
        self.losing = False
        self.flushed = 0

    def send_in_passing(self, _topic: str, _key: bytes, value: bytes, lost: Any) -> None:
        if self.losing:
            lost(ExchangeError("E_KAFKA_UNREACHABLE"))
            return
        found = receipt.decode(value)
        assert found is not None
        self.sent.append(found)

    def serve(self) -> None: ...

    def flush(self, _deadline: object) -> None:
        self.flushed += 1


class MonotonicTime:
    """Stands still until it is moved on."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> MonotonicTime:
    time = MonotonicTime()
    monkeypatch.setattr(report, "time", time)
    return time


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def receipts(letters: Letters, time: MonotonicTime) -> Receipts:
    return Receipts(OWNER, letters)  # type: ignore[arg-type]


def of(partition: int, next_offset: int) -> Receipt:
    return Receipt(partition, next_offset, next_offset, 0, 0, AT)


def test_many_batches_within_a_second_have_one_receipt_of_each_partition(
    receipts: Receipts, letters: Letters, time: MonotonicTime
) -> None:
    for end in range(1, 101):
        receipts.note(of(end % 2, end))
        if receipts.due(at_rest=False):
            receipts.say({})
    assert [one.next_offset for one in letters.sent] == [1]
    time.seconds += 1.0
    assert receipts.due(at_rest=False)
    receipts.say({})
    assert [(one.partition, one.next_offset) for one in letters.sent[1:]] == [(0, 100), (1, 99)]
    time.seconds += 1.0
    assert not receipts.due(at_rest=True)


def test_a_receipt_is_written_at_once_when_nothing_more_comes(receipts: Receipts, letters: Letters) -> None:
    receipts.note(of(0, 1))
    receipts.say({})
    receipts.note(of(0, 2))
    assert not receipts.due(at_rest=False)
    assert receipts.due(at_rest=True)


def test_a_receipt_says_how_many_records_of_its_partition_wait(receipts: Receipts, letters: Letters) -> None:
    receipts.note(of(0, 5))
    receipts.note(of(1, 6))
    receipts.say({1: 3})
    assert [(one.partition, one.set_aside) for one in letters.sent] == [(0, 0), (1, 3)]


def test_a_receipt_that_was_lost_is_written_again_and_not_at_once(
    receipts: Receipts, letters: Letters, time: MonotonicTime
) -> None:
    receipts.note(of(0, 5))
    letters.losing = True
    receipts.say({})
    letters.losing = False
    assert not receipts.due(at_rest=True)
    time.seconds += 60.0
    assert receipts.due(at_rest=True)
    receipts.say({})
    assert [one.next_offset for one in letters.sent] == [5]


def test_the_end_of_a_sink_leaves_no_receipt_behind(receipts: Receipts, letters: Letters) -> None:
    receipts.note(of(0, 5))
    receipts.say({0: 1})
    receipts.note(of(0, 6))
    receipts.settle()
    assert [(one.next_offset, one.set_aside) for one in letters.sent] == [(5, 1), (6, 1)]
    assert letters.flushed == 1
