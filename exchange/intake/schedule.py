"""When a source compares itself with its whole table or file, by the department's choice."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from exchange.calendar import ZONE
from exchange.errors import ExchangeError

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_START = "start"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times of day (Asia/Shanghai), and whether each start is one more occasion."""

    at_start: bool
    times: tuple[time, ...]

    @classmethod
    def of(cls, text: str) -> "Schedule":
        """The schedule of a setting like `start,02:30`; an empty one leaves it to the source.

        Raises ExchangeError(E_SETTINGS) for anything else.
        """
        words = [word.strip() for word in text.split(",")] if text.strip() else []
        if wrong := [word for word in words if word != _START and not _TIME.fullmatch(word)]:
            raise ExchangeError(
                "E_SETTINGS",
                f"connector.compare: {len(wrong)} of its parts are neither `start` nor a time of day like 02:30",
            )
        times = sorted({time.fromisoformat(word) for word in words if word != _START})
        return cls(_START in words, tuple(times))

    def due(self, last: datetime, now: datetime) -> bool:
        """Whether a time of day has come after `last`, up to `now`."""
        return any(last < moment <= now for moment in self._before(now))

    def _before(self, now: datetime) -> list[datetime]:
        """The latest moment of each time of day that is not after `now`."""
        today = now.astimezone(ZONE).date()
        days = (today, today - timedelta(days=1))
        moments = [datetime.combine(day, at, ZONE) for at in self.times for day in days]
        return [moment for moment in moments if moment <= now]
