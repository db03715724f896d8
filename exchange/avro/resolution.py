"""How a reader understands what a writer wrote, by Avro's schema resolution: names, promotions, and which bytes stay.

Two notions of sameness live here and nowhere else. `same_type`: two types are one and the same in all that shows in
values; registries may only keep such types when they grow. `keeps_bytes`: the reader may have another type, but what
was written means to it what the same bytes say; of such fields a cut may copy the bytes.
"""

from exchange.avro.schema import Array, Enum, Field, Fixed, Map, Node, Primitive, Record, Union

_SAME_BYTES = frozenset((("int", "long"), ("string", "bytes")))
"""Promotions (written as, read as) that change no byte."""
PROMOTIONS = _SAME_BYTES | {
    ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"), ("float", "double"),
    ("bytes", "string"),
}  # fmt: skip
"""(written as, may be read as)."""
Pairs = frozenset[tuple[int, int]]
"""Ids of the types that are being compared: what leads back to them is the same if the rest is."""


def named_alike(writer: Record | Enum | Fixed, reader: Record | Enum | Fixed) -> bool:
    """Whether two named types match: by their unqualified name, or by an alias of the reader."""
    return writer.name.rpartition(".")[2] == reader.name.rpartition(".")[2] or writer.name in reader.aliases


def writer_field(item: Field, writer: Record) -> int | None:
    """The number of the writer's field that a reader's field takes its value from; None: it has to have a default."""
    numbers = {one.name: number for number, one in enumerate(writer.fields)}
    return next((numbers[name] for name in (item.name, *item.aliases) if name in numbers), None)


def keeps_bytes(  # noqa: PLR0911 - a case a type
    writer: Node, reader: Node, pairs: Pairs = frozenset()
) -> bool:
    """Whether every value of `writer` has the same bytes when it is resolved to `reader` and written again."""
    key = (id(writer), id(reader))
    if key in pairs:
        return True
    pairs |= {key}
    match writer, reader:
        case Primitive(), Primitive():
            alike = writer.kind == reader.kind or (writer.kind, reader.kind) in _SAME_BYTES
            return alike and reader.logical in (None, writer.logical)
        case Fixed(), Fixed():
            alike = named_alike(writer, reader) and writer.size == reader.size
            return alike and reader.logical in (None, writer.logical)
        case Enum(), Enum():
            return named_alike(writer, reader) and reader.symbols[: len(writer.symbols)] == writer.symbols
        case Array(), Array():
            return keeps_bytes(writer.items, reader.items, pairs)
        case Map(), Map():
            return keeps_bytes(writer.values, reader.values, pairs)
        case Union(), Union():
            return branches_align(writer, reader) and all(
                keeps_bytes(one, other, pairs) for one, other in zip(writer.branches, reader.branches, strict=False)
            )
        case Record(), Record():
            return (
                named_alike(writer, reader)
                and [writer_field(item, writer) for item in reader.fields] == list(range(len(writer.fields)))
                and all(
                    keeps_bytes(one.type, other.type, pairs)
                    for one, other in zip(writer.fields, reader.fields, strict=True)
                )
            )
        case _:
            return False


def branches_align(writer: Union, reader: Union) -> bool:
    """Whether every branch of the writer resolves to the reader's branch of the same number.

    The same type comes before a type of the same short name or a promotion, as in Java; the specification's "first that
    matches" would turn an int into a long although the reader has int.
    """
    return all(_target(one, reader) == number for number, one in enumerate(writer.branches))


def _target(writer: Node, reader: Union) -> int | None:
    for matches in (_is_same_type, _is_alike):
        for number, other in enumerate(reader.branches):
            if matches(writer, other):
                return number
    return None


def _is_same_type(writer: Node, reader: Node) -> bool:
    if isinstance(writer, Record | Enum | Fixed) and isinstance(reader, Record | Enum | Fixed):
        return writer.kind == reader.kind and writer.name == reader.name
    return writer.kind == reader.kind


def _is_alike(writer: Node, reader: Node) -> bool:
    if isinstance(writer, Record | Enum | Fixed) and isinstance(reader, Record | Enum | Fixed):
        return writer.kind == reader.kind and named_alike(writer, reader)
    return (writer.kind, reader.kind) in PROMOTIONS


def same_type(  # noqa: PLR0911 - a case a type
    one: Node, other: Node, pairs: Pairs = frozenset()
) -> bool:
    """Whether two types are the same in every respect that shows in values: structure, names, logical types."""
    if (id(one), id(other)) in pairs:
        return True
    pairs = pairs | {(id(one), id(other))}
    match one, other:
        case Primitive(), Primitive():
            return one.kind == other.kind and one.logical == other.logical
        case Fixed(), Fixed():
            return (one.name, one.size, one.logical) == (other.name, other.size, other.logical)
        case Enum(), Enum():
            return (one.name, one.symbols) == (other.name, other.symbols)
        case Array(), Array():
            return same_type(one.items, other.items, pairs)
        case Map(), Map():
            return same_type(one.values, other.values, pairs)
        case Union(), Union():
            return len(one.branches) == len(other.branches) and all(
                same_type(a, b, pairs) for a, b in zip(one.branches, other.branches, strict=True)
            )
        case Record(), Record():
            return (
                one.name == other.name
                and [item.name for item in one.fields] == [item.name for item in other.fields]
                and all(same_type(a.type, b.type, pairs) for a, b in zip(one.fields, other.fields, strict=True))
            )
        case _:
            return False
