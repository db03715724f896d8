"""Walking over Avro bytes without decoding them: generated code that moves `p` behind one value in `b`.

For trusted bytes only (what admission has checked): nothing is verified, so a wrong byte leads anywhere in `b`, or to
an IndexError. The slicer and the delivery line are built on this.
"""

from typing import Any

from exchange.avro.compiled.source import Module, stands_alone
from exchange.avro.schema import Array, Enum, Field, Fixed, Map, Node, Primitive, Record, Schema, Union, parse
from exchange.errors import ExchangeError

_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


def block_end(b: bytes, p: int) -> int:
    """Where the bytes or string end whose length begins at `p`, for lengths of any size."""
    shift = length = 0
    while True:
        byte = b[p]
        p += 1
        length |= (byte & 127) << shift
        if byte < 128:
            return p + (length >> 1)
        shift += 7


def block_count(b: bytes, p: int) -> tuple[int, int]:
    """(position behind it, number of items) of the array or map block that begins at `p`."""
    shift = count = 0
    while True:
        byte = b[p]
        p += 1
        count |= (byte & 127) << shift
        if byte < 128:
            return p, count >> 1
        shift += 7


WALKING: dict[str, Any] = {"block_end": block_end, "block_count": block_count}
"""Globals of generated walking code."""


class Names:
    """What generated walking code needs of a schema: its named types, and the globals its lines refer to.

    Lines of `emit_skip` run with the entries of `environment` among their globals; call `finish` after the last
    `emit_skip` and before the first run.
    """

    def __init__(self, schema: Any) -> None:
        self.schema: Schema = parse(schema)
        self.module = Module(dict(WALKING))

    @property
    def environment(self) -> dict[str, Any]:
        """The globals of generated lines."""
        return self.module.environment

    def fields(self) -> list[Field]:
        """The fields of the root record, in order. Raises ExchangeError(E_SCHEMA) when the root is no record."""
        root = self.schema.root
        if not isinstance(root, Record):
            raise ExchangeError("E_SCHEMA", "the schema is no record")
        return root.fields

    def node(self, schema_type: Any) -> Node:
        """The node of a type as it stands in the schema's JSON (or of a node: itself)."""
        if not isinstance(schema_type, str | dict | list):
            return schema_type  # type: ignore[no-any-return]
        return _resolve(schema_type, self.schema)

    def finish(self) -> dict[str, Any]:
        """Compile the functions that lines refer to; the complete environment."""
        return self.module.compile("walk")


def _resolve(raw: Any, schema: Schema) -> Node:  # noqa: PLR0911 - a case a form
    """The node of a JSON type that stands in `schema`'s root record."""
    if isinstance(raw, str):
        for name in (f"{schema.namespace}.{raw}", raw):
            if name in schema.names:
                return schema.names[name]
        return Primitive(raw)
    if isinstance(schema.root, Record):
        for item in schema.root.fields:
            if item.attributes.get("type") == raw:
                return item.type
    if isinstance(raw, list):
        return Union(tuple(_resolve(branch, schema) for branch in raw))
    if raw["type"] == "array":
        return Array(_resolve(raw["items"], schema))
    if raw["type"] == "map":
        return Map(_resolve(raw["values"], schema))
    return _resolve(raw.get("name") or raw["type"], schema)


def emit_skip(schema_type: Any, names: Names, indent: str) -> list[str]:
    """Lines that move local int `p` behind one value of `schema_type` in local bytes `b`.

    `schema_type` is a type as it stands in the schema's JSON, or a node of `names.schema`. The lines use the locals
    `n`, `m` and names that begin with `c_`; their globals are `names.environment`.
    """
    return skip(names.node(schema_type), names.module, indent, 0)


def skip(node: Node, module: Module, indent: str, level: int) -> list[str]:  # noqa: PLR0911 - a case a type
    """`emit_skip` within another generator: `level` is how deep in the source the lines stand."""
    if stands_alone(node, level):
        name = module.function(node, "skip", lambda name: _function(node, module, name))
        return [f"{indent}p = {name}(b, p)"]
    match node:
        case Primitive() if node.kind in _SIZES:
            return [f"{indent}p += {_SIZES[node.kind]}"] if _SIZES[node.kind] else []
        case Primitive() if node.kind in ("string", "bytes"):
            return skip_block(indent)
        case Primitive() | Enum():
            return [f"{indent}while b[p] > 127: p += 1", f"{indent}p += 1"]
        case Fixed():
            return [f"{indent}p += {node.size}"]
        case Record():
            return [line for item in node.fields for line in skip(item.type, module, indent, level + 1)]
        case Union():
            return _skip_union(node, module, indent, level)
        case Array():
            return skip_items(skip(node.items, module, indent + "  ", level + 1), module, indent)
        case Map():
            body = skip_block(indent + "  ") + skip(node.values, module, indent + "  ", level + 1)
            return skip_items(body, module, indent)


def skip_block(indent: str) -> list[str]:
    """Lines that move behind a string or bytes."""
    return [
        f"{indent}n = b[p]",
        f"{indent}if n < 128: p += 1 + (n >> 1)",
        f"{indent}else:",
        f"{indent} m = b[p + 1]",
        f"{indent} if m < 128: p += 2 + ((n & 127 | m << 7) >> 1)",
        f"{indent} else: p = block_end(b, p)",
    ]


def _skip_union(node: Union, module: Module, indent: str, level: int) -> list[str]:
    if len(node.branches) > 64:
        lines, index = [f"{indent}p, n = block_count(b, p)"], 1
    else:
        lines, index = [f"{indent}n = b[p]", f"{indent}p += 1"], 2
    word = "if"
    for number, branch in enumerate(node.branches):
        body = skip(branch, module, indent + " ", level + 1)
        if body:
            lines += [f"{indent}{word} n == {index * number}:", *body]
            word = "elif"
    return lines


def skip_items(body: list[str], module: Module, indent: str) -> list[str]:
    """Lines that move behind an array or map; `body` moves behind one item and is indented by two more."""
    count = module.fresh("c")
    return [
        f"{indent}p, {count} = block_count(b, p)",
        f"{indent}if {count}:",
        *([f"{indent} for _ in range({count}):", *body] if body else []),
        f"{indent} p += 1",
    ]


def _function(node: Node, module: Module, name: str) -> list[str]:
    body = (
        [line for item in node.fields for line in skip(item.type, module, " ", 1)]
        if isinstance(node, Record)
        else skip(node, module, " ", 0)
    )
    return [f"def {name}(b, p):", *body, " return p"]
