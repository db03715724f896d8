"""Bytes that no encoder writes: each has its code, none costs more time or memory than its length justifies."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from exchange.avro import Codec
from exchange.errors import ExchangeError

PAIR = {
    "type": "record",
    "name": "Pair",
    "fields": [{"name": "text", "type": "string"}, {"name": "number", "type": ["null", "int"]}],
}
NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "next", "type": ["null", "Node"]}],
}
TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "inside", "type": {"type": "array", "items": "Tree"}}],
}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
CASES: list[tuple[str, Any, str, str]] = [
    ("empty", PAIR, "", "E_AVRO_TRUNCATED"),
    ("cut in the text", PAIR, "0661", "E_AVRO_TRUNCATED"),
    ("cut before the union", PAIR, "0261", "E_AVRO_TRUNCATED"),
    ("cut in the number", PAIR, "02610280", "E_AVRO_TRUNCATED"),
    ("cut within a character", PAIR, "06e4ba", "E_AVRO_TRUNCATED"),
    ("trailing byte", PAIR, "02610000", "E_AVRO_TRAILING"),
    ("over-long length", PAIR, "82006100", "E_AVRO_VARINT"),
    ("over-long union index", PAIR, "02618000", "E_AVRO_VARINT"),
    ("over-long number", PAIR, "0261028200", "E_AVRO_VARINT"),
    ("number of eleven bytes", "long", "80808080808080808080" + "01", "E_AVRO_VARINT"),
    ("number of 65 bits", "long", "ffffffffffffffffff02", "E_AVRO_VARINT"),
    ("int of 33 bits", "int", "8080808010", "E_AVRO_VARINT"),
    ("endless varint", "long", "80" * 100_000, "E_AVRO_VARINT"),
    ("negative length", PAIR, "01", "E_AVRO_LENGTH"),
    ("huge negative length", PAIR, "ffffffffffffffffff01", "E_AVRO_LENGTH"),
    ("huge length", PAIR, "feffffffffffffffff01", "E_AVRO_LENGTH"),
    ("huge bytes", "bytes", "8080808010", "E_AVRO_LENGTH"),
    ("bad UTF-8", PAIR, "02ff00", "E_AVRO_UTF8"),
    ("surrogate in UTF-8", PAIR, "06eda08000", "E_AVRO_UTF8"),
    ("surrogates in pairs in UTF-8", PAIR, "0ceda080edb08000", "E_AVRO_UTF8"),
    ("over-long UTF-8", PAIR, "04c08000", "E_AVRO_UTF8"),
    ("character that goes on in the next field", {"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "string"}, {"name": "b", "type": "string"}]}, "04e4ba02ad", "E_AVRO_UTF8"),
    ("union index", PAIR, "026104", "E_AVRO_UNION"),
    ("negative union index", PAIR, "026101", "E_AVRO_UNION"),
    ("enum index", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "04", "E_AVRO_UNION"),
    ("negative enum index", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "01", "E_AVRO_UNION"),
    ("boolean of 2", "boolean", "02", "E_AVRO_NOT_CANONICAL"),
    ("two blocks", {"type": "array", "items": "int"}, "0202020400", "E_AVRO_NOT_CANONICAL"),
    ("block with negative count", {"type": "array", "items": "int"}, "01020200", "E_AVRO_NOT_CANONICAL"),
    ("array without end", {"type": "array", "items": "int"}, "0202", "E_AVRO_TRUNCATED"),
    ("huge array", {"type": "array", "items": "int"}, "feffffffffffffffff01", "E_AVRO_LENGTH"),
    ("array of more items than bytes", {"type": "array", "items": "int"}, "140000", "E_AVRO_TRUNCATED"),
    ("a billion nulls", {"type": "array", "items": "null"}, "8094ebdc0300", "E_AVRO_LENGTH"),
    ("a billion empty records", {"type": "array", "items": {"type": "record", "name": "R", "fields": []}},
     "8094ebdc0300", "E_AVRO_LENGTH"),
    ("a key twice", {"type": "map", "values": "null"}, "04026102" + "6100", "E_AVRO_NOT_CANONICAL"),
    ("huge map", {"type": "map", "values": "null"}, "feffffffffffffffff01", "E_AVRO_LENGTH"),
    ("decimal with a leading zero", DECIMAL, "040001", "E_AVRO_NOT_CANONICAL"),
    ("decimal with leading ones", DECIMAL, "04fffe", "E_AVRO_NOT_CANONICAL"),
    ("decimal with a million leading zeros", DECIMAL, "80897a" + "00" * 1_000_000, "E_AVRO_NOT_CANONICAL"),
    ("-1.28 with a byte too many, as fastavro writes it", DECIMAL, "04ff80", "E_AVRO_NOT_CANONICAL"),
    ("-99.84 with a byte too many", DECIMAL, "06ffd900", "E_AVRO_NOT_CANONICAL"),
    ("decimal without bytes", DECIMAL, "00", "E_AVRO_NOT_CANONICAL"),
    ("decimal of five digits", DECIMAL, "042710", "E_AVRO_VALUE"),
    ("decimal of many digits", DECIMAL, "14" + "7f" * 10, "E_AVRO_VALUE"),
    ("date after 9999", {"type": "int", "logicalType": "date"}, "8284e602", "E_AVRO_VALUE"),
    ("date before 1", {"type": "int", "logicalType": "date"}, "ffffffff0f", "E_AVRO_VALUE"),
    ("time of 24:00", {"type": "int", "logicalType": "time-millis"}, "80f0b252", "E_AVRO_VALUE"),
    ("negative time", {"type": "long", "logicalType": "time-micros"}, "01", "E_AVRO_VALUE"),
    ("timestamp after 9999",
     {"type": "long", "logicalType": "timestamp-millis"}, "feffffffffffffffff01", "E_AVRO_VALUE"),
    ("uuid without hyphens", {"type": "string", "logicalType": "uuid"},
     "40" + b"12345678123456781234567812345678".hex(), "E_AVRO_NOT_CANONICAL"),
    ("no uuid", {"type": "string", "logicalType": "uuid"}, "0461" + "62", "E_AVRO_VALUE"),
    ("signalling NaN", "float", "0100807f", "E_AVRO_NOT_CANONICAL"),
    ("another branch than an encoder takes", ["int", "long"], "0202", "E_AVRO_NOT_CANONICAL"),
]  # fmt: skip


def code(function: Callable[[bytes], Any], data: bytes) -> str:
    with pytest.raises(ExchangeError) as caught:
        function(data)
    return caught.value.code


@pytest.mark.parametrize(("schema", "data", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_hostile_bytes_have_their_code(schema: Any, data: str, expected: str) -> None:
    codec = Codec(schema)
    assert code(codec.check, bytes.fromhex(data)) == expected
    if schema != ["int", "long"]:
        assert code(codec.decode, bytes.fromhex(data)) == expected


def test_the_error_names_the_field_and_no_value() -> None:
    with pytest.raises(ExchangeError) as caught:
        Codec(PAIR).check(bytes.fromhex("0861626364") + b"\x02\x82\x00")
    assert "field number" in caught.value.detail
    assert "abcd" not in str(caught.value)


@pytest.mark.parametrize("schema", [NODE, TREE])
@pytest.mark.parametrize("levels", [65, 66, 1_000, 100_000])
def test_more_than_64_levels_are_refused(schema: Any, levels: int) -> None:
    records = levels if schema is NODE else (levels + 1) // 2
    data = b"\x02" * (records - 1) + b"\x00" * (1 if schema is NODE else records)
    assert code(Codec(schema).check, data) == "E_AVRO_DEPTH"
    assert code(Codec(schema).decode, data) == "E_AVRO_DEPTH"


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"next": None}
    for _ in range(levels - 1):
        value = {"next": value}
    return value


def test_64_levels_are_accepted() -> None:
    codec = Codec(NODE)
    data = codec.encode(nested(64))
    assert codec.decode(data) == nested(64)
    codec.check(data)


def test_a_record_within_itself_is_refused_by_the_encoder() -> None:
    endless: dict[str, Any] = {}
    endless["next"] = endless
    assert code(Codec(NODE).encode, endless) == "E_ENCODE"  # type: ignore[arg-type]
    assert code(Codec(NODE).encode, nested(65)) == "E_ENCODE"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ({"type": "array", "items": "null"}, "fe" + "ff" * 8 + "01"),
        ({"type": "array", "items": {"type": "array", "items": "null"}}, "8080" + "80" * 2 + "0800" * 2000),
        ({"type": "array", "items": {"type": "array", "items": "null"}}, "8010" + "7e00" * 1024 + "00"),
        ({"type": "map", "values": "string"}, "feffffffffffffffff01"),
        ("string", "feffffff0f" + "61" * 1000),
        ({"type": "fixed", "name": "F", "size": 1_000_000_000}, "00"),
    ],
)
def test_memory_stays_within_what_the_bytes_justify(schema: Any, data: str) -> None:
    codec = Codec(schema)
    hostile = bytes.fromhex(data)
    tracemalloc.start()
    try:
        for function in (codec.check, codec.decode):
            try:
                function(hostile)
            except ExchangeError:
                continue
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000 + 400 * len(hostile)


def test_any_order_of_map_entries_is_canonical() -> None:
    codec = Codec({"type": "map", "values": "int"})
    one, other = codec.encode({"a": 1, "b": 2}), codec.encode({"b": 2, "a": 1})
    assert one != other
    codec.check(one)
    codec.check(other)
