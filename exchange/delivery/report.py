"""What the delivery line tells its metrics: once a transaction and once a second, never for each record."""

import time
from collections.abc import Callable, Mapping

from exchange import record
from exchange.clock import Clock, parse_time
from exchange.delivery.state import Counts, UnitState
from exchange.kafka.message import Message
from exchange.kafka.unit import UnitId
from exchange.names import RecordType, ShareName, TopicName, registry_topic
from exchange.observe import metrics
from exchange.stages import Stage

_LINE = "delivery"
_PUBLISH_SECONDS = 1.0
_MARKERS = 2
"""Up to so many transaction markers stand behind the last record of a partition that has been read to its end."""

Behind = Callable[[], Mapping[TopicName, int]]
"""How many records stand unread in each input topic, markers included."""


class Report:
    """The metrics of one worker, over all its units."""

    def __init__(self, clock: Clock) -> None:
        self.behind: Behind | None = None
        self._clock = clock
        self._states: dict[UnitId, UnitState] = {}
        self._published = 0.0

    def committed(self, unit: UnitId, state: UnitState, moved: Counts, last: Message | None) -> None:
        """A transaction is durable: `moved` sums what it did for all shares, `last` is its last record."""
        self._states[unit] = state
        name = unit.record_type
        metrics.count_records(Stage.DELIVERY_RECEIVE, "taken", name, moved.taken)
        metrics.count_records(Stage.DELIVERY_PERMIT, "out_of_scope", name, moved.out_of_scope)
        metrics.count_records(Stage.DELIVERY_REDACT, "unchanged", name, moved.unchanged)
        metrics.count_records(Stage.DELIVERY_FORWARD, "forwarded", name, moved.forwarded)
        metrics.count_records(Stage.DELIVERY_FORWARD, "retracted", name, moved.retracted)
        if last is None:
            return
        now = self._clock.now().timestamp()
        metrics.LINE_LAG_SECONDS.set(max(0.0, now - last.timestamp()[1] / 1000), _LINE, name)
        submitted = record.header(last.headers(), record.TIME)
        if submitted is not None and moved.forwarded:
            metrics.DELIVERY_LATENCY.observe(name, _seconds_since(submitted, now), moved.forwarded)

    def forget(self, unit: UnitId) -> None:
        """The unit is no longer ours, or is made anew."""
        self._states.pop(unit, None)

    def publish(self) -> None:
        """Show books and lag, at most once a second."""
        if time.monotonic() - self._published < _PUBLISH_SECONDS:
            return
        self._published = time.monotonic()
        books: dict[tuple[RecordType, ShareName], Counts] = {}
        for unit, state in list(self._states.items()):
            for share, counts in list(state.counts.items()):
                books.setdefault((unit.record_type, share), Counts()).add(counts)
        for (record_type, share), counts in books.items():
            _show(record_type, share, counts)
        self._show_lag()

    def _show_lag(self) -> None:
        behind = self.behind() if self.behind is not None else {}
        units = list(self._states)
        for record_type in {unit.record_type for unit in units}:
            unread = behind.get(registry_topic(record_type), 0)
            ours = sum(1 for unit in units if unit.record_type == record_type)
            at_end = unread <= ours * _MARKERS
            metrics.LINE_LAG_RECORDS.set(0 if at_end else unread, _LINE, record_type)
            if at_end:
                metrics.LINE_LAG_SECONDS.set(0, _LINE, record_type)


def _show(record_type: RecordType, share: ShareName, counts: Counts) -> None:
    for entry in ("taken", "forwarded", "retracted", "out_of_scope", "unchanged", "quarantined"):
        metrics.BOOKS.set(getattr(counts, entry), record_type, share, entry)
    metrics.BOOKS_DIFFERENCE.set(counts.difference, record_type, share)


def _seconds_since(submitted: bytes, now: float) -> float:
    try:
        return max(0.0, now - parse_time(submitted.decode()).timestamp())
    except ValueError:
        return 0.0
