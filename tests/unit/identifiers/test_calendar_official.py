"""Every deadline from 2019 to 2026 against the notices; the year after is provisional until it is announced.

The table is what the general office of the State Council announces each November: days off with the
weekends in them, and the weekend days that are worked. The spring festival of 2020 is as it was extended that January.
The notices themselves were not at hand: the ranges were written out, and compared day by day with two packages that
are independent of each other, `chinesecalendar` 1.11.0 and `holidays` 0.109. All three agree on every day.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import chinese_calendar
import pytest

from exchange.broker.demands.clocks import clocks
from exchange.broker.rate.report import report
from exchange.calendar import Deadline, _is_fixed, add_working_days, day
from exchange.ledger.fold.apply import fold
from tests.harness.memory.ledger import chain

DAYS_OFF = {
    2019: "01-01 02-04…02-10 04-05…04-07 05-01…05-04 06-07…06-09 09-13…09-15 10-01…10-07",
    2020: "01-01 01-24…02-02 04-04…04-06 05-01…05-05 06-25…06-27 10-01…10-08",
    2021: "01-01…01-03 02-11…02-17 04-03…04-05 05-01…05-05 06-12…06-14 09-19…09-21 10-01…10-07",
    2022: "01-01…01-03 01-31…02-06 04-03…04-05 04-30…05-04 06-03…06-05 09-10…09-12 10-01…10-07",
    2023: "01-01…01-02 01-21…01-27 04-05 04-29…05-03 06-22…06-24 09-29…10-06",
    2024: "01-01 02-10…02-17 04-04…04-06 05-01…05-05 06-08…06-10 09-15…09-17 10-01…10-07",
    2025: "01-01 01-28…02-04 04-04…04-06 05-01…05-05 05-31…06-02 10-01…10-08",
    2026: "01-01…01-03 02-15…02-23 04-04…04-06 05-01…05-05 06-19…06-21 09-25…09-27 10-01…10-07",
}
WORKED_WEEKENDS = {
    2019: "02-02 02-03 04-28 05-05 09-29 10-12",
    2020: "01-19 04-26 05-09 06-28 09-27 10-10",
    2021: "02-07 02-20 04-25 05-08 09-18 09-26 10-09",
    2022: "01-29 01-30 04-02 04-24 05-07 10-08 10-09",
    2023: "01-28 01-29 04-23 05-06 06-25 10-07 10-08",
    2024: "02-04 02-18 04-07 04-28 05-11 09-14 09-29 10-12",
    2025: "01-26 02-08 04-27 09-28 10-11",
    2026: "01-04 02-14 02-28 05-09 09-20 10-10",
}
ONE_DAY = timedelta(days=1)
FIRST, LAST = date(2019, 1, 1), date(2026, 12, 31)
NEXT = next(year for year in range(2027, 2100) if not day(date(year, 6, 1)).announced)
"""The first year that is not announced: 2027, until a release of the calendar knows it."""


def listed(year: int, text: str) -> Iterator[date]:
    for part in text.split():
        begin, _, end = part.partition("…")
        current = date.fromisoformat(f"{year}-{begin}")
        while current <= date.fromisoformat(f"{year}-{end or begin}"):
            yield current
            current += ONE_DAY


def working_days() -> list[date]:
    off = {one for year, text in DAYS_OFF.items() for one in listed(year, text)}
    on = {one for year, text in WORKED_WEEKENDS.items() for one in listed(year, text)}
    every = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    return [one for one in every if one in on or (one.weekday() < 5 and one not in off)]


def test_every_day_from_2019_to_2026_is_as_announced() -> None:
    working = set(working_days())
    current = FIRST
    while current <= LAST:
        assert (day(current).working, day(current).announced) == (current in working, True), current
        current += ONE_DAY
    per_year = [sum(one.year == year for one in working) for year in DAYS_OFF]
    assert per_year == [250, 249, 250, 249, 249, 251, 248, 248]


@pytest.mark.parametrize("year", DAYS_OFF)
def test_every_deadline_of_1_to_30_working_days_is_that_of_the_official_calendar(year: int) -> None:
    """Starts of the year, the last day of the year before, and every number; what ends after 2026 is provisional."""
    working = working_days()
    compared = 0
    for number in range(-1, 366):
        start = date(year, 1, 1) + timedelta(days=number)
        if start.year > year or start < FIRST - ONE_DAY:
            continue
        place = bisect_right(working, start)
        for days in range(1, 31):
            found = add_working_days(start, days)
            if place + days <= len(working):
                assert found == Deadline(working[place + days - 1], provisional=False), (start, days)
                compared += 1
            else:
                assert found.date.year == 2027
                assert found.provisional is (NEXT == 2027), (start, days)
    assert compared > (9_000 if year < 2026 else 8_000)


def test_deadlines_in_a_year_not_announced_count_weekends_and_holidays_of_the_law_and_say_so() -> None:
    end, begin = date(NEXT - 1, 12, 31), date(NEXT, 1, 1)
    days_of_year = (begin + timedelta(days=number) for number in range(60))
    weekdays = [one for one in days_of_year if one.weekday() < 5 and not _is_fixed(one)]
    assert begin not in weekdays
    for days in range(1, 31):
        assert add_working_days(end, days) == Deadline(weekdays[days - 1], provisional=True)
    assert not add_working_days(end - timedelta(days=10), 1).provisional


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A release of the calendar that knows the next year: its first week is off."""
    week = {date(NEXT, 1, number): "New Year" for number in range(1, 8)}
    monkeypatch.setattr(chinese_calendar.utils, "holidays", {**chinese_calendar.holidays, **week})
    day.cache_clear()
    yield
    monkeypatch.undo()
    day.cache_clear()


DEMAND: dict[str, Any] = {
    "demand": "d",
    "request": "r",
    "demander": "taxation",
    "provider": "courts",
    "registry": "credit",
    "record_type": "credit.penalty",
    "fields": ["a"],
    "complete": True,
    "use_from": None,
    "use_until": None,
    "reply_days": 10,
}
SUBMITTED, LATER = (datetime(NEXT - 1, 12, number, 2, tzinfo=UTC) for number in (24, 30))


def reply_and_report() -> tuple[Deadline, list[date]]:
    """The deadline of the reply, and the provisional deadlines of the report, of a ledger that never changes."""
    events = chain([("demand-submitted", DEMAND, SUBMITTED)])
    state = fold(events)
    reply = clocks(state, next(iter(state.demands.values())), LATER).reply
    assert reply is not None
    return Deadline(reply.due, reply.provisional), [one.due for one in report(events, NEXT - 1, LATER).provisional]


def test_deadlines_are_provisional_before_the_announcement() -> None:
    reply, told = reply_and_report()
    assert reply.provisional
    assert told == [reply.date]


def test_an_announcement_makes_deadlines_final_and_moves_them(
    request: pytest.FixtureRequest,
) -> None:
    """Nothing is stored: the same ledger has other clocks as soon as the calendar knows the year."""
    before, _ = reply_and_report()
    request.getfixturevalue("announced")
    after, told = reply_and_report()
    assert not after.provisional
    assert told == []
    off = sum(date(NEXT, 1, number).weekday() < 5 for number in range(2, 8))  # the first is off by law
    assert after == add_working_days(before.date, off), "as many working days later as the first week lost"
