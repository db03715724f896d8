"""What Codec and Slicer take and refuse, and how share schemas are made."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.avro import Codec, Slicer
from exchange.avro.subset import subset_schema
from exchange.errors import ExchangeError

DATE = {"type": "int", "logicalType": "date"}
INNER = {"type": "record", "name": "Inner", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "string"}]}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Outer",
    "namespace": "n",
    "naturalKey": ["code"],
    "fields": [
        {"name": "code", "type": "string", "doc": "the code", "identifier": "credit-code"},
        {"name": "day", "type": DATE},
        {"name": "inner", "type": INNER},
        {"name": "more", "type": {"type": "array", "items": "Inner"}},
        {"name": "amount", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}]},
        {"name": "note", "type": ["null", "string"], "default": None, "codeSet": "notes"},
    ],
}
RECORD: dict[str, Any] = {
    "code": "X",
    "day": datetime.date(2026, 11, 24),
    "inner": {"a": 1, "b": "1"},
    "more": [{"a": 2, "b": "2"}, {"a": 3, "b": "3"}],
    "amount": Decimal("12.30"),
    "note": "n",
}


def refusal(function: Any, *arguments: Any) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        function(*arguments)
    return caught.value


def test_a_schema_may_be_a_dict_a_json_text_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "outer.avsc"
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")
    data = Codec(SCHEMA).encode(RECORD)
    for schema in (json.dumps(SCHEMA), path, str(path)):
        assert Codec(schema).decode(data) == RECORD
    assert Codec("string").encode("x") == b"\x02x"


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "nowhere.avsc",
        {},
        {"type": "strong"},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "Unknown"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]},
        {"type": "bytes", "logicalType": "decimal"},
        ["int", "int"],
        [],
        ["null", ["int", "null"]],
    ],
)
def test_an_invalid_schema_is_refused(schema: Any) -> None:
    assert refusal(Codec, schema).code == "E_SCHEMA"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", None),
        ("code", 5),
        ("code", b"X"),
        ("code", "\ud800"),
        ("day", "24.11.2026"),
        ("day", 2**31),
        ("day", 2.5),
        ("inner", None),
        ("inner", {"a": 1}),
        ("inner", {"a": 2**31, "b": ""}),
        ("inner", {"a": 1.0, "b": ""}),
        ("more", "text"),
        ("more", {"a": 1}),
        ("amount", Decimal("12.345")),
        ("amount", Decimal("12345.00")),
        ("amount", Decimal("NaN")),
        ("amount", 12),
        ("amount", b"\x00\x01"),
        ("note", 5),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_field(field: str, value: Any) -> None:
    error = refusal(Codec(SCHEMA).encode, {**RECORD, field: value})
    assert error.code == "E_ENCODE"
    assert f"field {field}" in error.detail
    assert "24.11" not in str(error)


def test_a_missing_field_is_refused_unless_it_may_be_null_or_has_a_default() -> None:
    codec = Codec(SCHEMA)
    without = {name: value for name, value in RECORD.items() if name not in ("amount", "note")}
    assert codec.decode(codec.encode(without)) == {**RECORD, "amount": None, "note": None}
    assert "code" in refusal(codec.encode, {**without, "code": None}).detail
    del without["code"]
    assert refusal(codec.encode, without).code == "E_ENCODE"
    assert refusal(codec.encode, None).code == "E_ENCODE"


def test_defaults_are_those_of_the_schema() -> None:
    fields: list[dict[str, Any]] = [
        {"name": "bytes", "type": "bytes", "default": "\u00ff"},
        {"name": "double", "type": "double", "default": 1},
        {"name": "union", "type": ["int", "null"], "default": 7},
        {"name": "inner", "type": INNER, "default": {"a": 1, "b": "x"}},
        {"name": "list", "type": {"type": "array", "items": "int"}, "default": [1, 2]},
    ]
    codec = Codec({"type": "record", "name": "R", "fields": fields})
    expected = {"bytes": b"\xff", "double": 1.0, "union": 7, "inner": {"a": 1, "b": "x"}, "list": [1, 2]}
    assert codec.decode(codec.encode({})) == expected


def test_a_pair_names_its_branch_of_a_union() -> None:
    codec = Codec(["int", "long"])
    assert codec.encode(("long", 5)) == b"\x02\x0a"
    assert refusal(codec.encode, ("text", 5)).code == "E_ENCODE"


def without(path: str) -> dict[str, Any]:
    """SCHEMA without one field of its own or of the inner record."""
    reader = json.loads(json.dumps(SCHEMA))
    fields = reader["fields"][2]["type"]["fields"] if "." in path else reader["fields"]
    fields[:] = [item for item in fields if item["name"] != path.rpartition(".")[2]]
    return dict(reader)


@pytest.mark.parametrize("field", ["code", "day", "more", "amount", "note"])
def test_a_slice_drops_a_field(field: str) -> None:
    reader = without(field)
    kept = {name: value for name, value in RECORD.items() if name != field}
    assert Slicer(SCHEMA, reader).slice(Codec(SCHEMA).encode(RECORD)) == Codec(reader).encode(kept)


@pytest.mark.parametrize("field", ["a", "b"])
def test_a_slice_drops_a_field_of_inner_records_everywhere(field: str) -> None:
    reader = without(f"inner.{field}")
    assert Slicer(SCHEMA, reader).slice(Codec(SCHEMA).encode(RECORD)) == Codec(reader).encode(RECORD)


def test_a_slice_drops_fields_at_every_level_of_a_recursive_type() -> None:
    node = {"name": "next", "type": ["null", "Node"]}
    text = {"name": "text", "type": "string"}
    writer = {"type": "record", "name": "Node", "fields": [{"name": "number", "type": "int"}, node, text]}
    reader = {**writer, "fields": [node, text]}
    record = {"number": 1, "text": "a", "next": {"number": 2, "text": "b", "next": None}}
    assert Slicer(writer, reader).slice(Codec(writer).encode(record)) == Codec(reader).encode(record)


def test_types_that_share_their_bytes_are_sliced() -> None:
    writer = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": DATE}]}
    reader = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "int"}]}
    data = Codec(writer).encode({"a": 300, "b": 5})
    assert Slicer(writer, reader).slice(data) == data


def changed(name: str, **change: Any) -> dict[str, Any]:
    fields = [{**item, **change} if item["name"] == name else item for item in SCHEMA["fields"]]
    return {**SCHEMA, "fields": fields}


@pytest.mark.parametrize(
    "reader",
    [
        {**SCHEMA, "fields": SCHEMA["fields"][::-1][:2]},
        {**SCHEMA, "fields": [*SCHEMA["fields"], {"name": "new", "type": "int", "default": 1}]},
        changed("day", type="double"),
        changed("note", type=["string", "null"], default=""),
        changed("note", type="string", default=""),
        changed("code", type=["null", "string"]),
        changed("amount", type=["null", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 3}]),
        {**SCHEMA, "name": "Another"},
        "string",
    ],
)
def test_a_reader_that_slicing_cannot_serve_is_refused(reader: Any) -> None:
    assert refusal(Slicer, SCHEMA, reader).code == "E_SCHEMA_INCOMPATIBLE"


def test_a_slice_of_cut_bytes_is_an_error_with_a_code() -> None:
    data = Codec(SCHEMA).encode(RECORD)
    slicer = Slicer(SCHEMA, without("inner.a"))
    assert refusal(slicer.slice, data[:4]).code == "E_AVRO_TRUNCATED"


def test_a_share_schema_keeps_the_order_and_the_meaning() -> None:
    share = subset_schema(SCHEMA, ["note", "code"], {}, "Share7")
    assert [item["name"] for item in share["fields"]] == ["code", "note"]
    assert share["name"] == "Share7"
    assert share["fields"][0]["doc"] == "the code"
    assert "naturalKey" not in share
    assert "identifier" not in share["fields"][0]
    assert Codec(share).decode(Codec(share).encode(RECORD)) == {"code": "X", "note": "n"}


def test_a_share_schema_defines_a_name_where_it_is_first_used() -> None:
    share = subset_schema(SCHEMA, ["more"], {}, "Share7")
    assert Codec(share).decode(Codec(share).encode(RECORD)) == {"more": RECORD["more"]}


def test_masked_fields_are_text() -> None:
    share = subset_schema(SCHEMA, ["code", "day", "note"], {"day": "year", "note": "first", "code": "pseudonym"}, "S")
    assert [item["type"] for item in share["fields"]] == ["string", "string", ["null", "string"]]
    assert share["fields"][2]["default"] is None
    assert "codeSet" not in share["fields"][2]


@pytest.mark.parametrize(
    ("fields", "masks", "code"),
    [
        (["nothing"], {}, "E_UNKNOWN_FIELD"),
        (["code"], {"nothing": "first"}, "E_UNKNOWN_FIELD"),
        (["code"], {"note": "first"}, "E_MASK"),
        (["code"], {"code": "year"}, "E_MASK"),
        (["code"], {"code": "blur"}, "E_MASK"),
        (["day"], {"day": "first"}, "E_MASK"),
        (["inner"], {"inner": "first"}, "E_MASK"),
    ],
)
def test_unfit_terms_of_a_share_are_refused(fields: list[str], masks: dict[str, str], code: str) -> None:
    assert refusal(subset_schema, SCHEMA, fields, masks, "S").code == code
