"""Whose inbox a record came in, and what that department may say: from the ledger, never from the record."""

from dataclasses import dataclass

from exchange import names
from exchange.avro.record_schema import RecordSchema
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.state.ownership import Owns, bodies, owned_by
from exchange.names import Department, RecordType, TopicName
from exchange.record import source_of


@dataclass(frozen=True, slots=True)
class Inbox:
    """What admission knows of an inbox before it reads a record."""

    topic: TopicName
    record_type: RecordType
    provider: Department
    type: bytes
    """`ce_type` of its records."""
    source: bytes
    """`ce_source` of its records."""
    quarantine: TopicName
    owns: Owns
    """Whether a natural key belongs to the department."""


def inbox_topics(state: LedgerState) -> list[TopicName]:
    """Every inbox: of each resource, also of a withdrawn one, whose inbox may still hold records."""
    return sorted({names.inbox_topic(entry.record_type, entry.provider) for entry in state.resources.values()})


def inbox(topic: TopicName, schema: RecordSchema, state: LedgerState) -> Inbox:
    """The facts of one inbox, as the ledger has them now."""
    record_type, provider = names.split_inbox(topic)
    return Inbox(
        topic=topic,
        record_type=record_type,
        provider=provider,
        type=record_type.encode(),
        source=source_of(provider),
        quarantine=names.quarantine_topic(provider),
        owns=_owns(schema, provider, state),
    )


def _owns(schema: RecordSchema, provider: Department, state: LedgerState) -> Owns:
    """The provider rule of the schema, for one department and those whose duties it took over."""
    found = bodies(provider, state)
    if schema.provider_rule == "sole":
        providers = {
            entry.provider
            for entry in state.resources.values()
            if entry.record_type == schema.record_type and not entry.withdrawn
        }
        if not providers <= {body.department for body in found}:
            return lambda _key: False
    return owned_by(schema, found)
