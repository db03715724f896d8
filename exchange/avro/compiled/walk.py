"""Walking over Avro bytes without decoding them: generated code that moves `p` behind one value in `b`.

For trusted bytes only (what admission has checked): nothing is verified, so a wrong byte leads anywhere in `b`, or to
an IndexError. `slices` is built on this, and with it the slicer and the delivery line.
"""

from typing import Any

from exchange.avro.compiled.source import Module, stands_alone
from exchange.avro.schema import Array, Enum, Fixed, Map, Node, Primitive, Record, Union

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


def skip(node: Node, module: Module, indent: str, level: int) -> list[str]:  # noqa: PLR0911 - a case a type
    """Lines that move local int `p` behind one value of `node` in local bytes `b`, `level` deep in the source.

    They use the locals `n`, `m` and names that begin with `c_`; their globals are what `module.compile` gives, a module
    that was made with `WALKING`.
    """
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
