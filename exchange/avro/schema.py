"""Avro schemas as a small graph: every named type resolved, logical types recognised, references by identity.

fastavro's parser has the last word on what is a valid schema; what this module adds is a form that code generators
can walk. Logical types are those that fastavro converts; others (`duration`, …) are their plain type.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from exchange.errors import ExchangeError

PRIMITIVES = frozenset(("null", "boolean", "int", "long", "float", "double", "bytes", "string"))
_LOGICAL = frozenset(
    (
        ("int", "date"),
        ("int", "time-millis"),
        ("long", "time-micros"),
        ("long", "timestamp-millis"),
        ("long", "timestamp-micros"),
        ("long", "local-timestamp-millis"),
        ("long", "local-timestamp-micros"),
        ("bytes", "decimal"),
        ("fixed", "decimal"),
        ("string", "uuid"),
    )
)


@dataclass(frozen=True, slots=True)
class Logical:
    """A recognised logical type; `precision` and `scale` are of a decimal, else 0."""

    name: str
    precision: int = 0
    scale: int = 0


@dataclass(slots=True, eq=False)
class Primitive:
    """A primitive type."""

    kind: str
    logical: Logical | None = None


@dataclass(slots=True, eq=False)
class Fixed:
    """`size` bytes. `name` is the full name, `aliases` are full names."""

    name: str
    size: int
    logical: Logical | None = None
    aliases: tuple[str, ...] = ()
    kind: str = "fixed"


@dataclass(slots=True, eq=False)
class Enum:
    """One of `symbols`."""

    name: str
    symbols: tuple[str, ...]
    default: str | None = None
    aliases: tuple[str, ...] = ()
    kind: str = "enum"


@dataclass(slots=True, eq=False)
class Array:
    """A list of items of one type."""

    items: "Node"
    kind: str = "array"


@dataclass(slots=True, eq=False)
class Map:
    """Text keys with values of one type."""

    values: "Node"
    kind: str = "map"


@dataclass(slots=True, eq=False)
class Union:
    """One of several types."""

    branches: tuple["Node", ...]
    kind: str = "union"

    @property
    def nullable(self) -> "tuple[int, Node] | None":
        """(index of the other branch, other branch) when this is null and one other type."""
        if len(self.branches) == 2:
            for index in (0, 1):
                if self.branches[1 - index].kind == "null" != self.branches[index].kind:
                    return index, self.branches[index]
        return None


@dataclass(slots=True, eq=False)
class Field:
    """A field of a record. `attributes` is the field as it stands in the schema."""

    name: str
    type: "Node"
    has_default: bool
    default: Any
    aliases: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Record:
    """A record; its fields may lead back to itself. `recursive` tells whether they do."""

    name: str
    fields: list[Field] = field(default_factory=list)
    aliases: tuple[str, ...] = ()
    recursive: bool = False
    kind: str = "record"


Node: TypeAlias = Primitive | Fixed | Enum | Array | Map | Union | Record


@dataclass(frozen=True, slots=True)
class Schema:
    """A parsed schema: its root, its named types by full name, and the JSON form it came from."""

    root: Node
    names: Mapping[str, Node]
    namespace: str
    source: Any = field(repr=False)


def load(schema: Any) -> Any:
    """The JSON form of `schema`: a dict or list as it is, else a JSON text or a path.

    Raises ExchangeError(E_SCHEMA) when it cannot be read or is no JSON.
    """
    if isinstance(schema, dict | list):
        return schema
    try:
        if isinstance(schema, Path):
            return json.loads(schema.read_text(encoding="utf-8"))
        text = str(schema).strip()
        if text in PRIMITIVES:
            return text
        if text.startswith(("{", "[", '"')):
            return json.loads(text)
        return json.loads(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise ExchangeError("E_SCHEMA", f"a schema cannot be read: {error.strerror}") from None
    except ValueError:
        raise ExchangeError("E_SCHEMA", "a schema is no JSON") from None


def parse(schema: Any) -> Schema:
    """`schema` (dict, list, JSON text or path) as a graph. Raises ExchangeError(E_SCHEMA) for an invalid schema."""
    if isinstance(schema, Schema):
        return schema
    source = load(schema)
    try:
        fastavro.parse_schema(source, {}, _force=True, _write_hint=False)
        reader = _Reader()
        root = reader.read(source, "")
    except UnknownType as error:
        raise ExchangeError("E_SCHEMA", f"unknown type: {error.name}") from None
    except SchemaParseException as error:
        raise ExchangeError("E_SCHEMA", str(error)) from None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ExchangeError("E_SCHEMA", f"not an Avro schema ({type(error).__name__}: {error})") from None
    _mark_recursive(reader.names)
    name = root.name if isinstance(root, Record | Enum | Fixed) else ""
    return Schema(root, reader.names, name.rpartition(".")[0], source)


def parse_record(schema: Any) -> Record:
    """The root of a schema that is a record. Raises ExchangeError(E_SCHEMA) for any other and for an invalid one."""
    root = parse(schema).root
    if not isinstance(root, Record):
        raise ExchangeError("E_SCHEMA", "the schema is no record")
    return root


class _Reader:
    """Turns JSON into nodes, resolving names by Avro's namespace rules."""

    def __init__(self) -> None:
        self.names: dict[str, Node] = {}

    def read(self, raw: Any, namespace: str) -> Node:  # noqa: PLR0911 - a case a type
        if isinstance(raw, list):
            return self._union(raw, namespace)
        if isinstance(raw, str):
            return self._reference(raw, namespace)
        kind = raw["type"]
        match kind:
            case "array":
                return Array(self.read(raw["items"], namespace))
            case "map":
                return Map(self.read(raw["values"], namespace))
            case "record" | "error":
                return self._record(raw, namespace)
            case "enum":
                name, aliases = _names(raw, namespace)
                symbols = tuple(raw["symbols"])
                return self._define(Enum(name, symbols, raw.get("default"), aliases))
            case "fixed":
                name, aliases = _names(raw, namespace)
                return self._define(Fixed(name, int(raw["size"]), _logical("fixed", raw), aliases))
            case _:
                return Primitive(kind, _logical(kind, raw)) if kind in PRIMITIVES else self.read(kind, namespace)

    def _define(self, node: Fixed | Enum | Record) -> Fixed | Enum | Record:
        self.names[node.name] = node
        return node

    def _reference(self, name: str, namespace: str) -> Node:
        if name in PRIMITIVES:
            return Primitive(name)
        full = f"{namespace}.{name}" if namespace and "." not in name else name
        found = self.names.get(full) or self.names.get(name)
        if found is None:
            raise UnknownType(full)  # type: ignore[no-untyped-call]
        return found

    def _union(self, raw: list[Any], namespace: str) -> Node:
        branches = tuple(self.read(branch, namespace) for branch in raw)
        if any(isinstance(branch, Union) for branch in branches):
            raise SchemaParseException("a union directly contains a union")
        labels = [branch.name if isinstance(branch, Record | Enum | Fixed) else branch.kind for branch in branches]
        if len(set(labels)) != len(labels):
            raise SchemaParseException("a union names a type twice")
        if not labels:
            raise SchemaParseException("a union is empty")
        return Union(branches)

    def _record(self, raw: Mapping[str, Any], namespace: str) -> Record:
        name, aliases = _names(raw, namespace)
        record = Record(name, aliases=aliases)
        self._define(record)
        inner = name.rpartition(".")[0]
        for item in raw.get("fields", ()):
            record.fields.append(
                Field(
                    name=item["name"],
                    type=self.read(item["type"], inner),
                    has_default="default" in item,
                    default=item.get("default"),
                    aliases=tuple(item.get("aliases", ())),
                    attributes=item,
                )
            )
        if len({item.name for item in record.fields}) != len(record.fields):
            raise SchemaParseException(f"{name} names a field twice")
        return record


def _names(raw: Mapping[str, Any], namespace: str) -> tuple[str, tuple[str, ...]]:
    name = str(raw["name"])
    inside = raw.get("namespace", namespace)
    full = name if "." in name or not inside else f"{inside}.{name}"
    space = full.rpartition(".")[0]
    return full, tuple(a if "." in a or not space else f"{space}.{a}" for a in raw.get("aliases", ()))


def _logical(kind: str, raw: Mapping[str, Any]) -> Logical | None:
    name = raw.get("logicalType")
    if (kind, name) not in _LOGICAL:
        return None
    if name != "decimal":
        return Logical(str(name))
    precision, scale = raw.get("precision"), raw.get("scale", 0)
    if not isinstance(precision, int) or precision <= 0 or not isinstance(scale, int) or not 0 <= scale <= precision:
        raise SchemaParseException("a decimal needs a precision, and a scale within it")
    return Logical("decimal", precision, scale)


def children(node: Node) -> Iterator[Node]:
    """The types directly inside `node`."""
    match node:
        case Record():
            yield from (item.type for item in node.fields)
        case Union():
            yield from node.branches
        case Array():
            yield node.items
        case Map():
            yield node.values
        case _:
            pass


def nodes(root: Node) -> Iterator[Node]:
    """Every type reachable from `root`, each once, `root` first."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            todo.extend(children(node))


def _mark_recursive(names: Mapping[str, Node]) -> None:
    for node in names.values():
        if isinstance(node, Record):
            node.recursive = any(inner is node for item in node.fields for inner in nodes(item.type))


def least_size(node: Node, inside: tuple[Node, ...] = ()) -> int:
    """The fewest bytes that a value of `node` takes (0: nothing but nulls)."""
    match node:
        case Primitive():
            return {"null": 0, "float": 4, "double": 8}.get(node.kind, 1)
        case Fixed():
            return node.size
        case Record():
            if node in inside:
                return 0
            return sum(least_size(item.type, (*inside, node)) for item in node.fields)
        case Union():
            return 1 + min(least_size(branch, inside) for branch in node.branches)
        case _:
            return 1


def decimal_bytes(precision: int) -> int:
    """The most bytes that an unscaled decimal of `precision` digits takes."""
    limit: int = 10**precision - 1
    return (limit.bit_length() + 8) // 8
