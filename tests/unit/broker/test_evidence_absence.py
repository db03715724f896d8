"""Which grantees were away for longer than tombstones are kept, told from offsets and times alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.broker.evidence.absence import absent
from exchange.names import GrantId

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
KEPT = timedelta(days=30)
PLACE, OTHER = ("share.s", 0), ("share.s", 1)
ONE, TWO = GrantId("g-1"), GrantId("g-2")


class Log:
    """A share: for each partition, how many days ago the record at each offset was appended."""

    def __init__(self, **partitions: list[float]) -> None:
        self._days = {(("share.s"), int(name[1:])): days for name, days in partitions.items()}
        self.asked: set[Any] = set()

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        return {place: len(days) for place, days in self._days.items()}

    def offsets_for_time(self, partitions: Any, time_ms: int) -> dict[tuple[str, int], int | None]:
        self.asked |= set(partitions)
        found = {}
        for place in partitions:
            times = [(NOW - timedelta(days=days)).timestamp() * 1000 for days in self._days[place]]
            found[place] = next((offset for offset, at in enumerate(times) if at >= time_ms), None)
        return found


def away(log: Log, **committed: dict[tuple[str, int], int]) -> frozenset[GrantId]:
    grants = {GrantId(name.replace("_", "-")): offsets for name, offsets in committed.items()}
    return absent(log, grants, log.ends, NOW, KEPT)  # type: ignore[arg-type]


def test_who_stands_before_what_is_older_than_tombstones_are_kept_has_to_read_again() -> None:
    log = Log(p0=[60, 40, 35, 31, 20, 1])
    assert away(log, g_1={PLACE: 1}, g_2={PLACE: 4}) == {ONE}


def test_one_partition_is_enough() -> None:
    log = Log(p0=[60, 40, 35, 1], p1=[2, 1, 1])
    assert away(log, g_1={PLACE: 1, OTHER: 2}, g_2={OTHER: 1}) == {ONE}


def test_who_is_behind_by_less_or_has_taken_all_is_left_alone() -> None:
    log = Log(p0=[60, 29, 20, 10, 1])
    assert away(log, g_1={PLACE: 1}, g_2={PLACE: 5}) == frozenset()


def test_who_has_not_begun_reads_from_the_beginning_anyway() -> None:
    log = Log(p0=[60, 50, 40])
    assert away(log, g_1={PLACE: 0}, g_2={}) == frozenset()


@pytest.mark.parametrize(("taken", "told"), [(1, True), (2, False), (3, False)])
def test_all_is_old_and_only_the_end_of_a_transaction_may_be_untaken(taken: int, told: bool) -> None:
    log = Log(p0=[60, 50, 50])
    assert away(log, g_1={PLACE: taken}) == ({ONE} if told else frozenset())


def test_kafka_is_asked_only_about_those_who_are_behind() -> None:
    log = Log(p0=[60, 1], p1=[60, 50, 40])
    away(log, g_1={PLACE: 2, OTHER: 1})
    assert log.asked == {OTHER}
