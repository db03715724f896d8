"""Slices of a record by its fields: generated code that finds where they lie in its bytes, and joins what is kept.

In the generated code the local bytes `b` hold the record, the local `p` is a position in them, and `o3` is the offset
where field 3 begins, which is where field 2 ends. Only offsets that are needed are looked for. As all walking code this
trusts its input.
"""

from collections.abc import Iterable
from typing import Any

from exchange.avro.compiled.source import Module
from exchange.avro.compiled.walk import WALKING, skip
from exchange.avro.schema import Record, parse_record

Part = str | bytes | int
"""Of a joined value: an expression, constant bytes, or the number of a field that stays as it stands."""


class Slices:
    """Expressions over the top-level fields of a writer's record, and the lines that find the offsets they name.

    Ask for the expressions first: `walk` goes as far as they need. Then `module.compile` gives the globals of both.
    """

    def __init__(self, writer: Record, module: Module | None = None, begin: int = 0) -> None:
        self.module = Module(dict(WALKING)) if module is None else module
        self.fields = writer.fields
        self._begin = begin
        """Where the record begins in `b`."""
        self._numbers = {item.name: number for number, item in enumerate(writer.fields)}
        self._needed: set[int] = set()

    @classmethod
    def of(cls, schema: Any, begin: int = 0) -> "Slices":
        """Slices of records of `schema` that begin at `begin`. Raises ExchangeError(E_SCHEMA) for any other schema."""
        return cls(parse_record(schema), None, begin)

    def number(self, name: str) -> int | None:
        """The number of a field; None when this version of the schema does not have it."""
        return self._numbers.get(name)

    def start(self, number: int) -> str:
        """The offset where a field begins."""
        self._needed.add(number)
        return f"o{number}"

    def end(self, number: int) -> str:
        """The offset where a field ends; empty (open) for the last field."""
        return self.start(number + 1) if number + 1 < len(self.fields) else ""

    def run(self, first: int, last: int) -> str:
        """The bytes of the fields from `first` to `last`."""
        return f"b[{self.start(first)}:{self.end(last)}]"

    def joined(self, parts: Iterable[Part]) -> str:
        """The bytes of all parts in their order. Fields that are neighbours, and constants, become one slice or one
        constant."""
        merged: list[str | bytes | range] = []
        for part in parts:
            last = merged[-1] if merged else None
            if isinstance(part, bytes) and isinstance(last, bytes):
                merged[-1] = last + part
            elif isinstance(part, int) and isinstance(last, range) and last.stop == part:
                merged[-1] = range(last.start, part + 1)
            else:
                merged.append(range(part, part + 1) if isinstance(part, int) else part)
        codes = [self._code(part) for part in merged]
        return codes[0] if len(codes) == 1 else f"b''.join(({', '.join(codes)}))"

    def _code(self, part: str | bytes | range) -> str:
        if isinstance(part, range):
            return self.run(part[0], part[-1])
        return part if isinstance(part, str) else self.module.constant(part, "P")

    def walk(self, indent: str) -> list[str]:
        """Lines that find the offsets that were asked for; `p` stays at the last of them."""
        last = max(self._needed, default=0)
        lines = [f"{indent}p = {self._begin}"]
        for number in range(last + 1):
            if number in self._needed:
                lines.append(f"{indent}o{number} = p")
            if number < last:
                lines += skip(self.fields[number].type, self.module, indent, 0)
        return lines
