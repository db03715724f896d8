"""Lines of generated checks that several kinds of values share. `u` is the start of the open run, `p` the position."""

from exchange.avro.schema import Node, Primitive, Record


def open_run(indent: str, run: bool) -> list[str]:
    """What opens a run, unless one is open."""
    return [] if run else [f"{indent}u = p"]


def close_run(indent: str, run: bool) -> list[str]:
    """What proves the open run to be UTF-8, if one is open."""
    return [f"{indent}b[u:p].decode()"] if run else []


def string(indent: str, union: bool, with_nul: bool) -> list[str]:
    """A string at the position, within an open run. union: a byte of an index stands before its length.

    with_nul: whether it may hold U+0000.
    """
    table, at, before = ("SHORT_IN_UNION", "p + 1", 2) if union else ("SHORT", "p", 1)
    short, long = f"{indent}if n: p += n", f"{indent}else: b[u:p].decode(); u, p = block(b, {at})"
    if not with_nul:
        short, long = f"{short}; 0 in b[p - n + {before}:p] and nul()", f"{long}; 0 in b[u:p] and nul()"
    return [f"{indent}n = {table}[b[{at}]]", short, long]


def begins_with_text(node: Node) -> bool:
    """Whether a run should be opened before `node`: it is, or directly holds, a string."""
    match node:
        case Primitive():
            return node.kind == "string" and not node.logical
        case Record():
            return not node.recursive and any(begins_with_text(item.type) for item in node.fields[:1])
        case _:
            return False


def wide(indent: str, end: str, size: int) -> list[str]:
    """A long that usually takes `size` bytes: all but the last with the high bit, the last one without and not 0."""
    high, rest = (1 << 8 * size - 1) | 0, sum(0x80 << 8 * i for i in range(size - 1))
    return [
        f'{indent}n = from_bytes(b[p:p + {size}], "little")',
        f"{indent}if n & {high | rest:#x} == {rest:#x} and n >> {8 * size - 8}: p += {size}",
        f"{indent}else: p = {end}(b, p)",
    ]


def day(indent: str, name: str, read: str) -> list[str]:
    """A date, read: from June 1992 to the year 4840 three bytes, decoded here; everything else by a call."""
    return [
        f'{indent}n = from_bytes(b[p:p + 3], "little")',
        f"{indent}if n & 0x808081 == 0x8080 and n >> 16:",
        f"{indent} p += 3; {name} = n >> 1 & 63 | n >> 2 & 0x1FC0 | n >> 3 & 0xFE000",
        f"{indent}else: p, {name} = {read}(b, p)",
    ]
