"""The examples beside every schema: `<registry>/<type>/accept/*.json` and `reject/*.json`.

An example is `{"because": why, "record": {field: value}}`; one that must be refused also has `"code"`, and `"key"` when
the Kafka key is not the one that the record says of itself. A date is an ISO text and a decimal a text of digits; the
schema says which field is which. Any other text stays a text, so that examples can be wrong.
"""

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from exchange import record
from exchange.avro.codec import Codec
from exchange.avro.record_schema import RecordSchema
from exchange.names import SchemaId, registry_of

ACCEPT: Final = "accept"
REJECT: Final = "reject"
SCHEMA_ID: Final = SchemaId(1)
"""The id in the frame of every encoded example."""


@dataclass(frozen=True, slots=True)
class Example:
    """A record as a department might send it."""

    path: Path
    because: str
    code: str | None
    """Why it is refused; None: it is accepted."""
    key: str | None
    """The Kafka key, when it is not the record's own."""
    values: dict[str, Any]

    def kafka_key(self, schema: RecordSchema) -> bytes:
        """The key with which the record comes."""
        if self.key is not None:
            return self.key.encode()
        return schema.key_of([self.values[part] for part in schema.natural_key])

    def encoded(self, codec: Codec) -> bytes:
        """The framed value, as intake encodes it by the codec of its schema. Raises ExchangeError(E_ENCODE)."""
        return record.frame(SCHEMA_ID) + codec.encode(self.values)


def folder_of(schemas: Path, schema: RecordSchema, kind: str) -> Path:
    """Where the examples of a record type lie in the folder of schemas."""
    return schemas / registry_of(schema.record_type) / schema.record_type.partition(".")[2] / kind


def paths_of(schemas: Path, schema: RecordSchema, kind: str) -> list[Path]:
    """The files of all examples of a kind, sorted."""
    return sorted(folder_of(schemas, schema, kind).glob("*.json"))


def read_example(schema: RecordSchema, path: Path) -> Example:
    """One example, with dates and decimals as Avro's readers give them."""
    content = json.loads(path.read_text(encoding="utf-8"))
    values: dict[str, Any] = content["record"]
    for rule in schema.fields:
        branches = rule.type if isinstance(rule.type, list) else [rule.type]
        logical = {branch.get("logicalType") for branch in branches if isinstance(branch, dict)}
        text = values[rule.name]
        if "date" in logical and isinstance(text, str) and text[4:5] == "-":
            values[rule.name] = date.fromisoformat(text)
        elif "decimal" in logical and isinstance(text, str):
            values[rule.name] = _number(text)
    return Example(path, content["because"], content.get("code"), content.get("key"), values)


def _number(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text
