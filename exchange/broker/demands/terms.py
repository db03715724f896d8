"""What a demand may ask for and a consent may give: fields, masks and row scopes of one record type.

Whatever shapes a share is disclosed by it: who gets the companies with one value of a field knows that field of each.
So a field that chooses rows is asked for and given like any other: it is offered, it is shared, and the share hides it
in no way. Its values are written into the ledger, which forgets nothing: none of them may tell a person.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import EXPIRES_AT, FieldRule, RecordSchema
from exchange.broker.demands.state import NOT_SHARED
from exchange.errors import ExchangeError
from exchange.identifiers.resident_id import holds_one
from exchange.ledger.state.ledger_state import Condition, Terms
from exchange.ledger.state.share_terms import implied, scope_of
from exchange.names import Department, RecordType, mask_name

MOST_CONDITIONS: Final = 20
MOST_VALUES: Final = 1_000
"""Of all conditions together. A scope stays in the ledger for ever, and every record is held against it."""
_CODE: Final = re.compile(r"[0-9A-Za-z.-]{1,16}")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that nobody sees."""
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
    """The scope in its normal form.

    Raises ExchangeError: E_UNKNOWN_FIELD, E_SCOPE for a field that is no text, for too much and for values that no
    record has, E_SCOPE_PERSONAL for what may tell a person.
    """
    kinds = _kinds(record)
    normal = scope_of(scope)
    _check_size(normal)
    for part in normal:
        if part.field not in kinds:
            raise ExchangeError("E_UNKNOWN_FIELD", "the scope names a field that the record type does not have")
        if kinds[part.field] != _TEXT:
            raise ExchangeError("E_SCOPE", f"{part.field} is no text field")
        _check_values(record, part)
    return normal


def _check_size(scope: tuple[Condition, ...]) -> None:
    values = sum(len(part.values) for part in scope)
    if len(scope) > MOST_CONDITIONS or values > MOST_VALUES:
        raise ExchangeError("E_SCOPE", f"at most {MOST_CONDITIONS} conditions with {MOST_VALUES} values together")


def _check_values(record: RecordSchema, part: Condition) -> None:
    """Raise ExchangeError: E_SCOPE_PERSONAL when a condition may tell a person, E_SCOPE for values no record has."""
    rule = record.field(part.field)
    coded = bool(rule.code_set) or rule.identifier == "region"
    if _tells_a_person(record, rule) or any(holds_one(value) for value in part.values):
        raise ExchangeError("E_SCOPE_PERSONAL", f"{part.field} cannot choose rows by these values")
    for value in part.values:
        if (
            value != unicodedata.normalize("NFC", value).strip()
            or not value
            or _UNSEEN.intersection(map(unicodedata.category, value))
        ):
            raise ExchangeError("E_SCOPE", f"a value of {part.field} has characters or spaces that cannot be seen")
        if coded and not _CODE.fullmatch(value):
            raise ExchangeError("E_SCOPE", f"{part.field} holds codes: a value is one, or its beginning")


def _tells_a_person(record: RecordSchema, rule: FieldRule) -> bool:
    """Whether values of a field name single persons: what is personal and no code; a key of records on persons."""
    if rule.code_set or rule.identifier == "region":
        return False
    if rule.personal or rule.identifier == "resident-id":
        return True
    names_one = rule.name in record.natural_key or rule.identifier == "licence-id"
    return record.personal and names_one and rule.identifier != "credit-code"


def check_shown(
    record: RecordSchema, fields: Iterable[str], masks: Mapping[str, str], scope: Iterable[Condition]
) -> None:
    """Raise ExchangeError(E_SCOPE_HIDDEN) when rows are chosen by a field that these terms mask or make a pseudonym.

    The condition would tell what the mask hides. A field that is not among `fields` and no part of the key is told by
    the condition alone, in clear: it has to be shared (`check_shared`).
    """
    clear = set(fields) - masks.keys()
    for part in scope:
        if part.field in masks or (part.field in record.natural_key and part.field not in clear):
            raise ExchangeError("E_SCOPE_HIDDEN", f"{part.field} would be hidden")


def check_shared(offered: Mapping[str, str], scope: Iterable[Condition]) -> None:
    """Raise ExchangeError unless a resource offers and shares each field that chooses rows.

    offered: every offered field and its sharing attribute. Raises E_UNKNOWN_FIELD, E_SCOPE_HIDDEN.
    """
    for part in scope:
        if part.field not in offered:
            raise ExchangeError("E_UNKNOWN_FIELD", "the scope names a field that is not offered")
        if offered[part.field] == NOT_SHARED:
            raise ExchangeError("E_SCOPE_HIDDEN", f"the catalogue does not share {part.field}")


def disclosed(record: RecordSchema, fields: Iterable[str], scope: Iterable[Condition]) -> tuple[str, ...]:
    """Every field that a share tells of: what it shows, what chooses its rows, its key, and when its records end.

    The key rides with every record, if only as a pseudonym; and what has ended leaves every share on its day.
    """
    ends = (EXPIRES_AT,) if record.expires else ()
    return tuple(dict.fromkeys((*fields, *(part.field for part in scope), *record.natural_key, *ends)))


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
