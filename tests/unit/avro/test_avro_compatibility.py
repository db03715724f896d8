"""Which schema may follow which: Avro's resolution rules as a table, the modes over a history, the append-only rule."""

from typing import Any

import pytest

from exchange.avro.compatibility import Mode, appended, check
from exchange.errors import ExchangeError


def record(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": list(fields), **more}


def field(name: str, type_: Any = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int, name: str = "F") -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


LIST = {"type": "record", "name": "List", "fields": [field("value", "int"), field("next", ["null", "List"])]}
LONG_LIST = {"type": "record", "name": "List", "fields": [field("value", "long"), field("next", ["null", "List"])]}
TEXT_LIST = {"type": "record", "name": "List", "fields": [field("value", "string"), field("next", ["null", "List"])]}
PROMOTIONS = ("int long", "int float", "int double", "long float", "long double", "float double", "string bytes",
              "bytes string")  # fmt: skip
READS: list[tuple[str, Any, Any]] = [
    ("the same", LIST, LIST),
    *((f"{pair} by promotion", pair.split()[1], pair.split()[0]) for pair in PROMOTIONS),
    ("a dropped field", record(field("a")), record(field("a"), field("b"))),
    ("another order", record(field("a"), field("b")), record(field("b"), field("a"))),
    ("a new field with default", record(field("a"), field("b", default="")), record(field("a"))),
    ("a renamed field by alias", record(field("b", aliases=["a"])), record(field("a"))),
    ("a renamed record by alias", {**record(field("a")), "name": "S", "aliases": ["R"]}, record(field("a"))),
    ("a renamed record by full alias", {**record(), "name": "S", "namespace": "n", "aliases": ["m.R"]},
     record(namespace="m")),
    ("another namespace", record(namespace="n"), record(namespace="m")),
    ("more symbols", enum("A", "B", "C"), enum("A", "B")),
    ("fewer symbols with default", enum("A", default="A"), enum("A", "B")),
    ("a fixed of the same size", fixed(4), fixed(4)),
    ("a union that takes it", ["null", "string"], "string"),
    ("a union by promotion", ["null", "long"], "int"),
    ("a wider union", ["null", "string", "int"], ["string", "null"]),
    ("the only branch of a union", "long", ["int"]),
    ("all branches by promotion", "double", ["int", "float"]),
    ("items by promotion", {"type": "array", "items": "long"}, {"type": "array", "items": "int"}),
    ("values by promotion", {"type": "map", "values": "double"}, {"type": "map", "values": "float"}),
    ("a recursive type by promotion", LONG_LIST, LIST),
    ("a decimal as bytes", "bytes", decimal(9, 2)),
    ("a date as int", "int", {"type": "int", "logicalType": "date"}),
    ("a named type twice",
     record(field("a", fixed(2)), field("b", "F")), record(field("a", fixed(2)), field("b", "F"))),
]  # fmt: skip
DOES_NOT_READ: list[tuple[str, Any, Any, str, str]] = [
    *((f"{pair} backwards", *pair.split(), "type", "/") for pair in PROMOTIONS if "bytes" not in pair),
    ("text as number", "int", "string", "type", "/"),
    ("array as map", {"type": "map", "values": "int"}, {"type": "array", "items": "int"}, "type", "/"),
    ("a new field without default", record(field("a"), field("b")), record(field("a")), "field-without-default", ".b"),
    ("a renamed field", record(field("b")), record(field("a")), "field-without-default", ".b"),
    ("a renamed record", {**record(), "name": "S"}, record(), "name", "/"),
    ("an alias of the writer", record(field("b")), record(field("a", aliases=["b"])), "field-without-default", ".b"),
    ("fewer symbols", enum("A"), enum("A", "B"), "enum-symbols", "/"),
    ("another fixed size", fixed(4), fixed(5), "fixed-size", "/"),
    ("another fixed name", fixed(4, "G"), fixed(4), "name", "/"),
    ("null where there is none", "string", ["null", "string"], "union-branch", "<0>"),
    ("a narrower union", ["null", "string"], ["null", "string", "int"], "union-branch", "<2>"),
    ("no branch", ["null", "int"], "string", "union-branch", "/"),
    ("a recursive type", TEXT_LIST, LIST, "type", ".value"),
    ("inside items", record(field("a", {"type": "array", "items": "int"})),
     record(field("a", {"type": "array", "items": "long"})), "type", ".a[]"),
    ("inside values", record(field("a", {"type": "map", "values": "int"})),
     record(field("a", {"type": "map", "values": "long"})), "type", ".a{}"),
    ("another scale", decimal(9, 3), decimal(9, 2), "decimal", "/"),
    ("another precision", decimal(8, 2), decimal(9, 2), "decimal", "/"),
    ("enum as string", "string", enum("A"), "type", "/"),
    ("string as fixed", fixed(4), "string", "type", "/"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "writer"), [case[1:] for case in READS], ids=[case[0] for case in READS])
def test_a_reader_understands(reader: Any, writer: Any) -> None:
    assert check(reader, [writer], "BACKWARD") == []
    assert check(writer, [reader], "FORWARD") == []


@pytest.mark.parametrize(
    ("reader", "writer", "kind", "path"), [case[1:] for case in DOES_NOT_READ], ids=[case[0] for case in DOES_NOT_READ]
)
def test_a_reader_does_not_understand(reader: Any, writer: Any, kind: str, path: str) -> None:
    found = check(reader, [writer], Mode.BACKWARD)
    assert (found[0].kind, found[0].path) == (kind, path)
    assert found[0].reader
    assert found[0].writer
    assert check(writer, [reader], Mode.FORWARD)[0].kind == kind


A = record(field("a"))
A_B = record(field("a"), field("b"))
A_OPTIONAL_B = record(field("a"), field("b", default=""))
MODES: list[tuple[Mode, list[Any], Any, list[tuple[int, str]]]] = [
    (Mode.NONE, [A], "int", []),
    (Mode.BACKWARD, [A_B, A], A_B, [(2, "backward")]),
    (Mode.BACKWARD, [A, A_B], A_B, []),
    (Mode.BACKWARD_TRANSITIVE, [A, A_B], A_B, [(1, "backward")]),
    (Mode.FORWARD, [A, A_B], A, [(2, "forward")]),
    (Mode.FORWARD, [A_B, A], A, []),
    (Mode.FORWARD_TRANSITIVE, [A_B, A], A, [(1, "forward")]),
    (Mode.FULL, [A], A_B, [(1, "backward")]),
    (Mode.FULL, [A_B], A, [(1, "forward")]),
    (Mode.FULL, [A_B, A], A_OPTIONAL_B, []),
    (Mode.FULL_TRANSITIVE, [A_B, A], A_OPTIONAL_B, []),
    (Mode.FULL_TRANSITIVE, [A_B, A_OPTIONAL_B], A, [(1, "forward")]),
    (Mode.FULL_TRANSITIVE, [], A, []),
]


@pytest.mark.parametrize(("mode", "history", "new", "expected"), MODES)
def test_a_mode_compares_with_its_part_of_the_history(
    mode: Mode, history: list[Any], new: Any, expected: list[tuple[int, str]]
) -> None:
    assert [(one.version, one.direction) for one in check(new, history, mode)] == expected


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ExchangeError, match="E_SCHEMA"):
        check("int", [], "SIDEWARD")


REGISTRY = {**record(field("a"), field("b", ["null", "int"], default=None)), "naturalKey": ["a"], "personal": True}
OPTIONAL_C = field("c", ["null", "string"], default=None)


def test_a_registry_schema_may_append_a_nullable_field_and_change_its_words() -> None:
    assert appended({**REGISTRY, "fields": [*REGISTRY["fields"], OPTIONAL_C]}, REGISTRY) == []
    assert appended({**REGISTRY, "doc": "better words"}, REGISTRY) == []


@pytest.mark.parametrize(
    ("fields", "kind", "path"),
    [
        ([field("a")], "removed", ".b"),
        ([field("b", ["null", "int"], default=None), field("a")], "removed", ".a"),
        ([OPTIONAL_C, *REGISTRY["fields"]], "removed", ".a"),
        ([field("a"), field("b", ["null", "long"], default=None)], "changed", ".b"),
        ([field("a"), field("b", ["int", "null"], default=None)], "changed", ".b"),
        ([*REGISTRY["fields"], field("c", default="")], "not-nullable", ".c"),
        ([*REGISTRY["fields"], field("c", ["null", "string"])], "not-nullable", ".c"),
        ([*REGISTRY["fields"], field("c", ["string", "null"], default="")], "not-nullable", ".c"),
    ],
)
def test_a_registry_schema_may_do_nothing_else(fields: list[Any], kind: str, path: str) -> None:
    assert (kind, path) in [(one.kind, one.path) for one in appended({**REGISTRY, "fields": fields}, REGISTRY)]


@pytest.mark.parametrize("change", [{"naturalKey": ["b"]}, {"personal": False}, {"provider": {"rule": "sole"}}])
def test_a_registry_schema_keeps_key_provider_and_personal(change: dict[str, Any]) -> None:
    assert [one.kind for one in appended({**REGISTRY, **change}, REGISTRY)] == ["attribute"]


def test_a_verdict_does_not_rest_on_a_pair_that_fails_later() -> None:
    inner = {"type": "record", "name": "I", "fields": [field("back", ["null", "W"])]}
    writer = {"type": "record", "name": "W", "fields": [field("inner", inner), field("value", "string")]}
    reader = {"type": "record", "name": "W", "fields": [field("inner", inner), field("value", "int")]}
    found = check(["null", reader, "I"], [["null", writer, "I"]], "BACKWARD")
    assert {one.path for one in found} == {"<1>", "<2>"}
