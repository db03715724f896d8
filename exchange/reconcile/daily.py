"""Once a day a running connector compares its part of every grant that it serves, and tells the exchange the counts.

At night in China, each connector at a minute of its own: a province's connectors do not all begin at once. What goes
wrong is logged and tried on the next day; the connector works on.
"""

import threading
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import structlog

from exchange.clock import Clock, SystemClock
from exchange.errors import ExchangeError
from exchange.reconcile.result import Finding

Act = Callable[[], list[Finding]]
"""Compares and tells: `halves.reconcile_all` with its arguments."""

_CHINA = timezone(timedelta(hours=8))
_FIRST = timedelta(hours=3, minutes=30)
"""After the sources have compared themselves with their tables."""
_MINUTES = 150
_log = structlog.get_logger("exchange.reconcile")


def seconds_until(connector: str, now: datetime) -> float:
    """From `now` to the connector's next time."""
    minute = timedelta(minutes=zlib.crc32(connector.encode()) % _MINUTES)
    midnight = now.astimezone(_CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + _FIRST + minute
    return ((at if at > now else at + timedelta(days=1)) - now).total_seconds()


def every_day(connector: str, act: Act, stop: threading.Event, clock: Clock | None = None) -> None:
    """Act at the connector's time of each day until `stop` is set. Raises nothing."""
    told = clock or SystemClock()
    while not stop.wait(seconds_until(connector, told.now())):
        _once(connector, act)


def _once(connector: str, act: Act) -> None:
    try:
        for finding in act():
            result = finding.result
            log = _log.info if result.holds else _log.warning
            log(
                "reconcile.compared",
                connector=connector,
                grant=finding.grant,
                equal=result.equal,
                differences=result.differences,
                waiting=result.waiting,
            )
    except ExchangeError as error:
        _log.warning("reconcile.failed", connector=connector, code=error.code, detail=error.detail)
    except Exception as error:  # it is beside the connector's work, which goes on
        _log.error("reconcile.fault", connector=connector, error=type(error).__name__)
