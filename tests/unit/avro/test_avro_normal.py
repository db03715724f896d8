import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.avro.lock import SchemaRepository
from exchange.avro.normal import normal
from exchange.avro.schema import parse
from exchange.settings import Settings

ENUM = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("string", {"type": "string"}),
        ({"type": {"type": "string"}}, "string"),
        ({"type": "array", "items": {"type": "int"}}, {"items": "int", "type": "array"}),
        ({"type": "map", "values": ["null", {"type": "long"}]}, {"type": "map", "values": ["null", "long"]}),
        (
            {
                "type": "record",
                "name": "a.b.R",
                "fields": [{"name": "x", "type": ENUM}, {"name": "y", "type": "Colour"}],
            },
            {
                "type": "record",
                "name": "R",
                "namespace": "a.b",
                "aliases": [],
                "doc": "",
                "fields": [
                    {"name": "x", "type": ENUM | {"namespace": "a.b"}, "order": "ascending"},
                    {"name": "y", "type": "a.b.Colour", "doc": ""},
                ],
            },
        ),
        (
            {"type": "record", "name": "R", "namespace": "a", "aliases": ["Q"], "fields": []},
            {"type": "record", "name": "a.R", "aliases": ["a.Q"], "fields": []},
        ),
        (
            {
                "type": "record",
                "name": "a.R",
                "fields": [{"name": "f", "type": {"type": "fixed", "name": "F", "size": 2}}],
            },
            {
                "type": "record",
                "name": "a.R",
                "fields": [{"name": "f", "type": {"type": "fixed", "name": "F", "namespace": "a", "size": 2}}],
            },
        ),
    ],
)
def test_the_same_schema_written_otherwise_is_the_same(written: object, otherwise: object) -> None:
    assert normal(written) == normal(otherwise)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("string", {"type": "string", "logicalType": "uuid"}),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
         {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}),
        (ENUM, ENUM | {"symbols": ["BLUE", "RED"]}),
        (ENUM, ENUM | {"namespace": "a"}),
        (ENUM, ENUM | {"default": "RED"}),
        (ENUM, ENUM | {"doc": "of a car"}),
        ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]},
         {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int", "default": 0}]}),
        ({"type": "record", "name": "R", "fields": [{"name": "x", "type": ["null", "int"]}]},
         {"type": "record", "name": "R", "fields": [{"name": "x", "type": ["null", "int"], "default": None}]}),
        ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int", "order": "ignore"}]},
         {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}),
        (["null", "int"], ["int", "null"]),
    ],
)  # fmt: skip
def test_what_means_something_else_is_another_schema(one: object, another: object) -> None:
    assert normal(one) != normal(another)


def test_every_shipped_schema_is_itself_in_normal_form_and_valid() -> None:
    schemas = SchemaRepository.load(Settings().schemas)
    for subject in schemas.subjects():
        for locked in schemas.versions(subject):
            once = normal(locked.schema)
            assert normal(once) == once
            parse(once)


@given(st.recursive(
    st.sampled_from(["int", "string", "null"]).map(lambda kind: {"type": kind}),
    lambda inner: inner.map(lambda one: {"type": "array", "items": one})
    | inner.map(lambda one: {"type": "map", "values": one}) | inner.map(lambda one: {"type": one}),
    max_leaves=6,
))  # fmt: skip
def test_the_normal_form_is_a_fixed_point(schema: object) -> None:
    assert normal(normal(schema)) == normal(json.loads(json.dumps(schema)))
