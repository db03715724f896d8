"""Generated slicers: from bytes of a writer's schema to bytes of a reader's, by joining slices, without decoding.

That is possible where resolution keeps every remaining byte as it is: a reader that keeps a subset of the writer's
fields in the writer's order, also in nested records, and changes no type in a way that shows in the bytes. All
else (other order, defaults for new fields, unions with other branches, most promotions) is refused.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from exchange.avro.compatibility import text
from exchange.avro.compiled.slices import Slices
from exchange.avro.compiled.source import Module, stands_alone
from exchange.avro.compiled.walk import WALKING, skip, skip_block, skip_items
from exchange.avro.resolution import branches_align, keeps_bytes, named_alike, writer_field
from exchange.avro.schema import Array, Field, Map, Node, Record, Schema, Union, parse
from exchange.errors import ExchangeError


class Slicer:
    """Turns bytes written with `writer` into bytes of `reader`, as Avro's schema resolution would.

    `slice(data)` trusts its input: it is for bytes that a check has accepted (bytes that end too early raise
    ExchangeError E_AVRO_TRUNCATED or give a shorter slice). The constructor raises ExchangeError
    E_SCHEMA_INCOMPATIBLE, with the place, for a reader that slicing cannot serve, and E_SCHEMA for an invalid schema.
    """

    def __init__(
        self, writer: dict[str, Any] | str | Path | Schema, reader: dict[str, Any] | str | Path | Schema
    ) -> None:
        self.slice: Callable[[bytes], bytes] = _SliceWriter().write(parse(writer).root, parse(reader).root)


class _SliceWriter:
    """Writes one slicer. In the generated code `s` is where kept bytes begin that are not yet appended by `w`."""

    def __init__(self) -> None:
        self.module = Module(dict(WALKING))

    def write(self, writer: Node, reader: Node) -> Callable[[bytes], bytes]:
        if keeps_bytes(writer, reader):
            return bytes
        kept = _kept(writer, reader, "") if isinstance(writer, Record) and isinstance(reader, Record) else {}
        if (
            isinstance(writer, Record)
            and not writer.recursive
            and kept
            and all(keeps_bytes(writer.fields[number].type, item.type) for number, item in kept.items())
        ):
            body = self._flat(writer, sorted(kept))
        else:
            body = self._nested(writer, reader)
        self.module.environment["refused"] = _refused
        self.module.add(
            [
                "def slice(b):",
                " try:",
                *body,
                " except (IndexError, RecursionError) as error:",
                "  raise refused(error) from None",
            ]
        )
        function: Callable[[bytes], bytes] = self.module.compile("slice")["slice"]
        return function

    def _flat(self, writer: Record, kept: list[int]) -> list[str]:
        """Only top-level fields are dropped: walk as far as needed, join the runs between the dropped fields."""
        slices = Slices(writer, self.module)
        value = slices.joined(kept)
        return [*slices.walk("  "), f"  return {value}"]

    def _nested(self, writer: Node, reader: Node) -> list[str]:
        return [
            "  p = s = 0",
            "  k = []",
            "  w = k.append",
            *self._emit(writer, reader, ("  ", 0), ""),
            "  w(b[s:p])",
            "  return b''.join(k)",
        ]

    def _emit(self, writer: Node, reader: Node, place: tuple[str, int], path: str) -> list[str]:
        """Lines for one value; `place` is (indent, nesting in the source)."""
        indent, level = place
        if keeps_bytes(writer, reader):
            return skip(writer, self.module, indent, level)
        if stands_alone(writer, level):
            purpose = f"slice_{id(reader)}"
            name = self.module.function(writer, purpose, lambda name: self._function(writer, reader, name, path))
            return [f"{indent}p, s = {name}(b, p, s, w)"]
        match writer, reader:
            case Record(), Record():
                return self._record(writer, reader, place, path)
            case Array(), Array():
                body = self._emit(writer.items, reader.items, (indent + "  ", level + 1), f"{path}[]")
                return skip_items(body, self.module, indent)
            case Map(), Map():
                body = self._emit(writer.values, reader.values, (indent + "  ", level + 1), f"{path}{{}}")
                return skip_items(skip_block(indent + "  ") + body, self.module, indent)
            case Union(), Union() if branches_align(writer, reader):
                return self._union(writer, reader, place, path)
            case _:
                raise _impossible(path, writer, reader)

    def _record(self, writer: Record, reader: Record, place: tuple[str, int], path: str) -> list[str]:
        indent, level = place
        kept = _kept(writer, reader, path)
        lines: list[str] = []
        dropping = False
        for number, item in enumerate(writer.fields):
            if number in kept:
                lines += [f"{indent}s = p"] if dropping else []
                lines += self._emit(item.type, kept[number].type, (indent, level + 1), f"{path}.{item.name}")
            else:
                lines += [] if dropping else [f"{indent}w(b[s:p])"]
                lines += skip(item.type, self.module, indent, level + 1)
            dropping = number not in kept
        return lines + ([f"{indent}s = p"] if dropping else [])

    def _union(self, writer: Union, reader: Union, place: tuple[str, int], path: str) -> list[str]:
        indent, level = place
        i = self.module.fresh("i")
        lines = [f"{indent}p, {i} = block_count(b, p)"]
        for number, (one, other) in enumerate(zip(writer.branches, reader.branches, strict=False)):
            body = self._emit(one, other, (indent + " ", level + 1), f"{path}<{number}>")
            lines += [f"{indent}{'elif' if number else 'if'} {i} == {number}:", *(body or [f"{indent} pass"])]
        return lines

    def _function(self, writer: Node, reader: Node, name: str, path: str) -> list[str]:
        if isinstance(writer, Record) and isinstance(reader, Record):
            body = self._record(writer, reader, (" ", 0), path)
        else:
            body = self._emit(writer, reader, (" ", 0), path)
        return [f"def {name}(b, p, s, w):", *body, " return p, s"]


def _kept(writer: Record, reader: Record, path: str) -> dict[int, Field]:
    """The reader's field for the number of each writer's field that is kept."""
    if not named_alike(writer, reader):
        raise _impossible(path, writer, reader)
    kept: dict[int, Field] = {}
    for item in reader.fields:
        number = writer_field(item, writer)
        if number is None:
            raise ExchangeError("E_SCHEMA_INCOMPATIBLE", f"{path}.{item.name}: the writer has no such field")
        if kept and number <= max(kept):
            raise ExchangeError("E_SCHEMA_INCOMPATIBLE", f"{path}.{item.name}: not in the writer's order")
        kept[number] = item
    return kept


def _impossible(path: str, writer: Node, reader: Node) -> ExchangeError:
    return ExchangeError("E_SCHEMA_INCOMPATIBLE", f"{path or '/'}: no slice of {text(writer)} is {text(reader)}")


def _refused(error: Exception) -> ExchangeError:
    return ExchangeError("E_AVRO_TRUNCATED" if isinstance(error, IndexError) else "E_AVRO_DEPTH")
