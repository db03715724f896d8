"""What is called compatible is read: over random schemas and changes, with the reference implementation as reader."""

import io
import json
from typing import Any

import fastavro
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from exchange.avro.compatibility import check

SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WIDER = {"int": ["long", "float", "double"], "long": ["float", "double"], "float": ["double"], "string": ["bytes"]}
LEAVES: list[Any] = ["null", "int", "long", "float", "double", "string", "bytes", "boolean"]


@st.composite
def schemas(draw: Any) -> Any:
    """A record of fields, lists, maps, nullable values, an enum, and itself."""
    inner = st.recursive(
        st.sampled_from(LEAVES),
        lambda types: st.one_of(
            types.map(lambda t: {"type": "array", "items": t}),
            types.map(lambda t: {"type": "map", "values": t}),
            types.filter(lambda t: t != "null" and not isinstance(t, list)).map(lambda t: ["null", t]),
        ),
        max_leaves=3,
    )
    types = draw(st.lists(inner, min_size=1, max_size=4))
    fields = [{"name": f"f{number}", "type": type_} for number, type_ in enumerate(types)]
    if draw(st.booleans()):
        fields.append({"name": "self", "type": ["null", "R"]})
    if draw(st.booleans()):
        symbols = draw(st.lists(st.sampled_from("ABCD"), min_size=1, unique=True))
        fields.append({"name": "code", "type": {"type": "enum", "name": "E", "symbols": symbols}})
    return {"type": "record", "name": "R", "fields": fields}


def changed(draw: Any, schema: Any) -> Any:  # noqa: C901 - a case a change
    """One or two changes of a schema, allowed or not."""
    result = json.loads(json.dumps(schema))
    for _ in range(draw(st.integers(1, 2))):
        fields = result["fields"]
        kind = draw(st.sampled_from(["drop", "add", "add-default", "type", "wider", "symbols", "swap", "rename"]))
        at = draw(st.integers(0, max(len(fields) - 1, 0)))
        name = f"g{len(fields)}"
        if kind == "add":
            fields.insert(at, {"name": name, "type": "string"})
        elif kind == "add-default":
            fields.insert(at, {"name": name, "type": ["null", "string"], "default": None})
        elif not fields:
            continue
        elif kind == "drop":
            del fields[at]
        elif kind == "type" and fields[at]["name"].startswith("f"):
            fields[at]["type"] = draw(st.sampled_from(LEAVES))
        elif kind == "wider":
            fields[at]["type"] = widened(draw, fields[at]["type"])
        elif kind == "symbols" and fields[-1]["name"] == "code":
            fields[-1]["type"]["symbols"] = draw(st.lists(st.sampled_from("ABCDE"), min_size=1, unique=True))
        elif kind == "swap":
            fields.append(fields.pop(at))
        elif kind == "rename" and fields[at]["name"].startswith("f"):
            fields[at] = {**fields[at], "name": f"h{at}", "aliases": [fields[at]["name"]]}
    assume(len({item["name"] for item in result["fields"]}) == len(result["fields"]))
    return result


def widened(draw: Any, type_: Any) -> Any:
    if isinstance(type_, str):
        return draw(st.sampled_from([*WIDER.get(type_, [type_]), *([["null", type_]] if type_ != "null" else [])]))
    if isinstance(type_, dict) and type_["type"] in ("array", "map"):
        key = "items" if type_["type"] == "array" else "values"
        return {**type_, key: widened(draw, type_[key])}
    return type_


def value_of(draw: Any, type_: Any, schema: Any, levels: int = 0) -> Any:
    if isinstance(type_, list):
        return None if levels > 4 or draw(st.booleans()) else value_of(draw, type_[1], schema, levels + 1)
    if type_ == "R":
        type_ = schema
    if isinstance(type_, dict):
        if type_["type"] == "array":
            return [value_of(draw, type_["items"], schema, levels + 1) for _ in range(draw(st.integers(0, 2)))]
        if type_["type"] == "map":
            return {"k": value_of(draw, type_["values"], schema, levels + 1)} if draw(st.booleans()) else {}
        if type_["type"] == "enum":
            return draw(st.sampled_from(type_["symbols"]))
        return {item["name"]: value_of(draw, item["type"], schema, levels + 1) for item in type_["fields"]}
    numbers = st.integers(-(2**31), 2**31 - 1)
    kinds: dict[str, Any] = {
        "null": st.none(), "int": numbers, "long": numbers, "float": st.floats(width=32), "double": st.floats(),
        "string": st.text(max_size=3), "bytes": st.just(b"x"), "boolean": st.booleans(),
    }  # fmt: skip
    return draw(kinds[type_])


@SETTINGS
@given(st.data())
def test_what_is_compatible_is_read(data: Any) -> None:
    writer = data.draw(schemas())
    reader = changed(data.draw, writer)
    assume(check(reader, [writer], "BACKWARD") == [])
    out = io.BytesIO()
    fastavro.schemaless_writer(out, writer, value_of(data.draw, writer, writer))
    read = fastavro.schemaless_reader(io.BytesIO(out.getvalue()), writer, reader)
    assert list(read) == [item["name"] for item in reader["fields"]] or set(read) == {
        item["name"] for item in reader["fields"]
    }


@SETTINGS
@given(st.data())
def test_every_schema_follows_itself_and_full_is_both_directions(data: Any) -> None:
    old = data.draw(schemas())
    new = changed(data.draw, old)
    assert check(old, [old, old], "FULL_TRANSITIVE") == []
    backward, forward = check(new, [old], "BACKWARD"), check(new, [old], "FORWARD")
    assert check(new, [old], "FULL") == backward + forward
    assert bool(forward) == bool(check(old, [new], "BACKWARD"))
    assert check(new, [old, new], "BACKWARD") == []
    assert bool(check(new, [old, new], "BACKWARD_TRANSITIVE")) == bool(backward)
