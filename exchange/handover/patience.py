"""Waiting for what is away: the department's database or folder, or the broker service."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from exchange.backoff import Backoff
from exchange.errors import Action, ExchangeError
from exchange.handover.health import SinkHealth

_BACKOFF = Backoff(first=0.5, longest=15.0)
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """How a sink waits, and who hears of it."""

    health: SinkHealth
    stop: threading.Event
    rest: Callable[[float], object] | None = None
    """Lets time pass without losing the membership in the group; None while there is none."""

    def until(self, act: Callable[[], _Result]) -> _Result | None:
        """What `act` gives as soon as what it needs is there; None when `stop` is set before.

        Raises ExchangeError for what waiting won't mend, and E_SHARE_POSITION.
        """
        for attempt in _BACKOFF.attempts(self.stop, self.rest):
            try:
                result = act()
            except ExchangeError as error:
                if error.entry.action is not Action.RETRY or error.code == "E_SHARE_POSITION":
                    raise
                self.health.away(error)
                continue
            if attempt > 1:
                self.health.well("at work")
            return result
        return None
