"""One state of trouble is one line: what is said again and again is counted, and told now and then with the count.

The first line of a trouble comes at once, the next after a second, then after two, four and so on up to an hour: a day
without Kafka is some thirty lines. When a trouble is silent for a while, what was counted last is told; after that it
is a new one. Only warnings and worse are counted; what differs in anything but numbers and wording is another trouble.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from structlog.typing import EventDict, WrappedLogger

REPEATED: Final = "repeated"
"""The key of a line that says how often it was left out since the last one."""
_LEVELS: Final = frozenset({"warning", "error", "critical"})
_OF_THE_LINE: Final = frozenset({"timestamp", "detail", "text", "advice"})
"""What may differ between two lines of one trouble, beside numbers."""
_FIRST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 3_600.0
_SILENT: Final = 3.0
"""So many times the present pause without a line, and the trouble is over."""
_LEAST_SILENT_SECONDS: Final = 60.0
_MOST_TROUBLES: Final = 1_000
_LOOK_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Trouble:
    said: float
    """When the last line was written, by the monotonic clock."""
    seen: float
    pause: float
    left_out: int = 0

    def over(self, now: float) -> bool:
        return now - self.seen > max(_LEAST_SILENT_SECONDS, min(_LONGEST_SECONDS, _SILENT * self.pause))


class Repeats:
    """A structlog processor. Safe for several threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._troubles: OrderedDict[tuple[tuple[str, str], ...], _Trouble] = OrderedDict()
        """Those that go on, the one of the oldest line first."""
        self._looked = 0.0

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Let a line pass, with what was left out before it, or count it."""
        now = self._monotonic()
        for ended in self._ended(now):
            structlog.get_logger().info("log.repeated", **ended)
        if event.get("level") not in _LEVELS:
            return event
        with self._lock:
            left_out = self._note(_trouble_of(event), now)
        if left_out is None:
            raise structlog.DropEvent
        if left_out:
            event[REPEATED] = left_out
        return event

    def _note(self, key: tuple[tuple[str, str], ...], now: float) -> int | None:
        """How many lines were left out before this one, which is written; None when it is left out itself."""
        trouble = self._troubles.get(key)
        if trouble is None or trouble.over(now):
            left_out = 0 if trouble is None else trouble.left_out
            self._troubles[key] = _Trouble(now, now, _FIRST_SECONDS)
            self._troubles.move_to_end(key)
            if len(self._troubles) > _MOST_TROUBLES:
                self._troubles.popitem(last=False)
            return left_out
        trouble.seen = now
        self._troubles.move_to_end(key)
        if now - trouble.said < trouble.pause:
            trouble.left_out += 1
            return None
        left_out, trouble.left_out = trouble.left_out, 0
        trouble.said, trouble.pause = now, min(_LONGEST_SECONDS, 2 * trouble.pause)
        return left_out

    def _ended(self, now: float) -> list[dict[str, Any]]:
        """The troubles that are over, of which something was not told yet."""
        with self._lock:
            if now - self._looked < _LOOK_SECONDS:
                return []
            self._looked = now
            ended = [key for key, trouble in self._troubles.items() if trouble.over(now)]
            found = [(key, self._troubles.pop(key)) for key in ended]
        return [
            {**{("of" if name == "event" else name): value for name, value in key if name != "level"},
             REPEATED: trouble.left_out}
            for key, trouble in found if trouble.left_out
        ]  # fmt: skip


def _trouble_of(event: EventDict) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted((name, value) for name, value in event.items() if isinstance(value, str) and name not in _OF_THE_LINE)
    )
