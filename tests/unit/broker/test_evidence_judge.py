from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.broker.evidence.judge import Agreed, Sight, Untaken, judge
from exchange.broker.evidence.lag import oldest
from exchange.broker.evidence.untaken import FirstRecords, Place
from exchange.clock import Deadline
from exchange.kafka.admin.admin import OffsetAt
from exchange.kafka.client.message import Message
from exchange.names import HEARTBEAT_KEY

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AGREED = Agreed(timedelta(hours=1), timedelta(days=1))


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def sight(**changed: object) -> Sight:
    whole: dict[str, object] = {
        "ends": {0: 10, 1: 10},
        "committed": {0: 10, 1: 10},
        "untaken": {},
        "stood": {0: 5, 1: 5},
        "began_empty": False,
        "exchange_behind": timedelta(),
        "suspended_since": None,
        "source_seen": ago(minutes=5),
    }
    return Sight(**(whole | changed))  # type: ignore[arg-type]


def test_a_fresh_grant_is_delivered_and_unbroken() -> None:
    verdict = judge(sight(), AGREED, NOW)
    assert (verdict.delivered, verdict.empty, dict(verdict.broken), verdict.lag) == (True, False, {}, timedelta())


def test_the_oldest_record_not_taken_decides_and_says_since_when() -> None:
    untaken = {0: Untaken(7, ago(minutes=90)), 1: Untaken(8, ago(minutes=10))}
    verdict = judge(sight(untaken=untaken), AGREED, NOW)
    assert dict(verdict.broken) == {"grantee": ago(minutes=30)}
    assert verdict.lag == timedelta(minutes=90)
    exactly = {0: Untaken(7, ago(minutes=60))}
    assert not judge(sight(untaken=exactly), AGREED, NOW).broken


def test_causes_open_one_by_one() -> None:
    verdict = judge(
        sight(
            untaken={0: Untaken(7, ago(hours=2))}, exchange_behind=timedelta(hours=3), source_seen=ago(hours=30)
        ),
        AGREED,
        NOW,
    )  # fmt: skip
    assert dict(verdict.broken) == {"grantee": ago(hours=1), "exchange": ago(hours=2), "provider": ago(hours=6)}


def test_a_suspended_share_is_the_exchanges_cause_since_then() -> None:
    assert dict(judge(sight(suspended_since=ago(minutes=1)), AGREED, NOW).broken) == {"exchange": ago(minutes=1)}


@pytest.mark.parametrize(
    ("changed", "delivered"),
    [
        ({"stood": None}, False),
        ({"untaken": {0: Untaken(4, NOW)}}, False),
        ({"untaken": {0: Untaken(5, NOW)}}, True),
        ({"committed": {0: 11}}, False),
        ({"committed": {0: 10, 7: 1}}, False),
        ({"committed": {}, "stood": {0: 0, 1: 0}}, True),
    ],
)
def test_first_delivery_is_everything_that_stood_there(changed: dict[str, object], delivered: bool) -> None:
    assert judge(sight(**changed), AGREED, NOW).delivered is delivered


class Times:
    """Offsets of records by their times: record n of a partition at `times[n]` (milliseconds)."""

    def __init__(self, times: Mapping[Place, list[int]]) -> None:
        self.times = times
        self.asked = 0

    def topics(self) -> dict[str, int]:
        return {}

    def end_offsets(self, partitions: Iterable[Place]) -> dict[Place, int]:
        return {place: len(self.times[place]) for place in partitions}

    def offsets_for_time(self, partitions: Iterable[Place], time_ms: int) -> dict[Place, int | None]:
        self.asked += 1
        return {
            place: next((number for number, at in enumerate(self.times[place]) if at >= time_ms), None)
            for place in partitions
        }

    def newest(self, partitions: Iterable[Place]) -> dict[Place, OffsetAt]:
        return {}

    def committed(self, group: str, partitions: Iterable[Place] | None = None) -> dict[Place, int]:
        return {}


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=20), st.data())
def test_the_age_of_what_waits_is_found_from_times_alone(ages: list[int], data: st.DataObject) -> None:
    place = ("t", 0)
    at_ms = int(NOW.timestamp() * 1000)
    kafka = Times({place: [at_ms - age for age in sorted(ages, reverse=True)]})
    position = data.draw(st.integers(0, len(ages) - 1))
    waits = sorted(ages, reverse=True)[position]
    found = oldest(kafka, {place: position}, NOW).total_seconds()
    assert abs(found - waits / 1000) <= 1
    assert kafka.asked <= 60


def test_nothing_waiting_has_no_age_and_asks_nothing() -> None:
    kafka = Times({})
    assert oldest(kafka, {}, NOW) == timedelta()
    assert kafka.asked == 0


class Record:
    def __init__(self, place: Place, offset: int, key: bytes) -> None:
        self._place, self._offset, self._key = place, offset, key

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return None

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_000 * self._offset


class QuarantineStore:
    """Finds the first wanted record of a list; notes what it was asked."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.asked: list[Mapping[Place, int]] = []

    def first_at(self, starts: Mapping[Place, int], wanted: object, deadline: Deadline) -> Mapping[Place, Message]:
        assert callable(wanted)
        self.asked.append(dict(starts))
        found: dict[Place, Message] = {}
        for place, start in starts.items():
            for record in self.records:
                if (record.topic(), record.partition()) == place and record.offset() >= start and wanted(record):
                    found.setdefault(place, record)
        return found


def test_grantees_of_one_share_are_looked_up_where_each_stands() -> None:
    place = ("share.s", 0)
    store = QuarantineStore([Record(place, number, HEARTBEAT_KEY if number == 3 else b"k") for number in range(5)])
    firsts = FirstRecords(store)
    found = firsts.find([(place, 1), (place, 3), (place, 5)], {place: 6}, Deadline.after(1))
    assert {start: one.offset for (_, start), one in found.items()} == {1: 1, 3: 4}


def test_a_stretch_without_records_is_looked_at_again_only_when_it_has_grown() -> None:
    place = ("share.s", 0)
    store = QuarantineStore([])
    firsts = FirstRecords(store)
    for end in (4, 4, 5, 5):
        assert firsts.find([(place, 2)], {place: end}, Deadline.after(1)) == {}
    assert len(store.asked) == 2
    firsts.forget([])
    firsts.find([(place, 2)], {place: 5}, Deadline.after(1))
    assert len(store.asked) == 3
    assert firsts.find([(place, 5)], {place: 5}, Deadline.after(1)) == {}
    assert len(store.asked) == 3
