"""How many events each actor has written today: what a bound per day is judged by, the same for every leader."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

_AHEAD: Final = timedelta(hours=8)
"""Of Asia/Shanghai before UTC: the same all the year for as long as there are ledgers, and every event asks for it."""


@dataclass(slots=True)
class WrittenToday:
    """The numbers of one day in Asia/Shanghai; those of the days before are forgotten."""

    _day: int = 0
    """Its number in the calendar; 0 before the first event."""
    _events: dict[str, int] = field(default_factory=dict)

    def of(self, actor: str, now: datetime) -> int:
        """How many events an actor has written on the day of `now`, a moment in UTC."""
        return self._events.get(actor, 0) if self._day == _day_of(now) else 0

    def note(self, actor: str, at: datetime) -> None:
        """Note an event."""
        day = _day_of(at)
        if day != self._day:
            self._day, self._events = day, {}
        self._events[actor] = self._events.get(actor, 0) + 1

    def kept(self, actor: str) -> Callable[[], None]:
        """What puts everything back that the next event of an actor changes."""
        day, events, before = self._day, self._events, self._events.get(actor)

        def put_back() -> None:
            self._day, self._events = day, events
            if before is None:
                events.pop(actor, None)
            else:
                events[actor] = before

        return put_back


def _day_of(moment: datetime) -> int:
    """The number of the day of a moment in UTC."""
    return (moment + _AHEAD).toordinal()
