"""Periods that are reported on: years and months of Asia/Shanghai, or any two moments."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from exchange.calendar import ZONE, day_in_shanghai
from exchange.errors import ExchangeError
from exchange.moments import FIRST_YEAR, LAST_YEAR

_TICK = timedelta(milliseconds=1)
"""The ledger's times have milliseconds: this far before its end is a period's last moment."""
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to before `end`, aware moments."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ExchangeError("E_REQUEST", "until: it lies not after from")

    @property
    def last(self) -> datetime:
        """Its last moment."""
        return self.end - _TICK

    @property
    def days(self) -> tuple[date, date]:
        """Its first and its last day in Asia/Shanghai, both part of it."""
        return day_in_shanghai(self.start), day_in_shanghai(self.last)

    def holds_day(self, day: date) -> bool:
        """Whether a day of Asia/Shanghai is part of it; days that it cuts are."""
        first, last = self.days
        return first <= day <= last

    def holds(self, moment: datetime) -> bool:
        """Whether a moment is part of it."""
        return self.start <= moment < self.end


def year(number: int) -> Period:
    """A calendar year of Asia/Shanghai. Raises ExchangeError(E_REQUEST) for one before 2000 or after 2999."""
    if not FIRST_YEAR <= number <= LAST_YEAR:
        raise ExchangeError("E_REQUEST", f"a year between {FIRST_YEAR} and {LAST_YEAR}")
    return Period(datetime(number, 1, 1, tzinfo=ZONE), datetime(number + 1, 1, 1, tzinfo=ZONE))


def months(number: int) -> list[Period]:
    """The twelve months of a year, which together are it. Raises as `year` does."""
    whole = year(number)
    starts = [datetime(number, month, 1, tzinfo=ZONE) for month in range(1, _MONTHS + 1)]
    return [Period(start, end) for start, end in zip(starts, [*starts[1:], whole.end], strict=True)]
