"""How each kind of topic is kept: clean-up, retention, sizes. The values follow measurements."""

from enum import Enum

from exchange.names import RecordType, registry_of
from exchange.record import MAX_VALUE_BYTES

_DAY_MS = 86_400_000
_LARGE_REGISTRIES = ("population", "legal-entity")
_PARTITIONS_LARGE = 12
_PARTITIONS = 6


class TopicKind(Enum):
    """The kinds of topics of the bus."""

    INBOX = "inbox"
    REDRIVE = "redrive"
    REGISTRY = "registry"
    SHARE = "share"
    QUARANTINE = "quarantine"
    FAULTS = "faults"
    RECEIPT = "receipt"
    LINE_STATE = "line-state"
    LEDGER = "ledger"


def _kept(**more: str) -> dict[str, str]:
    return {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", **more}


def _compacted(**more: str) -> dict[str, str]:
    return {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime", **more}


def _registry(min_compaction_lag_ms: int, max_message_bytes: int) -> dict[str, str]:
    return _compacted(
        **{
            "min.compaction.lag.ms": str(min_compaction_lag_ms),
            "max.compaction.lag.ms": str(3 * _DAY_MS),
            "segment.ms": str(_DAY_MS // 2),
            "delete.retention.ms": str(30 * _DAY_MS),
            "max.message.bytes": str(max_message_bytes),
        }
    )


_INBOX = _kept(
    **{
        "retention.ms": str(14 * _DAY_MS),
        "max.message.bytes": str(MAX_VALUE_BYTES),
        "compression.type": "uncompressed",
    }
)
_CONFIG: dict[TopicKind, dict[str, str]] = {
    TopicKind.INBOX: _INBOX,
    TopicKind.REDRIVE: _kept(**{"retention.ms": str(14 * _DAY_MS), "max.message.bytes": str(2 * MAX_VALUE_BYTES)}),
    TopicKind.REGISTRY: _registry(_DAY_MS, 2 * MAX_VALUE_BYTES),
    TopicKind.SHARE: _registry(0, 4 * MAX_VALUE_BYTES),
    TopicKind.QUARANTINE: _kept(**{"retention.ms": str(30 * _DAY_MS), "max.message.bytes": str(4 * MAX_VALUE_BYTES)}),
    TopicKind.FAULTS: _kept(**{"retention.ms": str(30 * _DAY_MS), "max.message.bytes": str(4 * MAX_VALUE_BYTES)}),
    TopicKind.RECEIPT: _compacted(**{"segment.ms": str(_DAY_MS)}),
    TopicKind.LINE_STATE: _compacted(**{"segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.1"}),
    TopicKind.LEDGER: _kept(**{"retention.ms": "-1"}),
}


def topic_config(kind: TopicKind) -> dict[str, str]:
    """The configuration of a new topic of this kind, as Kafka names it."""
    return dict(_CONFIG[kind])


def partitions_of(record_type: RecordType, fixed: int | None = None) -> int:
    """The partition count of everything that carries this record type. It never changes once topics exist."""
    if fixed is not None:
        return fixed
    return _PARTITIONS_LARGE if registry_of(record_type) in _LARGE_REGISTRIES else _PARTITIONS
