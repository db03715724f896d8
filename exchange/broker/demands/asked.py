"""What a demand asks for, checked: fields on offer, masks that fit, rows, a period with time in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.broker.demands.clocks import reply_days
from exchange.broker.demands.terms import (
    check_masks,
    check_scope,
    check_shared,
    check_shown,
    disclosed,
    record_schema,
)
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition, ResourceEntry
from exchange.ledger.state.share_terms import scope_to_json
from exchange.names import Department, RecordType, registry_of

STATED = ("legal_basis", "scenario", "use_scope", "mode")
"""What a demand must state beside its fields (Order 809, art. 20)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, in its normal form."""

    demander: Department
    resource: ResourceEntry | None
    """None when nobody offers what is asked."""
    record_type: RecordType
    fields: tuple[str, ...]
    masks: Mapping[str, str]
    scope: tuple[Condition, ...]
    wanted_provider: str | None = None
    """From whom, where no resource says so."""


def check_asked(asked: Asked, schemas: SchemaRepository) -> Asked:
    """What is asked with its scope in normal form, when the resource has all of it.

    Raises ExchangeError: E_UNKNOWN_RESOURCE, E_UNKNOWN_FIELD, E_MASK, E_SCOPE, E_SCOPE_PERSONAL, E_SCOPE_HIDDEN.
    """
    record = record_schema(schemas, asked.record_type)
    if asked.resource is None:
        return replace(asked, scope=_scope_of_nobody(asked, record))
    if record is None:
        raise ExchangeError("E_UNKNOWN_RESOURCE", "the record type of this resource has no schema")
    known = {rule.name for rule in record.fields} & asked.resource.fields.keys()
    unknown = [name for name in asked.fields if name not in known]
    if unknown:
        raise ExchangeError("E_UNKNOWN_FIELD", f"{len(unknown)} of the asked fields are not offered")
    check_masks(record, asked.fields, asked.masks)
    scope = check_scope(record, asked.scope)
    check_shared(asked.resource.fields, scope)
    if asked.fields:
        check_shown(record, asked.fields, asked.masks, scope)
    return replace(asked, scope=scope)


def _scope_of_nobody(asked: Asked, record: RecordSchema | None) -> tuple[Condition, ...]:
    """The rows that are asked for where nobody offers any: it stands in the ledger all the same."""
    if record is None and asked.scope:
        raise ExchangeError("E_SCOPE", "nobody knows the fields of this record type: ask for it without a row scope")
    scope = () if record is None else check_scope(record, asked.scope)
    if record is not None and asked.fields:
        check_shown(record, asked.fields, asked.masks, scope)
    return scope


def check_period(use_from: datetime | None, use_until: datetime | None, now: datetime) -> None:
    """Raise ExchangeError(E_PERIOD) when a use period has no time in it that lies ahead."""
    if use_until is not None and use_until <= max(now, use_from or now):
        raise ExchangeError("E_PERIOD", "the use period has no time in it")


def code_of(asked: Asked) -> str | None:
    """The code of the resource that is asked for; None when nobody offers it."""
    return None if asked.resource is None else asked.resource.resource


def asked_data(asked: Asked, schemas: SchemaRepository) -> dict[str, Any]:
    """What is asked as event data, with what follows from the resource: a review or not, and the days of the reply."""
    record = record_schema(schemas, asked.record_type)
    told = asked.fields if record is None else disclosed(record, asked.fields, asked.scope)
    return {
        "registry": registry_of(asked.record_type),
        "record_type": asked.record_type,
        "resource": code_of(asked),
        "fields": list(asked.fields),
        "masks": dict(asked.masks),
        "scope": scope_to_json(asked.scope),
        **duties(asked.resource, told),
    }


def duties(resource: ResourceEntry | None, fields: Iterable[str]) -> dict[str, Any]:
    """As event data: whether the competent department looks first, and the working days of the reply.

    fields: all that the share would tell of.
    """
    if resource is None:
        return {"review": False, "reply_days": None}
    return {"review": bool(resource.details.get("review")), "reply_days": reply_days(resource, fields)}


def missing_of(details: Mapping[str, Any], fields: Iterable[str]) -> list[str]:
    """All that a demand lacks, at once (Order 809, art. 21)."""
    return [name for name in STATED if not details.get(name)] + ([] if tuple(fields) else ["fields"])
