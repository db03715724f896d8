"""What the schema of a record type says beyond Avro: natural key, provider rule, and the meaning of every field.

A registry schema carries these attributes. Record: `recordType`, `naturalKey` (list of fields), `provider`
(`{"rule": …, "field": …}`), `personal` (default true), `meaningZh`. Field: `doc` (meaning in English), `meaningZh`,
`standard`, `codeSet`, `identifier`, `form` (a regular expression for the whole text), `future` (a date that may lie in
the future), `sharing`, `personal`, `required`. A field `expires_at` says when a record ends.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exchange.avro.schema import Field, Node, Primitive, Record, Union, parse
from exchange.errors import ExchangeError
from exchange.identifiers import IDENTIFIERS
from exchange.names import RecordType, record_type

PROVIDER_RULES = ("prefix", "first-character", "issuer", "sole")
"""How a key determines its provider: its first part is the provider's credit code; the first character of the credit
code; a part of the licence identifier; one department of the catalogue provides the whole type."""
SHARINGS = ("unconditional", "conditional", "not-shared")
EXPIRES_AT = "expires_at"
"""The field that says when admission withdraws a record: a date, its last day; or a timestamp, the moment; or null."""
MOMENTS = ("date", "timestamp-millis", "timestamp-micros")
"""Logical types of a day or a moment that is the same everywhere."""
UUID_TYPE = "uuid"
"""The logical type of a uuid."""
_TEXTS = ("doc", "meaningZh", "standard", "codeSet", "identifier", "form", "sharing")
_OF_TEXTS = ("codeSet", "identifier", "form")
"""Rules of a text, of which a field has one at most."""
_KEY_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,:;=@")
"""Bytes of a key that stay as they are: those of a path segment in RFC 3986."""
_QUOTED = tuple(chr(byte) if byte in _KEY_SAFE else f"%{byte:02X}" for byte in range(256))


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field: `type` is its Avro type as it stands in the schema; texts are empty when the schema is silent."""

    name: str
    type: Any
    meaning: str
    meaning_zh: str
    standard: str
    code_set: str
    identifier: str
    form: str
    """What the whole text has to match, as a regular expression; empty: anything."""
    future: bool
    """Whether a date may lie in the future, as the end of a period does."""
    sharing: str
    personal: bool
    required: bool
    """Whether the field must say something: it is not nullable, or the schema says `required`."""


@dataclass(frozen=True, slots=True)
class RecordSchema:
    """The rules of a record type, as one version of its schema declares them."""

    record_type: RecordType
    schema: dict[str, Any]
    natural_key: tuple[str, ...]
    provider_rule: str
    provider_field: str | None
    personal: bool
    fields: tuple[FieldRule, ...]

    def field(self, name: str) -> FieldRule:
        """The rule of a field. Raises ExchangeError(E_UNKNOWN_FIELD)."""
        for rule in self.fields:
            if rule.name == name:
                return rule
        raise ExchangeError("E_UNKNOWN_FIELD", f"{self.record_type} has no field {name}")

    @property
    def uuids(self) -> frozenset[str]:
        """The fields of the natural key that are uuids: in the key 36 characters in lower case, with hyphens."""
        return frozenset(rule.name for rule in self.fields if rule.name in self.natural_key and _is_uuid(rule.type))

    @property
    def expires(self) -> bool:
        """Whether records of the type may end by themselves."""
        return any(rule.name == EXPIRES_AT for rule in self.fields)

    def key_of(self, values: Sequence[str]) -> bytes:
        """The Kafka key of a record whose natural key fields hold `values` (in the order of `natural_key`).

        Parts are percent-encoded and joined with `/`; letters, digits and `-._~!$&'()*+,:;=@` stay as they are, so a
        plain identifier is its own key.
        """
        if len(values) == 1 and values[0].isalnum() and values[0].isascii():
            return values[0].encode()
        return b"/".join(quoted(value.encode()) for value in values)


def _is_uuid(type_: Any) -> bool:
    return isinstance(type_, dict) and type_.get("logicalType") == UUID_TYPE


def quoted(part: bytes) -> bytes:
    """A part of a key, percent-encoded."""
    return "".join([_QUOTED[byte] for byte in part]).encode()


def record_schema(schema: dict[str, Any]) -> RecordSchema:
    """The rules that `schema` (an avsc as dict) declares. Raises ExchangeError(E_SCHEMA) that names what is wrong."""
    root = parse(schema).root
    if not isinstance(root, Record):
        raise ExchangeError("E_SCHEMA", "a record type needs a record")
    name = schema.get("recordType")
    if not isinstance(name, str):
        raise ExchangeError("E_SCHEMA", f"{root.name} has no recordType")
    try:
        type_ = record_type(name)
    except ExchangeError as error:
        raise ExchangeError("E_SCHEMA", f"recordType of {root.name}: {error.detail}") from None
    personal = schema.get("personal", True)
    provider = schema.get("provider")
    if not isinstance(provider, Mapping) or provider.get("rule") not in PROVIDER_RULES:
        raise ExchangeError("E_SCHEMA", f"{type_}: provider.rule is one of {', '.join(PROVIDER_RULES)}")
    if not isinstance(personal, bool):
        raise ExchangeError("E_SCHEMA", f"{type_}: personal is true or false")
    key = schema.get("naturalKey")
    if not isinstance(key, list) or not key or not all(isinstance(part, str) for part in key):
        raise ExchangeError("E_SCHEMA", f"{type_}: naturalKey is a list of field names")
    result = RecordSchema(
        record_type=type_,
        schema=schema,
        natural_key=tuple(key),
        provider_rule=str(provider["rule"]),
        provider_field=provider.get("field"),
        personal=personal,
        fields=tuple(_rule(type_, item, personal) for item in root.fields),
    )
    _lint(result, root)
    return result


def _rule(type_: RecordType, item: Field, personal: bool) -> FieldRule:
    raw = item.attributes
    texts = {key: raw.get(key, "") for key in _TEXTS}
    future = raw.get("future", item.name == EXPIRES_AT)
    if fault := _text_fault(texts, item) or _date_fault(future, item):
        raise ExchangeError("E_SCHEMA", f"{type_}.{item.name}: {fault}")
    return FieldRule(
        name=item.name,
        type=raw["type"],
        meaning=texts["doc"],
        meaning_zh=texts["meaningZh"],
        standard=texts["standard"],
        code_set=texts["codeSet"],
        identifier=texts["identifier"],
        form=texts["form"],
        future=future,
        sharing=texts["sharing"],
        personal=bool(raw.get("personal", personal)),
        required=bool(raw.get("required", not _is_nullable(item.type))),
    )


def _text_fault(texts: Mapping[str, Any], item: Field) -> str | None:
    """What is wrong with the attributes of a field that are texts."""
    if odd := [key for key, text in texts.items() if not isinstance(text, str)]:
        return f"{odd[0]} is a text"
    rules = [key for key in _OF_TEXTS if texts[key]]
    faults = {
        "every field has a doc and a meaningZh": not texts["doc"] or not texts["meaningZh"],
        f"identifier is one of {', '.join(IDENTIFIERS)}": texts["identifier"] not in ("", *IDENTIFIERS),
        f"sharing is one of {', '.join(SHARINGS)}": texts["sharing"] not in ("", *SHARINGS),
        f"a string has one of {', '.join(_OF_TEXTS)}, others have none": len(rules) > (1 if _is_text(item.type) else 0),
        "form is a regular expression that no empty text matches": not _is_form(texts["form"]),
    }
    return next((fault for fault, found in faults.items() if found), None)


def _date_fault(future: Any, item: Field) -> str | None:
    if not isinstance(future, bool) or ("future" in item.attributes and not _is_moment(item.type)):
        return "future is true or false, and of dates only"
    return None


def _lint(record: RecordSchema, root: Record) -> None:
    """Rules over several fields: the key exists and is text that is never null; no enums (code sets are strings)."""
    fields = {item.name: item.type for item in root.fields}
    for part in record.natural_key:
        node = fields.get(part)
        if not _is_key_part(node):
            raise ExchangeError("E_SCHEMA", f"{record.record_type}: key field {part} is a string that is never null")
    if EXPIRES_AT in fields and not _is_moment(fields[EXPIRES_AT]):
        raise ExchangeError("E_SCHEMA", f"{record.record_type}: {EXPIRES_AT} is a date or a timestamp, or null")
    if record.provider_rule in ("first-character", "issuer"):
        if record.provider_field not in fields:
            raise ExchangeError("E_SCHEMA", f"{record.record_type}: provider.field names a field")
        if record.provider_field not in record.natural_key:
            raise ExchangeError("E_SCHEMA", f"{record.record_type}: provider.field is a part of the natural key")


def _is_nullable(node: Node) -> bool:
    return node.kind == "null" or (isinstance(node, Union) and any(b.kind == "null" for b in node.branches))


def _is_text(node: Node) -> bool:
    if isinstance(node, Union):
        return node.nullable is not None and _is_text(node.nullable[1])
    return isinstance(node, Primitive) and node.kind == "string" and node.logical is None


def _is_key_part(node: Node | None) -> bool:
    """A text that is never null, or a uuid, which a key holds as its text."""
    if not isinstance(node, Primitive) or node.kind != "string":
        return False
    return node.logical is None or node.logical.name == UUID_TYPE


def _is_form(text: str) -> bool:
    """Whether `text` is empty or a regular expression, which an empty value does not match."""
    try:
        return not text or re.fullmatch(text, "") is None
    except re.error:
        return False


def _is_moment(node: Node) -> bool:
    if isinstance(node, Union):
        return node.nullable is not None and _is_moment(node.nullable[1])
    return isinstance(node, Primitive) and node.logical is not None and node.logical.name in MOMENTS
