"""Working days of the official calendar, with its make-up workdays, and deadlines that say when they are provisional.

The State Council announces each year's holidays and make-up workdays in the November before. A year that the installed
`chinesecalendar` does not know yet has only its weekends here, and every deadline that was counted with it is
provisional: compute it again after the announcement. Days are those of Asia/Shanghai.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import chinese_calendar

ZONE: Final = ZoneInfo("Asia/Shanghai")
_ONE_DAY: Final = timedelta(days=1)
_MONDAY_TO_FRIDAY: Final = range(5)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The last day on which a duty can be done in time."""

    date: date
    provisional: bool
    """Whether a day was counted of a year whose calendar is not known."""


@dataclass(frozen=True, slots=True)
class Day:
    """What the calendar says about one day."""

    working: bool
    announced: bool


@lru_cache(maxsize=4096)
def day(of: date) -> Day:
    """Whether a date is a working day, and whether that is announced or only its weekday."""
    try:
        return Day(chinese_calendar.is_workday(of), announced=True)
    except NotImplementedError:
        return Day(of.weekday() in _MONDAY_TO_FRIDAY, announced=False)


def day_in_shanghai(moment: datetime) -> date:
    """The day on which an aware `moment` falls there. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a moment without time zone")
    return moment.astimezone(ZONE).date()


def add_working_days(start: date, days: int) -> Deadline:
    """The day on which `days` working days have passed after `start`, which does not count itself.

    `start` is a date, not a moment: `day_in_shanghai` gives it. 0 days give `start`, working day or not.
    Raises ValueError for negative `days`, TypeError for a datetime.
    """
    if isinstance(start, datetime):
        raise TypeError("working days are counted from a date, not from a moment")
    if days < 0:
        raise ValueError("a deadline lies not before its start")
    current, left, provisional = start, days, False
    while left:
        current += _ONE_DAY
        known = day(current)
        left -= known.working
        provisional = provisional or not known.announced
    return Deadline(current, provisional)


def working_days_between(start: date, end: date) -> int:
    """How many working days lie after `start`, up to and including `end`; 0 when `end` is not later."""
    return sum(day(start + timedelta(days=passed)).working for passed in range(1, (end - start).days + 1))
