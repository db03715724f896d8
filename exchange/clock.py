"""Time: the wall clock as a seam, and one monotonic deadline that is passed down."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time. Tests pass their own."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, in UTC."""
        return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds (`2026-11-24T08:00:00.000Z`). Raises ValueError for a naive `moment`."""
    if moment.tzinfo is None:
        raise ValueError("a moment without time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The aware UTC moment of an RFC 3339 text. Raises ValueError for anything else, also for a text without zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    try:
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time that has no year in UTC") from None


@dataclass(frozen=True, slots=True)
class Deadline:
    """One budget of time on the monotonic clock, shared by everything that is called under it."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() >= self.at


class Every:
    """Something that is done now and then: due at first, and again some seconds after it was done."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = Deadline.after(0)

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return self._next.passed

    def done(self) -> None:
        """It was done now, on whatever occasion."""
        self._next = Deadline.after(self._seconds)
