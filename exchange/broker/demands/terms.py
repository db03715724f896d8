"""What a demand may ask for and a consent may give: fields, masks and row scopes of one record type."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition, Terms
from exchange.ledger.state.share_terms import implied, scope_of
from exchange.names import Department, RecordType, mask_name

_TEXT = "text"
_DATE = "date"
_STRENGTH: Mapping[str, tuple[str, int]] = {
    "ends": (_TEXT, 1),
    "first": (_TEXT, 2),
    "pseudonym": (_TEXT, 3),
    "year": (_DATE, 1),
}
"""Each mask: the kind of field it fits, and how much it hides among the masks of that kind."""


def record_schema(schemas: SchemaRepository, record_type: RecordType) -> RecordSchema | None:
    """The newest schema of a record type, or None when the exchange has none."""
    if record_type not in schemas.record_types():
        return None
    return schemas.latest(record_type).record


def strength(mask: str | None) -> int:
    """How much a mask hides; no mask hides nothing. Raises ExchangeError(E_MASK) for an unknown mask."""
    if mask is None:
        return 0
    if mask not in _STRENGTH:
        raise ExchangeError("E_MASK")
    return _STRENGTH[mask][1]


def check_masks(record: RecordSchema, fields: Sequence[str], masks: Mapping[str, str]) -> None:
    """Raise ExchangeError(E_MASK), naming the field, unless each mask fits the type of its field, one of `fields`."""
    kinds = _kinds(record)
    for name, mask in masks.items():
        strength(mask)
        if name not in fields:
            told = name if name in kinds else mask_name(name)
            raise ExchangeError("E_MASK", f"{told} has a mask but is not among the fields")
        if kinds[name] != _STRENGTH[mask][0]:
            raise ExchangeError("E_MASK", f"{mask} does not fit the type of {name}")


def check_scope(record: RecordSchema, scope: Iterable[Condition]) -> tuple[Condition, ...]:
    """The scope in its normal form. Raises ExchangeError: E_UNKNOWN_FIELD, or E_SCOPE for a field that is no text."""
    kinds = _kinds(record)
    normal = scope_of(scope)
    for part in normal:
        if part.field not in kinds:
            raise ExchangeError("E_UNKNOWN_FIELD", "the scope names a field that the record type does not have")
        if kinds[part.field] != _TEXT:
            raise ExchangeError("E_SCOPE", f"{part.field} is no text field")
    return normal


def narrowed(asked: tuple[Condition, ...], more: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The asked scope and the consent's conditions together, without those that every asked row meets anyway."""
    return scope_of((*asked, *(part for part in more if not implied(asked, part))))


def merged_masks(asked: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The masks of the grant: as asked, or as the consent says where that hides more.

    Raises ExchangeError(E_CONSENT) when the consent would show more of a field than was asked.
    """
    merged = dict(asked)
    for name, mask in more.items():
        if strength(mask) < strength(asked.get(name)):
            raise ExchangeError("E_CONSENT", f"the mask of {name} shows more than was asked")
        merged[name] = mask
    return merged


def build_terms(
    record: RecordSchema,
    provider: Department,
    fields: Iterable[str],
    masks: Mapping[str, str],
    scope: tuple[Condition, ...],
) -> Terms:
    """Terms in their normal form: fields in the schema's order; pseudonymous when a key field is not there in clear."""
    granted = set(fields)
    ordered = tuple(rule.name for rule in record.fields if rule.name in granted)
    clear = granted - masks.keys()
    return Terms(
        record_type=RecordType(record.record_type),
        provider=provider,
        fields=ordered,
        masks=tuple(sorted(masks.items())),
        scope=scope,
        pseudonymous=not clear.issuperset(record.natural_key),
    )


def _kinds(record: RecordSchema) -> dict[str, str]:
    return {rule.name: _kind(rule.type) for rule in record.fields}


def _kind(schema_type: Any) -> str:
    if isinstance(schema_type, list):
        named = [branch for branch in schema_type if branch != "null"]
        return _kind(named[0]) if len(named) == 1 else "other"
    if isinstance(schema_type, Mapping):
        if schema_type.get("logicalType") == "date":
            return _DATE
        return _TEXT if schema_type.get("type") == "string" and "logicalType" not in schema_type else "other"
    return _TEXT if schema_type == "string" else "other"
