"""Over random schemas and records: what generated code writes, reads, accepts and slices is what fastavro does."""

import datetime
import io
import uuid
from decimal import Context, Decimal
from typing import Any

import fastavro
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from exchange.avro import Codec, Slicer
from exchange.avro.compiled.checker import compile_check
from exchange.avro.compiled.source import Module
from exchange.avro.compiled.unions import has_ambiguous_union
from exchange.avro.compiled.walk import WALKING, skip
from exchange.avro.schema import Array, Enum, Fixed, Map, Node, Primitive, Record, Union, nodes, parse
from exchange.errors import ExchangeError

SETTINGS = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
LOGICAL: list[Any] = [
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "local-timestamp-millis"},
    {"type": "long", "logicalType": "local-timestamp-micros"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 0},
    {"type": "long", "logicalType": "unheard-of"},
]
UTC = datetime.UTC
CONTEXT = Context(prec=60)


class Schemas:
    """Draws one schema: named types get distinct names, and inner types may refer to any name known so far."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.names: list[str] = []
        self.open: list[str] = []

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.names) + len(self.open)}"

    def type(self, levels: int, in_union: bool = False) -> Any:
        kinds = ["primitive"] * 4 + ["logical"] * 2 + ["enum", "fixed", "fixed-decimal"]
        if levels:
            kinds += ["array", "map", "record", "record"] + ([] if in_union else ["union", "nullable", "nullable"])
        if self.names:
            kinds.append("known")
        if self.open and in_union:
            kinds += ["recursion"] * 2
        return getattr(self, "_" + self.draw(st.sampled_from(kinds)).replace("-", "_"))(levels)

    def _primitive(self, levels: int) -> Any:
        name = self.draw(st.sampled_from(PRIMITIVES))
        return {"type": name} if self.draw(st.booleans()) else name

    def _logical(self, levels: int) -> Any:
        return self.draw(st.sampled_from(LOGICAL))

    def _known(self, levels: int) -> Any:
        return self.draw(st.sampled_from(self.names))

    def _recursion(self, levels: int) -> Any:
        return self.draw(st.sampled_from(self.open))

    def _enum(self, levels: int) -> Any:
        name = self.name("E")
        self.names.append(name)
        size = self.draw(st.sampled_from([1, 2, 3, 64, 65, 70]))
        return {"type": "enum", "name": name, "symbols": [f"S{i}" for i in range(size)]}

    def _fixed(self, levels: int) -> Any:
        name = self.name("F")
        self.names.append(name)
        return {"type": "fixed", "name": name, "size": self.draw(st.integers(1, 9))}

    def _fixed_decimal(self, levels: int) -> Any:
        name = self.name("D")
        self.names.append(name)
        return {"type": "fixed", "name": name, "size": 5, "logicalType": "decimal", "precision": 11, "scale": 3}

    def _array(self, levels: int) -> Any:
        return {"type": "array", "items": self.type(levels - 1)}

    def _map(self, levels: int) -> Any:
        return {"type": "map", "values": self.type(levels - 1)}

    def _record(self, levels: int) -> Any:
        name = self.name("R")
        self.open.append(name)
        fields = []
        for number in range(self.draw(st.integers(0, 5))):
            fields.append({"name": f"f{number}", "type": self.type(levels - 1)})
        self.open.remove(name)
        self.names.append(name)
        return {"type": "record", "name": name, "fields": fields}

    def _nullable(self, levels: int) -> Any:
        other = self.type(levels - 1, in_union=True)
        if kind_of(other) == "null":
            return other
        return ["null", other] if self.draw(st.booleans()) else [other, "null"]

    def _union(self, levels: int) -> Any:
        branches: dict[str, Any] = {}
        for _ in range(self.draw(st.integers(1, 4))):
            known = list(self.names)
            branch = self.type(levels - 1, in_union=True)
            if kind_of(branch) in branches:
                self.names = known  # what the branch defined is gone with it
            branches.setdefault(kind_of(branch), branch)
        return list(branches.values())


def kind_of(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    return raw["name"] if raw["type"] in ("record", "enum", "fixed") else raw["type"]


@st.composite
def schemas(draw: Any, levels: int = 3) -> Any:
    maker = Schemas(draw)
    return maker._record(levels) if draw(st.integers(0, 4)) else maker.type(levels)


TEXT = st.text(max_size=12) | st.text(min_size=60, max_size=70) | st.text("区县代码", min_size=20, max_size=25)
AWARE = st.datetimes(timezones=st.just(UTC))
VALUES: dict[str, Any] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1) | st.integers(-70, 70),
    "long": st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70),
    "float": st.floats(width=32),
    "double": st.floats(),
    "bytes": st.binary(max_size=80),
    "string": TEXT,
    "date": st.dates(),
    "time-millis": st.times(),
    "time-micros": st.times(),
    "timestamp-millis": AWARE,
    "timestamp-micros": AWARE,
    "local-timestamp-millis": st.datetimes(),
    "local-timestamp-micros": st.datetimes(),
    "uuid": st.uuids(),
}


def value_of(draw: Any, node: Node, levels: int = 0) -> Any:  # noqa: PLR0911
    match node:
        case Primitive() | Fixed() if node.logical and node.logical.name == "decimal":
            limit = 10**node.logical.precision - 1
            number = draw(st.integers(-limit, limit) | st.sampled_from([0, -128, -(2**15), 127, 128, -limit]))
            return Decimal(number).scaleb(-node.logical.scale, CONTEXT)
        case Primitive():
            return draw(VALUES[node.logical.name if node.logical else node.kind])
        case Fixed():
            return draw(st.binary(min_size=node.size, max_size=node.size))
        case Enum():
            return draw(st.sampled_from(node.symbols))
        case Array():
            return [value_of(draw, node.items, levels + 1) for _ in range(draw(st.integers(0, 3)) if levels < 8 else 0)]
        case Map():
            keys = draw(st.lists(TEXT, max_size=3 if levels < 8 else 0, unique=True))
            return {key: value_of(draw, node.values, levels + 1) for key in keys}
        case Union():
            branches = node.branches
            if levels > 6:
                branches = tuple(b for b in branches if not isinstance(b, Record)) or branches
            assume(levels < 20)
            return value_of(draw, draw(st.sampled_from(branches)), levels + 1)
        case Record():
            return {item.name: value_of(draw, item.type, levels + 1) for item in node.fields}


@SETTINGS
@given(st.integers(1, 30), st.data())
def test_of_a_decimal_one_encoding_passes_and_it_is_that_of_java(precision: int, data: Any) -> None:
    codec = Codec({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 0})
    limit = 10**precision - 1
    edges = [edge for bits in range(7, 100, 8) for edge in (-(2**bits), 2**bits, -(2**bits) - 1) if abs(edge) <= limit]
    number = data.draw(st.sampled_from([0, -limit, *edges]) | st.integers(-limit, limit))
    size = next(size for size in range(1, 20) if -(2 ** (8 * size - 1)) <= number < 2 ** (8 * size - 1))
    java = bytes([2 * size]) + number.to_bytes(size, "big", signed=True)
    assert codec.encode(Decimal(number)) == java
    assert codec.decode(java) == number
    codec.check(java)
    for more in range(1, 4):
        long = bytes([2 * (size + more)]) + number.to_bytes(size + more, "big", signed=True)
        assert {code(codec.check, long), code(codec.decode, long)} == {"E_AVRO_NOT_CANONICAL"}


def written(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    try:
        fastavro.schemaless_writer(out, schema, value)
    except (ValueError, TypeError):  # its unions read any text beside a date as a date
        assume(False)
    return out.getvalue()


def encoded_value(draw: Any, codec: Codec) -> bytes:
    value = value_of(draw, codec.schema.root)
    try:
        return codec.encode(value)
    except ExchangeError:  # a decimal may come into a branch of another scale
        assume(not has_ambiguous_union(codec.schema))
        raise


def read(schema: Any, data: bytes) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(data), schema, None)


def code(function: Any, data: bytes) -> str | None:
    """The code of the error that a function raises, None when it accepts. Any other exception fails the test."""
    try:
        function(data)
    except ExchangeError as error:
        return error.code
    return None


@SETTINGS
@given(st.data())
def test_encode_and_decode_are_those_of_fastavro(data: Any) -> None:
    schema = data.draw(schemas())
    codec = Codec(schema)
    value = value_of(data.draw, codec.schema.root)
    expected = written(schema, value)
    if has_ambiguous_union(codec.schema):  # fastavro takes a branch whose range or form the value does not have
        assume(code(codec.check, expected) is None)
    assert codec.encode(value) == expected
    assert repr(codec.decode(expected)) == repr(read(schema, expected))
    codec.check(expected)


def mutated(draw: Any, data: bytes) -> bytes:
    kind = draw(st.sampled_from(["flip", "cut", "insert", "over-long", "delete", "append"]))
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    if kind == "flip" and data:
        return data[:at] + bytes((draw(st.integers(0, 255)),)) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "insert":
        return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]
    if kind == "over-long" and data:
        return data[:at] + bytes((data[at] | 128, 0)) + data[at + 1 :]
    if kind == "delete":
        return data[:at] + data[at + 1 :]
    return data + draw(st.binary(min_size=1, max_size=4))


@SETTINGS
@given(st.data())
def test_check_accepts_exactly_what_encodes_to_the_same_bytes(data: Any) -> None:
    schema = data.draw(schemas())
    codec = Codec(schema)
    encoded = encoded_value(data.draw, codec)
    hostile = mutated(data.draw, encoded) if data.draw(st.integers(0, 5)) else data.draw(st.binary(max_size=40))
    refused = code(codec.check, hostile)
    decoding = code(codec.decode, hostile)
    if refused is None:
        assert codec.encode(codec.decode(hostile)) == hostile
        assert repr(codec.decode(hostile)) == repr(read(schema, hostile))
    elif not has_ambiguous_union(codec.schema):
        assert decoding is not None
    if decoding is not None:
        assert refused is not None


@SETTINGS
@given(st.data())
def test_every_prefix_of_an_encoding_is_truncated(data: Any) -> None:
    codec = Codec(data.draw(schemas(levels=2)))
    encoded = encoded_value(data.draw, codec)
    assume(encoded)
    at = data.draw(st.integers(0, len(encoded) - 1))
    assert code(codec.check, encoded[:at]) == "E_AVRO_TRUNCATED"
    assert code(codec.decode, encoded[:at]) == "E_AVRO_TRUNCATED"


@SETTINGS
@given(st.data())
def test_walking_ends_where_the_value_ends(data: Any) -> None:
    schema = data.draw(schemas())
    codec = Codec(schema)
    encoded = encoded_value(data.draw, codec)
    assume(code(codec.check, encoded) is None or not has_ambiguous_union(codec.schema))
    module = Module(dict(WALKING))
    lines = skip(codec.schema.root, module, " ", 0)
    module.add(["def walk(b, p):", *lines, " return p"])
    environment = module.compile("walk")
    assert environment["walk"](b"\7" + encoded + b"\7\7", 1) == len(encoded) + 1


@SETTINGS
@given(st.data())
def test_probes_give_the_values_of_their_fields(data: Any) -> None:
    schema = data.draw(schemas())
    root = parse(schema).root
    assume(isinstance(root, Record) and root.fields)
    codec = Codec(schema)
    encoded = encoded_value(data.draw, codec)
    assume(code(codec.check, encoded) is None or not has_ambiguous_union(codec.schema))
    names = [item.name for item in root.fields]
    probes = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
    found = compile_check(schema, probes)(b"\0\0\0\0\1" + encoded, 5)
    undecoded = compile_check(schema, probes, raw=True)(encoded, 0)
    assert [one.encode() if isinstance(one, str) else one for one in found] == list(undecoded)
    raw = compile_check(schema, probes, raw=True)(b"\0\0\0\0\1" + encoded, 5)
    assert raw == tuple(value.encode() if isinstance(value, str) else value for value in found)
    decoded = codec.decode(encoded)
    for name, got in zip(probes, found, strict=True):
        node = root.fields[names.index(name)].type
        if isinstance(node, Union) and node.nullable and decoded[name] is not None:
            node = node.nullable[1] if not isinstance(got, bytes) else node
        if isinstance(node, Primitive) and node.kind == "null":
            assert got is None
        elif isinstance(node, Primitive) and node.kind in ("string", "int", "long") and not node.logical:
            assert got == decoded[name]
        elif isinstance(node, Primitive) and node.kind in ("int", "long"):
            assert isinstance(got, int)
        elif decoded[name] is None and not isinstance(got, bytes):
            assert got is None
        else:
            assert got in encoded


def reduced(draw: Any, raw: Any) -> Any:
    """`raw` with some fields of its records left out. Later uses of a name stay, so they mean the reduced type."""
    if isinstance(raw, list):
        return [reduced(draw, branch) for branch in raw]
    if not isinstance(raw, dict):
        return raw
    result = dict(raw)
    for key in ("items", "values"):
        if key in raw:
            result[key] = reduced(draw, raw[key])
    if "fields" in raw:
        fields = [{**item, "type": reduced(draw, item["type"])} for item in raw["fields"]]
        result["fields"] = [item for item in fields if draw(st.integers(0, 2))]
    return result


def projected(writer: Node, reader: Node, value: Any) -> Any:
    """What resolution gives: the value without the fields that the reader's records do not have."""
    match writer, reader:
        case Record(), Record():
            types = {item.name: item.type for item in writer.fields}
            return {i.name: projected(types[i.name], i.type, value[i.name]) for i in reader.fields}
        case Array(), Array():
            return [projected(writer.items, reader.items, item) for item in value]
        case Map(), Map():
            return {key: projected(writer.values, reader.values, item) for key, item in value.items()}
        case Union(), Union():
            codecs = zip(writer.branches, reader.branches, strict=True)
            for one, other in codecs:
                if value is None or isinstance(value, dict) == isinstance(one, Record | Map):
                    return projected(one, other, value) if isinstance(value, list | dict) else value
            return value
        case _:
            return value


@SETTINGS
@given(st.data())
def test_a_slice_is_what_reading_and_writing_gives(data: Any) -> None:
    writer = data.draw(schemas())
    codec = Codec(writer)
    assume(not has_ambiguous_union(codec.schema))
    reader = reduced(data.draw, writer)
    try:
        target = parse(reader)  # a dropped field may have held the definition of a name
    except ExchangeError:
        assume(False)
    encoded = encoded_value(data.draw, codec)
    expected = written(reader, projected(codec.schema.root, target.root, codec.decode(encoded)))
    assert Slicer(writer, reader).slice(encoded) == expected


def promotes(union: Union) -> bool:
    """Whether one branch could be read as another: fastavro takes the first, we (and Java) the same type."""
    kinds = {branch.kind for branch in union.branches}
    return len(kinds & {"int", "long", "float", "double"}) > 1 or {"string", "bytes"} <= kinds


@SETTINGS
@given(st.data())
def test_a_slice_of_top_level_fields_is_what_fastavro_resolves(data: Any) -> None:
    writer = data.draw(schemas())
    codec = Codec(writer)
    assume(isinstance(codec.schema.root, Record) and not has_ambiguous_union(codec.schema))
    assume(not any(isinstance(node, Union) and promotes(node) for node in nodes(codec.schema.root)))
    fields = [item for item in writer["fields"] if data.draw(st.booleans())]
    reader = {**writer, "fields": fields}
    encoded = encoded_value(data.draw, codec)
    try:
        target = parse(reader)
        resolved = fastavro.schemaless_reader(io.BytesIO(encoded), writer, reader)
    except (ExchangeError, fastavro.read.SchemaResolutionError, KeyError):  # it does not resolve some named types
        assume(False)
    assert Slicer(writer, target).slice(encoded) == written(reader, resolved)


def test_uuid_text_is_written_in_canonical_form() -> None:
    codec = Codec({"type": "string", "logicalType": "uuid"})
    one = uuid.uuid4()
    assert codec.encode(str(one).upper()) == codec.encode(one)
