"""How a sink is, as it says itself: in its condition, in a metric and, when something is away, in the log.

A sink without a grant is ready: it can do all that it has to do. One that waits for its database, for Kafka or for the
broker service is not.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from exchange.clock import Clock, format_time
from exchange.errors import ExchangeError
from exchange.kafka.client.share_reader import ShareReader
from exchange.observe import metrics
from exchange.observe.condition import Condition

_SAID_AGAIN_AFTER = timedelta(minutes=1)
_SAID_AGAIN_AT_MOST = timedelta(hours=1)
_EVENTS: Mapping[str, str] = {
    "E_KAFKA": "handover.share_away",
    "E_SUBMIT": "handover.share_away",
    "E_API_UNREACHABLE": "handover.service_away",
}
"""What is away, by the beginning of the error's code; all else is where the sink hands over to."""
_SINK_AWAY = "handover.sink_away"
_AWAY = frozenset(
    {
        "E_API_UNREACHABLE",
        "E_FILES_UNREACHABLE",
        "E_KAFKA_REFUSED",
        "E_KAFKA_UNREACHABLE",
        "E_SINK_UNREACHABLE",
        "E_SUBMIT",
    }
)
_log = structlog.get_logger("exchange.handover")


class SinkHealth:
    """The health of one sink. Used by its thread alone."""

    def __init__(self, connector: str, condition: Condition, clock: Clock) -> None:
        self._connector = connector
        self._condition = condition
        self._clock = clock
        self._away: tuple[str, datetime] | None = None
        """The code of what is away, and since when."""
        self._said = datetime.min
        self._pause = _SAID_AGAIN_AFTER

    def well(self, reason: str) -> None:
        """It does what it has to do."""
        if self._away is not None:
            code, since = self._away
            _log.info("handover.back", stage="handover.apply", code=code, since=format_time(since))
            self._away = None
        self._tell(True, reason)

    def away(self, error: ExchangeError) -> None:
        """What waiting may mend keeps it from its work: said once, and again after pauses that grow up to an hour."""
        now = self._clock.now()
        if self._away is None or self._away[0] != error.code:
            self._away = (error.code, now)
            self._pause = _SAID_AGAIN_AFTER
            self._say(error, now)
        elif now - self._said >= self._pause:
            self._pause = min(2 * self._pause, _SAID_AGAIN_AT_MOST)
            self._say(error, now)
        self._tell(False, f"away since {format_time(self._away[1])} ({error.code})")

    def reading(self, reader: ShareReader) -> None:
        """It has gone round once more; what the reader knows of Kafka."""
        if not reader.reached():
            self.away(ExchangeError("E_KAFKA_UNREACHABLE"))
        elif reader.served:
            self.well("at work")

    def broken_off(self, error: ExchangeError) -> None:
        """What it did was broken off and begins anew."""
        if error.code in _AWAY:
            self.away(error)
        else:
            _log.warning("handover.restarted", stage=error.entry.stage, code=error.code, detail=error.detail)

    def _say(self, error: ExchangeError, now: datetime) -> None:
        assert self._away is not None
        self._said = now
        event = next((event for begin, event in _EVENTS.items() if error.code.startswith(begin)), _SINK_AWAY)
        since = format_time(self._away[1])
        _log.warning(event, stage=error.entry.stage, code=error.code, detail=error.detail, since=since)

    def _tell(self, ready: bool, reason: str) -> None:
        self._condition.set(ready, reason)
        metrics.CONNECTOR_UP.set(int(ready), self._connector)
