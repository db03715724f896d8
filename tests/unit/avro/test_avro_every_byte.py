"""One encoding per value: over every text of one and two bytes, and over what Avro's own library for Java writes."""

import datetime
import itertools
import json
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.avro.codec import Codec
from exchange.errors import ExchangeError

JAVA = Path(__file__).parent / "written_by_java.jsonl"
"""Of each kind some values, as `GenericDatumWriter` of org.apache.avro:avro:1.12.0 encodes them."""
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
SCHEMAS: list[Any] = [
    *("null", "boolean", "int", "long", "bytes", "string"),
    DECIMAL,
    {"type": "fixed", "name": "small", "size": 1, "logicalType": "decimal", "precision": 2, "scale": 0},
    {"type": "fixed", "name": "small", "size": 2, "logicalType": "decimal", "precision": 4, "scale": 1},
    {"type": "fixed", "name": "raw", "size": 2},
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "local-timestamp-micros"},
    {"type": "enum", "name": "state", "symbols": ["OPEN", "SHUT"]},
    ["null", "int"],
    ["null", DECIMAL],
    {"type": "array", "items": "boolean"},
    {"type": "map", "values": "null"},
    {"type": "record", "name": "pair", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "boolean"}]},
]


def every_text() -> list[bytes]:
    """Of no byte, of one and of two: 65,793."""
    return [bytes(text) for size in range(3) for text in itertools.product(range(256), repeat=size)]


def decoded(codec: Codec, data: bytes) -> tuple[bool, Any]:
    """Whether the codec decodes it, and to what."""
    try:
        return True, codec.decode(data)
    except ExchangeError:
        return False, None


def passes(codec: Codec, data: bytes) -> bool:
    """Whether the short way lets it pass."""
    try:
        codec.check(data)
    except ExchangeError:
        return False
    return True


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_what_passes_is_what_decodes_and_encodes_to_the_same_bytes(schema: Any) -> None:
    codec = Codec(schema)
    wrong = 0
    for data in every_text():
        good, value = decoded(codec, data)
        if passes(codec, data) is not good or (good and codec.encode(value) != data):
            wrong += 1
    assert wrong == 0


def written_by_java() -> list[dict[str, Any]]:
    return [json.loads(line) for line in JAVA.read_text(encoding="utf-8").splitlines()]


VALUE_OF: dict[str, Callable[[Any], Any]] = {
    "bytes": bytes.fromhex,
    "date": datetime.date.fromisoformat,
    "decimal": lambda told: Decimal(told).quantize(Decimal("0.01")),
    "float": lambda told: struct.unpack("f", struct.pack("f", told))[0],
    "local-timestamp-micros": datetime.datetime.fromisoformat,
    "time-micros": datetime.time.fromisoformat,
    "time-millis": datetime.time.fromisoformat,
    "timestamp-micros": datetime.datetime.fromisoformat,
    "timestamp-millis": datetime.datetime.fromisoformat,
    "uuid": uuid.UUID,
}
"""The value that a text in the file stands for; of other kinds it is the value itself."""


def kind_of(schema: Any) -> str:
    """Its logical type, else its type."""
    return str(schema.get("logicalType", schema["type"]) if isinstance(schema, dict) else schema)


@pytest.mark.parametrize("made", written_by_java(), ids=lambda made: f"{kind_of(made['schema'])}={made['bytes'][:20]}")
def test_what_java_wrote_passes_and_is_what_we_write(made: dict[str, Any]) -> None:
    codec = Codec(made["schema"])
    data = bytes.fromhex(made["bytes"])
    assert passes(codec, data)
    value = codec.decode(data)
    assert value == VALUE_OF.get(kind_of(made["schema"]), lambda told: told)(made["value"])
    assert codec.encode(value) == data
