"""Step three: the changes into the department's table, waiting for a database that is away."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from exchange.backoff import Backoff
from exchange.errors import Action, ExchangeError
from exchange.handover.table.progress import Progress
from exchange.handover.table.target import Batch, Report, SqlTarget

_BACKOFF = Backoff(first=0.5, longest=15.0)
_Result = TypeVar("_Result")
_log = structlog.get_logger("exchange.handover")


def apply(
    target: SqlTarget, batch: Batch, report: Report, rest: Callable[[float], None], stop: threading.Event
) -> Progress | None:
    """Apply a batch; None when `stop` is set before the database is back.

    `report` hears of refused records before they are behind us; `rest` lets time pass without losing the membership in
    the group. Raises ExchangeError(E_SHARE_POSITION) when the share is to be read from another place.
    """
    return patiently(lambda: target.apply(batch, report), rest, stop)


def patiently(act: Callable[[], _Result], rest: Callable[[float], object], stop: threading.Event) -> _Result | None:
    """What `act` gives as soon as the sink can be reached; None when `stop` is set before."""
    for _ in _BACKOFF.attempts(stop, rest):
        try:
            return act()
        except ExchangeError as error:
            if error.entry.action is not Action.RETRY or error.code == "E_SHARE_POSITION":
                raise
            _log.warning("handover.sink_away", stage=error.entry.stage, code=error.code, detail=error.detail)
    return None
