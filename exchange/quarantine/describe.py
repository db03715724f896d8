"""What a quarantined record looks like, told without any of its values: names, sizes, kinds and masks."""

import datetime
import re
from decimal import Decimal
from typing import Any, Protocol

from exchange import record
from exchange.avro import Codec
from exchange.avro.lock import LockedSchema
from exchange.avro.record_schema import RecordSchema
from exchange.errors import ExchangeError
from exchange.identifiers import IDENTIFIERS
from exchange.names import RecordType, mask_name
from exchange.quarantine.entry import Quarantined
from exchange.record import Headers

_KNOWN_HEADERS = frozenset(
    {record.SPECVERSION, record.ID, record.SOURCE, record.TYPE, record.TIME, record.CONTENT_TYPE, record.SEQUENCE}
)
_FIELD = re.compile(r"\bfield ([A-Za-z_][A-Za-z0-9_]*)")
_MOST_MASKED = 80
_MOST_HEADERS = 50


class Schemas(Protocol):
    """The locked schemas."""

    def by_id(self, schema_id: int) -> LockedSchema | None:
        """The schema with this id, if the lock has one."""
        ...

    def record_types(self) -> list[RecordType]:
        """All record types."""
        ...

    def latest(self, subject: str) -> LockedSchema:
        """The newest version of a subject."""
        ...


def rules_of(schemas: Schemas, record_type: RecordType | None) -> RecordSchema | None:
    """The rules of a record type; None for one without schema."""
    if record_type is None or record_type not in schemas.record_types():
        return None
    return schemas.latest(record_type).record


def key_shown(key: bytes | None, rules: RecordSchema | None) -> dict[str, Any] | None:
    """The key's size and its mask: identifiers as their masks show them, everything else hidden."""
    if key is None:
        return None
    return {"bytes": len(key), "masked": _masked_key(key, rules)}


def headers_shown(headers: Headers) -> list[dict[str, Any]]:
    """Names and sizes of a publisher's headers. A name that CloudEvents does not know may itself be a value."""
    return [
        {"name": name if name in _KNOWN_HEADERS else mask_name(name), "bytes": len(content or b"")}
        for name, content in headers[:_MOST_HEADERS]
    ]


def value_shown(entry: Quarantined, schemas: Schemas) -> dict[str, Any] | None:
    """Size, schema and fields of the value; of each field its kind or mask. None for a withdrawal.

    `decodes` is the code of the error when the value cannot be read by the schema it names, then there are no fields.
    """
    if entry.value is None:
        return None
    shown: dict[str, Any] = {"bytes": len(entry.value), "schema_id": record.unframe(entry.value), "schema": None}
    locked = None if shown["schema_id"] is None else schemas.by_id(shown["schema_id"])
    if locked is None or locked.record is None:
        return {**shown, "decodes": "E_FRAMING" if shown["schema_id"] is None else "E_SCHEMA_UNKNOWN", "fields": []}
    shown["schema"] = f"{locked.subject}, version {locked.version}"
    try:
        found = Codec(locked.schema).decode(entry.value[record.FRAME_BYTES :])
    except ExchangeError as error:
        return {**shown, "decodes": error.code, "fields": []}
    concerned = set(_FIELD.findall(entry.reason))
    fields = [
        {
            "field": rule.name,
            "holds": _masked(found[rule.name], rule.identifier),
            "concerned": rule.name in concerned,
        }
        for rule in locked.record.fields
    ]
    return {**shown, "decodes": "yes", "fields": fields}


def _masked_key(key: bytes, rules: RecordSchema | None) -> str:
    text = key.decode("utf-8", "replace")
    parts = text.split("/")
    if rules is None or len(parts) != len(rules.natural_key):
        return _stars(text)
    identifiers = [IDENTIFIERS.get(rules.field(name).identifier) for name in rules.natural_key]
    masked = [
        _stars(part) if identifier is None else identifier.mask(part[:_MOST_MASKED])
        for identifier, part in zip(identifiers, parts, strict=True)
    ]
    return "/".join(masked)[:_MOST_MASKED]


def _masked(value: Any, identifier: str) -> str:
    if isinstance(value, str):
        known = IDENTIFIERS.get(identifier)
        return known.mask(value) if known and len(value) <= _MOST_MASKED else f"text of {len(value)} characters"
    return _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, dict):
        return f"{len(value)} members"
    for kinds, name in _KINDS:
        if isinstance(value, kinds):
            return name
    return "value"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "nothing"),
    (bool, "yes or no"),
    (int, "whole number"),
    ((float, Decimal), "number"),
    (datetime.datetime, "moment"),
    (datetime.date, "date"),
    (datetime.time, "time of day"),
)
"""In this order: a bool is an int, and a moment is a date."""


def _stars(text: str) -> str:
    return "*" * min(len(text), _MOST_MASKED)
