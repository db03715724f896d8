"""Pauses between attempts: each twice as long as the one before, up to a longest."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_DOUBLINGS = 1_000
"""More would not fit a float; long before, the longest pause is reached."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after attempts that failed, in seconds."""

    first: float
    longest: float

    def pause(self, failures: int) -> float:
        """Seconds until the next attempt after so many failures in a row, at least one."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, _DOUBLINGS))

    def attempts(self, stop: threading.Event, rest: Callable[[float], object] | None = None) -> Iterator[int]:
        """Numbers attempts from 1 on, with a pause before each but the first; ends as soon as `stop` is set.

        The body of the loop makes the attempt and leaves the loop when it went well. `rest` lets so many seconds pass;
        without it they are waited for, or for `stop`.
        """
        failures = 0
        while not stop.is_set():
            yield failures + 1
            failures += 1
            (rest or stop.wait)(self.pause(failures))
