"""How a source is: whether it can be read and written, what waits, how the last comparison ended. For metrics, /readyz
and reports."""

import json
from dataclasses import dataclass
from typing import Protocol

import structlog

from exchange.clock import Clock, format_time
from exchange.errors import Action, ExchangeError
from exchange.intake.memory.memory import Memory
from exchange.intake.report import SourceReport, SourceState, encode
from exchange.names import RecordType
from exchange.observe import metrics
from exchange.stages import Stage

_log = structlog.get_logger("exchange.intake")
_RESULTS = ("equal", "missing", "changed", "gone", "held")


@dataclass(frozen=True, slots=True)
class Of:
    """Whose health it is."""

    connector: str
    record_type: RecordType


class Reports(Protocol):
    """Sends reports: as well as it can, without an error."""

    def __call__(self, key: bytes, value: bytes) -> None:
        """Send one."""
        ...

    def resume(self) -> None:
        """Kafka answers again: what failed before may go well now."""
        ...


class Health:
    """The state of one source. `ready` may be asked from any thread; everything else is the line's."""

    def __init__(self, of: Of, memory: Memory, clock: Clock, send: Reports) -> None:
        self._of = of
        self._memory = memory
        self._clock = clock
        self._send = send
        self._away: dict[str, ExchangeError] = {}
        self._since = clock.now()
        self._begun = False
        self._stopped: ExchangeError | None = None
        self._ended = False
        self.show()

    @property
    def ready(self) -> tuple[bool, str]:
        """Whether the source reads and writes, and if not, why: no value is part of it."""
        since = format_time(self._since)
        if self._stopped is not None:
            return False, f"stopped since {since} ({self._stopped.code})"
        if away := next(iter(list(self._away.values())), None):
            return False, f"away since {since} ({away.code})"
        compared = self._memory.compared
        if compared is not None and compared.asks:
            return False, f"{compared.held:,} withdrawals wait to be confirmed (E_WITHDRAWALS)"
        if not self._begun or self._ended:
            return False, "ended" if self._ended else "starting"
        return True, "reads and writes"

    @property
    def reachable(self) -> bool:
        """Whether source and Kafka answered last."""
        return not self._away

    def away(self, error: ExchangeError, attempt: int) -> None:
        """Source or Kafka did not answer; attempt: the number of the attempt, from 1. Said at 1, 2, 4, 8 …"""
        new = error.entry.stage.value not in self._away
        if not self._away:
            self._since = self._clock.now()
        self._away[error.entry.stage.value] = error
        if attempt & (attempt - 1) == 0:
            name = "intake.source_away" if error.entry.stage is Stage.INTAKE_COLLECT else "intake.kafka_away"
            _log.warning(
                name,
                stage=error.entry.stage,
                code=error.code,
                detail=error.detail,
                since=format_time(self._since),
                attempts=attempt,
            )
        if new:
            self.report()

    def back(self, source: bool = True) -> None:
        """The source answered, or else Kafka did."""
        self._begun = True
        gone = [stage for stage in self._away if (stage == Stage.INTAKE_COLLECT.value) is source]
        if not gone:
            return
        if not source:
            self._send.resume()
        for stage in gone:
            del self._away[stage]
        if not self._away:
            _log.info("intake.back", since=format_time(self._since))
            self._since = self._clock.now()
        self.report()

    def stopped(self, error: BaseException) -> None:
        """The line ends with an error."""
        self._stopped = error if isinstance(error, ExchangeError) else ExchangeError("E_INTERNAL")
        self._since = self._clock.now()
        self.report()

    def ended(self) -> None:
        """The line ends as it should."""
        self._ended = True
        self.show()

    def left(self, rows: int) -> None:
        """So many rows are left along the cursor, or more when it is as many as are counted."""
        metrics.SOURCE_LEFT.set(rows, self._of.connector, self._of.record_type, "cursor")

    def whole_read(self, rows: int | None) -> None:
        """A whole reading has come so far. None: it has ended, or broken off."""
        labels = self._of.connector, self._of.record_type, "whole"
        compared = self._memory.compared
        if rows is None or compared is None:
            metrics.SOURCE_LEFT.drop(*labels)
        else:
            metrics.SOURCE_LEFT.set(max(compared.rows - rows, 0), *labels)

    def read_to_end(self) -> None:
        """Nothing new is there along the cursor."""
        self.left(0)
        metrics.SOURCE_CURSOR.set(self._clock.now().timestamp(), self._of.connector)

    def report(self) -> None:
        """Show how it is, keep it and send it."""
        self.show()
        report = self._report()
        key, value = encode(report)
        try:
            self._memory.keep_report(json.loads(value))
        except ExchangeError as error:
            if error.entry.action is Action.STOP and self._stopped is None:
                raise
        self._send(key, value)

    def _report(self) -> SourceReport:
        state, code = SourceState.WORKING, None
        if self._stopped is not None:
            state, code = SourceState.STOPPED, self._stopped.code
        elif away := next(iter(self._away.values()), None):
            state, code = SourceState.AWAY, away.code
        compared, waiting = self._memory.compared, self._memory.waiting
        if compared is None:
            counts = {}
        else:
            counts = {name: getattr(compared, name) for name in ("rows", *_RESULTS)}
            if compared.asks and code is None:
                code = "E_WITHDRAWALS"
        return SourceReport(
            self._of.connector,
            self._of.record_type,
            state,
            code,
            self._since,
            self._clock.now(),
            set_aside=waiting.count,
            set_aside_since=waiting.since,
            compared_at=None if compared is None else compared.at,
            **counts,
        )

    def show(self) -> None:
        """Set the gauges."""
        name, type_ = self._of.connector, self._of.record_type
        up = not self._away and self._stopped is None and not self._ended
        metrics.CONNECTOR_UP.set(1.0 if up else 0.0, name)
        waiting, compared = self._memory.waiting, self._memory.compared
        metrics.show_set_aside(name, waiting.count, waiting.since)
        if compared is not None:
            metrics.SOURCE_ROWS.set(compared.rows, name, type_)
            metrics.COMPARED.set(compared.at.timestamp(), name)
            for result in _RESULTS:
                metrics.COMPARISON.set(getattr(compared, result), name, result)
