"""How each kind of topic is kept: clean-up, retention, sizes. The values follow measurements.

Erasure. What a department withdraws, or replaces by a newer version, is off the disks of the brokers within the time
that `ERASED_WITHIN` states for each kind of topic, also when nothing else happens there:

- kept topics (inbox, redrive, quarantine, faults, correction) drop whole segments. A record waits for the last of its
  segment, so that `retention.ms` is shorter than the bound by `segment.ms` and an hour for the broker's own pace.
- compacted topics (registry, shares, state of the lines) are cleaned at the latest `max.compaction.lag.ms` after a
  record was appended, but never in the segment that is written to, and that one is closed only by a record that comes
  later. So admission writes a heartbeat into every registry partition each `HEARTBEAT_EVERY`, delivery passes it on to
  the shares, and both write their state with it. The rest of the bound is for the cleaner's work.
- a tombstone, which is a key without value, stays longer: for `TOMBSTONES_KEPT` after it was first cleaned, so that
  readers who were away still learn of it. In the state of the lines, where keys of withdrawn records would be all that
  is left, it goes within the bound too.

A bound holds as long as the lines and the brokers run; after a standstill it begins again with their return.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from exchange.names import RecordType, registry_of
from exchange.record import MAX_VALUE_BYTES

_LARGE_REGISTRIES = ("population", "legal-entity")
_PARTITIONS_LARGE = 12
_PARTITIONS = 6

HEARTBEAT_EVERY = timedelta(hours=12)
"""Between two heartbeats in a partition of a registry, and so of its shares."""
TOMBSTONES_KEPT = timedelta(days=30)
"""How long a reader of a registry or share may be away and still find every tombstone (`delete.retention.ms`)."""


class TopicKind(Enum):
    """The kinds of topics of the bus."""

    INBOX = "inbox"
    REDRIVE = "redrive"
    REGISTRY = "registry"
    SHARE = "share"
    QUARANTINE = "quarantine"
    FAULTS = "faults"
    CORRECTION = "correction"
    RECEIPT = "receipt"
    REPORT = "report"
    LINE_STATE = "line-state"
    LEDGER = "ledger"
    SNAPSHOT = "snapshot"


_SEGMENT = timedelta(hours=12)
_BROKER_SLACK = timedelta(hours=1)
"""Brokers look for old segments every five minutes and remove their files a minute later."""
_DAYS_3 = timedelta(days=3)
_DAY = timedelta(days=1)

ERASED_WITHIN: Mapping[TopicKind, timedelta] = {
    TopicKind.INBOX: timedelta(days=14),
    TopicKind.REDRIVE: timedelta(days=14),
    TopicKind.REGISTRY: timedelta(days=3, hours=12),
    TopicKind.SHARE: timedelta(days=3, hours=12),
    TopicKind.LINE_STATE: timedelta(days=3, hours=12),
    TopicKind.QUARANTINE: timedelta(days=30),
    TopicKind.FAULTS: timedelta(days=30),
    TopicKind.CORRECTION: timedelta(days=90),
}
"""The erasure bound of each kind of topic that may hold records or keys. Receipts, reports and ledger hold neither."""
INBOX_KEPT = ERASED_WITHIN[TopicKind.INBOX] - _SEGMENT - _BROKER_SLACK
"""What is no more in an inbox was written longer ago (`retention.ms`)."""


def _ms(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))


def _kept(kind: TopicKind, **more: str) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": _ms(ERASED_WITHIN[kind] - _SEGMENT - _BROKER_SLACK),
        "segment.ms": _ms(_SEGMENT),
        **more,
    }


def _compacted(**more: str) -> dict[str, str]:
    return {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime", **more}


def _registry(min_compaction_lag: timedelta, max_message_bytes: int) -> dict[str, str]:
    return _compacted(
        **{
            "min.compaction.lag.ms": _ms(min_compaction_lag),
            "max.compaction.lag.ms": _ms(_DAYS_3),
            "segment.ms": _ms(_SEGMENT),
            "delete.retention.ms": _ms(TOMBSTONES_KEPT),
            "max.message.bytes": str(max_message_bytes),
        }
    )


_LINE_STATE = _compacted(
    **{
        "segment.ms": _ms(timedelta(hours=1)),
        "min.cleanable.dirty.ratio": "0.1",
        "max.compaction.lag.ms": _ms(_DAY),
        "delete.retention.ms": _ms(timedelta(hours=12)),
    }
)
_CONFIG: dict[TopicKind, dict[str, str]] = {
    TopicKind.INBOX: _kept(
        TopicKind.INBOX, **{"max.message.bytes": str(MAX_VALUE_BYTES), "compression.type": "uncompressed"}
    ),
    TopicKind.REDRIVE: _kept(TopicKind.REDRIVE, **{"max.message.bytes": str(2 * MAX_VALUE_BYTES)}),
    TopicKind.REGISTRY: _registry(_DAY, 2 * MAX_VALUE_BYTES),
    TopicKind.SHARE: _registry(timedelta(), 4 * MAX_VALUE_BYTES),
    TopicKind.QUARANTINE: _kept(TopicKind.QUARANTINE, **{"max.message.bytes": str(4 * MAX_VALUE_BYTES)}),
    TopicKind.FAULTS: _kept(TopicKind.FAULTS, **{"max.message.bytes": str(4 * MAX_VALUE_BYTES)}),
    TopicKind.CORRECTION: _kept(TopicKind.CORRECTION),
    TopicKind.RECEIPT: _compacted(**{"segment.ms": _ms(_DAY)}),
    TopicKind.REPORT: _compacted(**{"segment.ms": _ms(_DAY)}),
    TopicKind.LINE_STATE: _LINE_STATE,
    TopicKind.LEDGER: {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": "-1",
    },
    TopicKind.SNAPSHOT: _compacted(**{"segment.ms": _ms(_DAY)}),
}


def topic_config(kind: TopicKind) -> dict[str, str]:
    """The configuration of a new topic of this kind, as Kafka names it."""
    return dict(_CONFIG[kind])


def partitions_of(record_type: RecordType, fixed: int | None = None) -> int:
    """The partition count of everything that carries this record type. It never changes once topics exist."""
    if fixed is not None:
        return fixed
    return _PARTITIONS_LARGE if registry_of(record_type) in _LARGE_REGISTRIES else _PARTITIONS
