"""What the delivery line tells its metrics: once a transaction and once a second, never for each record."""

import time
from collections import Counter
from weakref import WeakValueDictionary

from exchange import record
from exchange.clock import Clock, parse_time
from exchange.delivery.state import Counts, UnitState
from exchange.kafka.client.message import Message
from exchange.kafka.line.unit import UnitId
from exchange.names import RecordType, ShareName
from exchange.observe import metrics
from exchange.stages import Stage

_PUBLISH_SECONDS = 1.0
_ENTRIES = ("taken", "forwarded", "retracted", "out_of_scope", "unchanged", "quarantined")


class LineMetrics:
    """The metrics of one worker, over all its units."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: WeakValueDictionary[UnitId, UnitState] = WeakValueDictionary()
        """Of the units that are ours: a unit that another worker took over is shown there."""
        self._shown: set[tuple[RecordType, ShareName]] = set()
        self._published: float | None = None
        """When the books were last shown, by the monotonic clock."""

    def committed(self, unit: UnitId, state: UnitState, moved: tuple[Counts, Counts], last: Message | None) -> None:
        """A transaction is durable: what it moved for all shares, live and in backfill, and the last live record."""
        self._states[unit] = state
        name, (live, filled) = unit.record_type, moved
        metrics.count_records(Stage.DELIVERY_RECEIVE, "taken", name, live.taken)
        metrics.count_records(Stage.DELIVERY_RECEIVE, "backfilled", name, filled.taken)
        metrics.count_records(Stage.DELIVERY_PERMIT, "out_of_scope", name, live.out_of_scope + filled.out_of_scope)
        metrics.count_records(Stage.DELIVERY_REDACT, "unchanged", name, live.unchanged + filled.unchanged)
        metrics.count_records(Stage.DELIVERY_FORWARD, "forwarded", name, live.forwarded + filled.forwarded)
        metrics.count_records(Stage.DELIVERY_FORWARD, "retracted", name, live.retracted + filled.retracted)
        submitted = record.header(last.headers(), record.TIME) if last is not None else None
        if submitted is not None and live.forwarded:
            seconds = _seconds_since(submitted, self._clock.now().timestamp())
            metrics.DELIVERY_LATENCY.observe(name, seconds, live.forwarded)

    def publish(self) -> None:
        """Show the books, at most once a second."""
        now = time.monotonic()
        if self._published is not None and now - self._published < _PUBLISH_SECONDS:
            return
        self._published = now
        books: dict[tuple[RecordType, ShareName], Counts] = {}
        for unit, state in list(self._states.items()):
            for share, counts in list(state.counts.items()):
                books.setdefault((unit.record_type, share), Counts()).add(counts)
        for record_type, share in self._shown - books.keys():
            metrics.BOOKS_DIFFERENCE.drop(record_type, share)
            for entry in _ENTRIES:
                metrics.BOOKS.drop(record_type, share, entry)
        for (record_type, share), counts in books.items():
            metrics.BOOKS_DIFFERENCE.set(counts.difference, record_type, share)
            for entry in _ENTRIES:
                metrics.BOOKS.set(getattr(counts, entry), record_type, share, entry)
        self._shown = set(books)
        self._publish_backfills()

    def _publish_backfills(self) -> None:
        sent: Counter[tuple[str, ...]] = Counter()
        remaining: Counter[tuple[str, ...]] = Counter()
        for state in list(self._states.values()):
            for share, backfilling in state.backfills.items():
                sent[(share,)] += backfilling.sent
                remaining[(share,)] += backfilling.remaining
            for share, joined in state.joins.items():
                sent[(share,)] += joined.backfilled
                remaining[(share,)] += 0
        metrics.BACKFILL.replace({labels: float(count) for labels, count in sent.items()})
        metrics.BACKFILL_REMAINING.replace({labels: float(count) for labels, count in remaining.items()})


def _seconds_since(submitted: bytes, now: float) -> float:
    try:
        return max(0.0, now - parse_time(submitted.decode()).timestamp())
    except ValueError:
        return 0.0
