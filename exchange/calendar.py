"""Working days of the official calendar, with its make-up workdays, and deadlines that say when they are provisional.

The State Council announces each year's holidays and make-up workdays in the November before. A year that the installed
`chinesecalendar` does not know yet has here its weekends and the holidays that law fixes (全国年节及纪念日放假办法,
as of 2025), which no announcement can make working days; every deadline that was counted with it is provisional:
compute it again after the announcement. Days are those of Asia/Shanghai.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import chinese_calendar

ZONE: Final = ZoneInfo("Asia/Shanghai")
_ONE_DAY: Final = timedelta(days=1)
_MONDAY_TO_FRIDAY: Final = range(5)
_SAME_EVERY_YEAR: Final = frozenset(((1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)))
_BY_THE_MOON: Final = {
    year: tuple(date(year, int(day[:2]), int(day[2:])) for day in days.split())
    for year, days in (
        (2027, "0206 0609 0915"), (2028, "0126 0528 1003"), (2029, "0213 0616 0922"), (2030, "0203 0605 0912"),
        (2031, "0123 0624 1001"), (2032, "0211 0612 0919"), (2033, "0131 0601 0908"), (2034, "0219 0620 0927"),
        (2035, "0208 0610 0916"), (2036, "0128 0530 1004"), (2037, "0215 0618 0924"), (2038, "0204 0607 0913"),
        (2039, "0124 0527 1002"), (2040, "0212 0614 0920"), (2041, "0201 0603 0910"), (2042, "0122 0622 0928"),
        (2043, "0210 0611 0917"), (2044, "0130 0531 1005"), (2045, "0217 0619 0925"), (2046, "0206 0608 0915"),
        (2047, "0126 0529 1004"), (2048, "0214 0615 0922"), (2049, "0202 0604 0911"), (2050, "0123 0623 0930"),
    )
}  # fmt: skip
"""First day of the year, Dragon Boat and Mid-Autumn (first of the first, fifth of the fifth, fifteenth of the eighth
month of GB/T 33661); years behind the table have no such days here."""
_SPRING_FESTIVAL: Final = range(-1, 3)
"""From New Year's Eve to the third day of the year."""
_LAW_SINCE: Final = 2025
_LAST_OF_QINGMING: Final = 2099


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
        return Day(of.weekday() in _MONDAY_TO_FRIDAY and not _is_fixed(of), announced=False)


def _is_fixed(of: date) -> bool:
    """Whether a day is a holiday by law alone."""
    if of.year < _LAW_SINCE:
        return False
    if (of.month, of.day) in _SAME_EVERY_YEAR or of == _qingming(of.year):
        return True
    if of.year not in _BY_THE_MOON:
        return False
    new_year, *others = _BY_THE_MOON[of.year]
    return (of - new_year).days in _SPRING_FESTIVAL or of in others


def _qingming(year: int) -> date | None:
    """The day on which the sun's longitude reaches 15°, by the usual rule for this century; None after it."""
    if year > _LAST_OF_QINGMING:
        return None
    return date(year, 4, int(year % 100 * 0.2422 + 4.81) - year % 100 // 4)


def day_in_shanghai(moment: datetime) -> date:
    """The day on which an aware `moment` falls there. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a moment without time zone")
    return moment.astimezone(ZONE).date()


def last_day(until: datetime) -> date | None:
    """The last day, in Asia/Shanghai, of a period that ends at `until`; None when it ends within a day, or has none."""
    try:
        end = until.astimezone(ZONE)
    except OverflowError:  # in the last hours of the year 9999
        return None
    return None if end.time() != time() else end.date() - timedelta(days=1)


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
