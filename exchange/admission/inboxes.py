"""Whose inbox a record came in, and what that department may say: from the ledger, never from the record."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exchange import names
from exchange.avro.record_schema import RecordSchema
from exchange.errors import ExchangeError
from exchange.identifiers import licence_id
from exchange.ledger.state import LedgerState
from exchange.names import Department, RecordType, TopicName
from exchange.record import source_of

Owns = Callable[[bytes], bool]
"""Whether a natural key belongs to the department."""


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
    bodies = [entry for entry in state.departments.values() if entry.department in _took_over(provider, state)]
    at = schema.natural_key.index(schema.provider_field) if schema.provider_field in schema.natural_key else 0
    if schema.provider_rule == "sole":
        providers = {
            entry.provider
            for entry in state.resources.values()
            if entry.record_type == schema.record_type and not entry.withdrawn
        }
        alone = providers <= {body.department for body in bodies}
        return lambda _key: alone
    if schema.provider_rule == "first-character":
        return _first_character(at, frozenset(ord(one) for body in bodies for one in body.owns))
    if schema.provider_rule == "issuer":
        return _issuer(at, frozenset(body.credit_code for body in bodies))
    prefixes = tuple(f"{body.credit_code}/".encode() for body in bodies)
    return lambda key: key.startswith(prefixes)


def _took_over(provider: Department, state: LedgerState) -> set[Department]:
    """The department and all that were merged into it or split off towards it, over any number of reforms."""
    found = {provider}
    while True:
        more = {entry.department for entry in state.departments.values() if found & set(entry.successors)} - found
        if not more:
            return found
        found |= more


def _first_character(at: int, owned: Iterable[int]) -> Owns:
    characters = frozenset(owned)
    if at == 0:
        return lambda key: key[0] in characters
    return lambda key: _part(key, at)[:1] in {bytes([one]) for one in characters}


def _issuer(at: int, codes: frozenset[str]) -> Owns:
    def owns(key: bytes) -> bool:
        try:
            return licence_id.issuer(_part(key, at).decode()) in codes
        except (ExchangeError, ValueError):
            return False

    return owns


def _part(key: bytes, at: int) -> bytes:
    parts = key.split(b"/")
    return parts[at] if at < len(parts) else b""
