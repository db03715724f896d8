"""Can data written with one schema be read with another? Avro's resolution rules over the schemas themselves.

Trying to read sample data instead is wrong: a sample need not reach every branch, and readers are laxer or stricter
than the specification. Sources: Avro 1.12 specification, "Schema Resolution" and "Aliases"; the modes are those of the
Confluent Schema Registry. Beside them stands the stricter rule of registries: only append.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from exchange.avro.resolution import PROMOTIONS, named_alike, same_type, writer_field
from exchange.avro.schema import Array, Enum, Fixed, Map, Node, Primitive, Record, Union, parse
from exchange.errors import ExchangeError


class Mode(StrEnum):
    """Which readers and writers have to understand each other."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    """The new schema reads what the latest of the history wrote."""
    FORWARD = "FORWARD"
    """The latest of the history reads what the new schema writes."""
    FULL = "FULL"
    """Both."""
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    """With every schema of the history, not only the latest."""
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One reason why a reader does not understand a writer."""

    path: str
    """Where, from the reader's root: fields by `.name`, items by `[]`, values by `{}`, the writer's branch by `<n>`."""
    kind: str
    """`type`, `name`, `field-without-default`, `enum-symbols`, `fixed-size`, `union-branch`, `decimal`; of the append
    rule: `removed`, `changed`, `not-nullable`, `enum`, `attribute`."""
    reader: str
    """What stands at this place in the schema that reads (of the append rule: in the new one)."""
    writer: str
    """What stands there in the schema that writes (of the append rule: in the old one)."""
    version: int = 0
    """Which schema of the history: 1 is the oldest."""
    direction: str = "backward"
    """`backward`: the new schema reads; `forward`: the new schema writes."""


def check(new: Any, history: Sequence[Any], mode: Mode | str) -> list[Incompatibility]:
    """Why `new` may not follow `history` (oldest first) in `mode`; empty when it may.

    Schemas are dicts, JSON texts or paths. Raises ExchangeError(E_SCHEMA) for an invalid schema or an unknown mode.
    """
    try:
        mode = Mode(mode)
    except ValueError:
        raise ExchangeError("E_SCHEMA", f"a compatibility mode is one of {', '.join(Mode)}") from None
    root = parse(new).root
    if mode is Mode.NONE:
        return []
    numbered = list(enumerate(history, 1))
    if not mode.endswith("_TRANSITIVE"):
        numbered = numbered[-1:]
    found: list[Incompatibility] = []
    for version, old in numbered:
        other = parse(old).root
        if mode.startswith(("BACKWARD", "FULL")):
            found += [_placed(one, version, "backward") for one in _Reading().compare(root, other)]
        if mode.startswith(("FORWARD", "FULL")):
            found += [_placed(one, version, "forward") for one in _Reading().compare(other, root)]
    return found


def _placed(one: Incompatibility, version: int, direction: str) -> Incompatibility:
    return Incompatibility(one.path or "/", one.kind, one.reader, one.writer, version, direction)


class _Reading:
    """One pair of schemas. A pair of types that is being compared counts as what was found of it in the pass before, at
    first as compatible: that ends recursion."""

    def __init__(self) -> None:
        self._failed: dict[tuple[int, int], list[Incompatibility]] = {}
        self._known: dict[tuple[int, int], list[Incompatibility]] = {}

    def compare(self, reader: Node, writer: Node) -> list[Incompatibility]:
        """Why `reader` does not understand `writer`: repeated until no verdict rests on a pair that failed since."""
        while True:
            self._known = {}
            found = self.check(reader, writer, "")
            failed = {pair: reasons for pair, reasons in self._known.items() if reasons}
            if failed.keys() == self._failed.keys():
                return list(dict.fromkeys(found))
            self._failed = failed

    def check(self, reader: Node, writer: Node, path: str) -> list[Incompatibility]:
        """Why `reader` does not understand `writer` at `path`."""
        key = (id(reader), id(writer))
        if key not in self._known:
            self._known[key] = self._failed.get(key, [])
            self._known[key] = list(self._compare(reader, writer, path))
        return self._known[key]

    def _compare(  # noqa: C901 - a case a type
        self, reader: Node, writer: Node, path: str
    ) -> Iterator[Incompatibility]:
        match reader, writer:
            case _, Union():
                yield from self._each_branch(reader, writer, path)
            case Union(), _:
                if all(self.check(branch, writer, path) for branch in reader.branches):
                    yield Incompatibility(path, "union-branch", text(reader), text(writer))
            case Record(), Record():
                yield from self._records(reader, writer, path)
            case Enum(), Enum():
                yield from self._enums(reader, writer, path)
            case Fixed(), Fixed():
                yield from _same_name(reader, writer, path)
                if reader.size != writer.size:
                    yield Incompatibility(path, "fixed-size", str(reader.size), str(writer.size))
                yield from _decimals(reader, writer, path)
            case Array(), Array():
                yield from self.check(reader.items, writer.items, f"{path}[]")
            case Map(), Map():
                yield from self.check(reader.values, writer.values, f"{path}{{}}")
            case Primitive(), Primitive():
                if reader.kind != writer.kind and (writer.kind, reader.kind) not in PROMOTIONS:
                    yield Incompatibility(path, "type", text(reader), text(writer))
                yield from _decimals(reader, writer, path)
            case _:
                yield Incompatibility(path, "type", text(reader), text(writer))

    def _each_branch(self, reader: Node, writer: Union, path: str) -> Iterator[Incompatibility]:
        for number, branch in enumerate(writer.branches):
            found = self.check(reader, branch, f"{path}<{number}>")
            if found and not isinstance(reader, Union) and branch.kind != reader.kind:
                yield Incompatibility(f"{path}<{number}>", "union-branch", text(reader), text(branch))
            else:
                yield from found

    def _records(self, reader: Record, writer: Record, path: str) -> Iterator[Incompatibility]:
        yield from _same_name(reader, writer, path)
        for item in reader.fields:
            source = writer_field(item, writer)
            if source is not None:
                yield from self.check(item.type, writer.fields[source].type, f"{path}.{item.name}")
            elif not item.has_default:
                place = f"{path}.{item.name}"
                yield Incompatibility(place, "field-without-default", text(item.type), "no such field")

    def _enums(self, reader: Enum, writer: Enum, path: str) -> Iterator[Incompatibility]:
        yield from _same_name(reader, writer, path)
        missing = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
        if missing and reader.default not in reader.symbols:
            yield Incompatibility(path, "enum-symbols", ", ".join(reader.symbols), ", ".join(missing))


def _same_name(reader: Record | Enum | Fixed, writer: Record | Enum | Fixed, path: str) -> Iterator[Incompatibility]:
    if not named_alike(writer, reader):
        yield Incompatibility(path, "name", reader.name, writer.name)


def _decimals(reader: Primitive | Fixed, writer: Primitive | Fixed, path: str) -> Iterator[Incompatibility]:
    """Two decimals match when scale and precision do; a decimal and plain bytes do."""
    first, second = reader.logical, writer.logical
    if first and second and first != second and "decimal" in (first.name, second.name):
        yield Incompatibility(path, "decimal", text(reader), text(writer))


def text(node: Node) -> str:
    """A type in few words, for findings."""
    match node:
        case Record() | Enum() | Fixed():
            return f"{node.kind} {node.name}"
        case Array():
            return f"array of {text(node.items)}"
        case Map():
            return f"map of {text(node.values)}"
        case Union():
            return f"[{', '.join(text(branch) for branch in node.branches)}]"
        case Primitive():
            logical = node.logical
            if logical is None:
                return node.kind
            return f"{logical.name}({logical.precision}, {logical.scale})" if logical.precision else logical.name


_FIXED_ATTRIBUTES = ("recordType", "naturalKey", "provider", "personal")


def appended(new: dict[str, Any], old: dict[str, Any]) -> list[Incompatibility]:
    """Why `new` does more than append nullable fields with default null to `old`; empty when it does not.

    The rule of registries: bytes of older versions stay sliceable, and natural key, provider rule and personal stay.
    """
    one, other = parse(new).root, parse(old).root
    if not isinstance(one, Record) or not isinstance(other, Record):
        return [Incompatibility("/", "type", text(one), text(other))]
    found: list[Incompatibility] = []
    if one.name != other.name:
        found.append(Incompatibility("/", "name", one.name, other.name))
    for key in _FIXED_ATTRIBUTES:
        if new.get(key) != old.get(key):
            found.append(Incompatibility("/", "attribute", f"another {key}", key))
    for number, item in enumerate(other.fields):
        if number >= len(one.fields) or one.fields[number].name != item.name:
            found.append(Incompatibility(f".{item.name}", "removed", "another field in its place", text(item.type)))
        elif not same_type(one.fields[number].type, item.type):
            found.append(Incompatibility(f".{item.name}", "changed", text(one.fields[number].type), text(item.type)))
    for item in one.fields[len(other.fields) :]:
        first = item.type.branches[0] if isinstance(item.type, Union) else item.type
        if first.kind != "null" or not item.has_default or item.default is not None:
            found.append(Incompatibility(f".{item.name}", "not-nullable", text(item.type), "no such field"))
    return found
