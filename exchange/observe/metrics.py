"""Every metric of the exchange, under the names that dashboards rely on. The only home of prometheus_client.

No label ever holds a natural key, a name or a field value. Count per batch, not per record.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from exchange.names import RecordType
from exchange.observe.families import AgeFamily, GaugeFamily, HistogramFamily
from exchange.stages import Stage

REGISTRY = CollectorRegistry()
"""What this process shows."""
CONTENT_TYPE = CONTENT_TYPE_LATEST
_FRESH_SECONDS = 1.0
_LATENCY_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

ProcessCollector(registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> GaugeFamily:
    return GaugeFamily(REGISTRY, f"exchange_{name}", meaning, labels)


SATISFACTION = _gauge(
    "shared_demand_satisfaction_ratio", "Satisfied demands divided by counted demands", "variant"
)  # fmt: skip
DEMANDS_COUNTED = _gauge("shared_demands_counted", "Demands that count")
DEMANDS_SATISFIED = _gauge("shared_demands_satisfied", "Demands that count and are satisfied (strict)")
REGISTRY_SATISFACTION = _gauge("registry_shared_demand_satisfaction_ratio", "Strict rate by registry", "registry")
DEPARTMENT_SATISFACTION = _gauge(
    "department_shared_demand_satisfaction_ratio", "Strict rate by department", "department", "side"
)
DEMANDS = _gauge("demands", "Demands by state", "state")
DEMANDS_OVERDUE = _gauge("demands_overdue", "Demands past a statutory clock", "clock", "department")
DEMANDS_AWAITING_HEIR = _gauge(
    "demands_awaiting_successor", "Demands of a split department that nobody goes on with yet", "department"
)
GRANTS_IN_BREACH = _gauge("grants_in_breach", "Active grants with an open breach of this cause", "cause")
GRANTS_EXPIRING = _gauge(
    "grants_expiring", "Grants that end within so many days (30, 7, 1)", "department", "days"
)  # fmt: skip
FAULTY_ENTRIES = _gauge(
    "faulty_entries", "Entries of the ledger that cannot be judged as a whole: demand, correction", "kind"
)  # fmt: skip
DISPOSALS_OPEN = _gauge("disposals_open", "Ended grants whose data are not confirmed as disposed of", "department")
TOKENS_ENDING = _gauge("tokens_ending", "API tokens in force that end within 14 days", "holder")
SOURCE_SILENCE = _gauge(
    "source_silence_seconds", "Since the last record or heartbeat of a source", "record_type", "department"
)
BOOKS = _gauge("books_records", "The books, as written with what they count", "record_type", "share", "entry")
BOOKS_DIFFERENCE = _gauge("books_difference", "0 when the sum of the books closes", "record_type", "share")
BACKFILL = _gauge("backfill_records", "Records sent by backfill", "share")
BACKFILL_REMAINING = _gauge("backfill_remaining_records", "Records that backfill has still to read", "share")
LEDGER_EVENTS = _gauge("ledger_events", "Sequence number of the last event that this process has read")
LEDGER_READ = _gauge("ledger_read_offset", "How far this process has read the ledger")
LEDGER_END = _gauge("ledger_end_offset", "Where the ledger ended when this process began to read it")
LINE_LAG_SECONDS = _gauge("line_lag_seconds", "How far a line is behind its input, in time", "line", "record_type")
LINE_LAG_RECORDS = _gauge("line_lag_records", "How far a line is behind its input", "line", "record_type")
SHARE_LAG = _gauge("share_lag_seconds", "Age of the oldest record that a grantee has not taken", "grant", "department")
QUARANTINE = _gauge("quarantine_records", "Records in quarantine", "department", "code")
CONNECTOR_UP = _gauge(
    "connector_up", "1 while a connector reads and writes, 0 when it cannot or has stopped", "connector"
)  # fmt: skip
SET_ASIDE = _gauge("set_aside_rows", "Rows or records that a connector has set aside", "department", "connector")
SET_ASIDE_SINCE = AgeFamily(
    REGISTRY,
    "exchange_set_aside_oldest_seconds",
    "How long the oldest of them has waited; absent while there is none",
    ("department", "connector"),
)
SOURCE_ROWS = _gauge("source_rows", "Rows of a source at its last whole reading", "connector", "record_type")
SOURCE_LEFT = _gauge(
    "source_rows_left",
    "Rows that a source has still to read; reading: cursor (counted up to 100,000, where more may be left),"
    " whole (by the rows of the last whole reading; absent while none runs, and at the first)",
    "connector",
    "record_type",
    "reading",
)
SOURCE_CURSOR = _gauge(
    "source_cursor_timestamp_seconds", "When a source last read along its cursor to the end", "connector"
)  # fmt: skip
COMPARED = _gauge(
    "source_compared_timestamp_seconds", "When a source last compared itself with its whole table or file", "connector"
)
COMPARISON = _gauge(
    "source_comparison_rows",
    "Rows of the last comparison by result: equal, missing, changed, gone, held (gone, but not withdrawn)",
    "connector",
    "result",
)
REPORTED_SET_ASIDE = _gauge(
    "reported_set_aside_records",
    "What connectors say they have set aside; side: source (rows), sink (records)",
    "department",
    "record_type",
    "side",
)
REPORTED_SOURCES = _gauge(
    "reported_sources", "Sources by what they say of themselves: working, away, stopped",
    "department", "record_type", "state",
)  # fmt: skip
RECONCILED_DIFFERENCES = _gauge(
    "reconciled_differences", "Keys that the last reconciliation of a half (grantee, provider) found not equal",
    "grant", "half",
)  # fmt: skip
RECONCILED_AT = _gauge("reconciled_timestamp_seconds", "When that was", "grant", "half")
BUILD_INFO = _gauge("build_info", "Versions of this process", "version", "kafka")
DELIVERY_LATENCY = HistogramFamily(
    REGISTRY, "exchange_delivery_latency_seconds", "Submission to committed share", "record_type", _LATENCY_SECONDS
)
_RECORDS = Counter(
    "exchange_records",
    "Records by what became of them at a stage",
    ["line", "stage", "outcome", "record_type"],
    registry=REGISTRY,
)
_MISSED = Counter(
    "exchange_source_missed",
    "Rows that a comparison found and the cursor had missed, by what they are: missing, changed or gone",
    ["record_type", "department", "kind"],
    registry=REGISTRY,
)
_DRIFT = Counter(
    "exchange_enforcement_drift", "What the reconciler found and corrected", ["kind"], registry=REGISTRY
)  # fmt: skip


def count_records(stage: Stage, outcome: str, record_type: RecordType, count: int) -> None:
    """Add `count` records that met `outcome` (`admitted`, `forwarded`, …) at `stage`."""
    if count:
        _RECORDS.labels(stage.line, stage.value, outcome, record_type).inc(count)


def count_missed(connector: str, record_type: str, kind: str, rows: int) -> None:
    """Add rows that only a comparison found (`missing`, `changed`, `gone`)."""
    if rows:
        _MISSED.labels(record_type, _owner(connector), kind).inc(rows)


def show_set_aside(connector: str, count: int, since: datetime | None) -> None:
    """How much a connector has set aside, and since when the oldest of it waits (None: there is none)."""
    labels = _owner(connector), connector
    SET_ASIDE.set(count, *labels)
    if since is None:
        SET_ASIDE_SINCE.drop(*labels)
    else:
        SET_ASIDE_SINCE.set(since.timestamp(), *labels)


def _owner(connector: str) -> str:
    """The department of a connector: the first part of its name."""
    return connector.partition(".")[0]


def count_drift(kind: str, count: int = 1) -> None:
    """Add what the reconciler corrected (`acl`, `topic`, `quota`, …)."""
    _DRIFT.labels(kind).inc(count)


def exposition() -> bytes:
    """Everything in Prometheus' text format (`CONTENT_TYPE`)."""
    return generate_latest(REGISTRY)


class Exposition:
    """The same for whoever asks: made at most once a second, however many ask. Safe for several threads."""

    def __init__(self, refresh: Callable[[], None] = lambda: None) -> None:
        """refresh: is called before it is made; the place for gauges that nobody else keeps up to date."""
        self._refresh = refresh
        self._lock = threading.Lock()
        self._text = b""
        self._made: float | None = None

    def text(self) -> bytes:
        """Everything, as it was less than a second ago."""
        with self._lock:
            if self._made is None or time.monotonic() - self._made >= _FRESH_SECONDS:
                self._refresh()
                self._text = exposition()
                self._made = time.monotonic()
            return self._text
