"""Generated decoders: one function a schema that turns canonical bytes into the record that fastavro would read.

They accept exactly what the check accepts, with one exception: a value in a branch of an ambiguous union that an
encoder would not have chosen is decoded all the same. What they build is never much larger than the bytes justify.
"""

import datetime
import decimal
import struct
from collections.abc import Callable
from typing import Any

from exchange.avro.compiled import strict
from exchange.avro.compiled.source import Module, Place, stands_alone
from exchange.avro.compiled.values import EPOCH, EPOCH_DAY
from exchange.avro.schema import Array, Enum, Fixed, Logical, Map, Node, Primitive, Record, Schema, Union, least_size
from exchange.errors import ExchangeError

Decode = Callable[[bytes], Any]
_NAIVE_EPOCH = datetime.datetime(1970, 1, 1)


def compile_decode(schema: Schema) -> Decode:
    """A function `decode(b)` -> value. It raises ExchangeError E_AVRO_…, as the check does."""
    return _DecodeWriter(schema).write()


def _time_of(second: int) -> Callable[[int], datetime.time]:
    """A time of day from a count of which `second` make a second."""

    def read(number: int) -> datetime.time:
        rest, fraction = divmod(number, second)
        minutes, seconds = divmod(rest, 60)
        hours, minutes = divmod(minutes, 60)
        return datetime.time(hours, minutes, seconds, fraction * (1_000_000 // second))

    return read


_CONVERT: dict[str, str] = {
    "date": f"fromordinal(n + {EPOCH_DAY})",
    "time-millis": "time_millis(n)",
    "time-micros": "time_micros(n)",
    "timestamp-millis": "EPOCH + timedelta(0, 0, n * 1000)",
    "timestamp-micros": "EPOCH + timedelta(0, 0, n)",
    "local-timestamp-millis": "NAIVE_EPOCH + timedelta(0, 0, n * 1000)",
    "local-timestamp-micros": "NAIVE_EPOCH + timedelta(0, 0, n)",
}
"""Python expressions for the logical value of `n`."""
_ENVIRONMENT: dict[str, Any] = strict.ENVIRONMENT | {
    "ExchangeError": ExchangeError,
    "struct_error": struct.error,
    "unpack_float": struct.Struct("<f").unpack_from,
    "unpack_double": struct.Struct("<d").unpack_from,
    "fromordinal": datetime.date.fromordinal,
    "timedelta": datetime.timedelta,
    "time_millis": _time_of(1000),
    "time_micros": _time_of(1_000_000),
    "EPOCH": EPOCH,
    "NAIVE_EPOCH": _NAIVE_EPOCH,
}


class _Scaled:
    """Reads decimals of one precision and scale."""

    def __init__(self, logical: Logical, size: int | None) -> None:
        self._read = strict.Decimals(logical.precision, size).value
        self._context = decimal.Context(prec=logical.precision)
        self._scale = -logical.scale

    def __call__(self, b: bytes, p: int) -> tuple[int, decimal.Decimal]:
        """(position behind, value)."""
        p, number = self._read(b, p)
        return p, self._context.create_decimal(number).scaleb(self._scale, self._context)


class _DecodeWriter:
    """Writes the decoder of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.module = Module(dict(_ENVIRONMENT))

    def write(self) -> Decode:
        self.module.add(
            [
                "def decode(b):",
                " p = 0",
                " try:",
                *self._emit(self.schema.root, "x", Place("  ")),
                " except (IndexError, UnicodeDecodeError, struct_error, ExchangeError) as error:",
                "  raise translate(error, b, p) from None",
                " if p != len(b): finish(b, p)",
                " return x",
            ]
        )
        decode: Decode = self.module.compile("decode")["decode"]
        return decode

    def _emit(self, node: Node, x: str, place: Place) -> list[str]:  # noqa: PLR0911 - a case a type
        """Lines that put the value at `p` into `x`."""
        indent = place.indent
        if stands_alone(node, place.level):
            name = self.module.function(node, "decode", lambda name: self._function(node, name))
            return [f"{indent}p, {x} = {name}(b, p, {place.depth_argument()})"]
        match node:
            case Primitive():
                return self._primitive(node, x, indent)
            case Enum():
                symbols = self.module.constant(node.symbols)
                return [f"{indent}p, n = index(b, p, {len(node.symbols)})", f"{indent}{x} = {symbols}[n]"]
            case Fixed() if node.logical:
                return [f"{indent}p, {x} = {self.module.constant(_Scaled(node.logical, node.size))}(b, p)"]
            case Fixed():
                return [f"{indent}p += {node.size}", f"{indent}{x} = b[p - {node.size}:p]"]
            case Record():
                return self._record(node, x, place)
            case Union():
                return self._union(node, x, place)
            case Array():
                return self._array(node, x, place)
            case Map():
                return self._map(node, x, place)

    def _primitive(self, node: Primitive, x: str, indent: str) -> list[str]:  # noqa: PLR0911 - a case a type
        match node.kind, node.logical:
            case "null", _:
                return [f"{indent}{x} = None"]
            case "boolean", _:
                bad = f"{indent}if {x} > 1: bad_index(b, p) if {x} > 127 else bad_boolean()"
                return [f"{indent}{x} = b[p]", bad, f"{indent}{x} = {x} == 1", f"{indent}p += 1"]
            case ("float" | "double") as kind, _:
                lines = [f"{indent}{x} = unpack_{kind}(b, p)[0]", f"{indent}p += {4 if kind == 'float' else 8}"]
                return lines if kind == "double" else [*lines, f"{indent}if {x} != {x}: quiet(b, p - 4)"]
            case ("string" | "bytes") as kind, None:
                text = ".decode()" if kind == "string" else ""
                return [
                    f"{indent}n = SHORT[b[p]]",
                    f"{indent}if n: p += n; {x} = b[p - n + 1:p]{text}",
                    f"{indent}else: n, p = block(b, p); {x} = b[n:p]{text}",
                ]
            case "string", _:
                return [f"{indent}p, {x} = uuid_value(b, p)"]
            case "bytes", logical if logical is not None:
                return [f"{indent}p, {x} = {self.module.constant(_Scaled(logical, None))}(b, p)"]
            case kind, None:
                read = "integer" if kind == "int" else "long"
                return [
                    f"{indent}{x} = b[p]",
                    f"{indent}if {x} < 128: p += 1; {x} = {x} >> 1 ^ -({x} & 1)",
                    f"{indent}else: p, {x} = {read}(b, p)",
                ]
            case kind, logical:
                read = self.module.constant(strict.Ranged(kind, logical.name).value)
                return [f"{indent}p, n = {read}(b, p)", f"{indent}{x} = {_CONVERT[logical.name]}"]

    def _record(self, node: Record, x: str, place: Place) -> list[str]:
        lines, pairs = place.depth_test(), []
        for item in node.fields:
            f = self.module.fresh("f")
            lines += self._emit(item.type, f, place.within())
            pairs.append(f"{item.name!r}: {f}")
        return [*lines, f"{place.indent}{x} = {{{', '.join(pairs)}}}"]

    def _union(self, node: Union, x: str, place: Place) -> list[str]:
        indent, size = place.indent, len(node.branches)
        i = self.module.fresh("i")
        lines = [f"{indent}p, {i} = index(b, p, {size})"]
        if size <= 64:
            lines = [
                f"{indent}{i} = b[p]",
                f"{indent}if {i} & 1 or {i} > {2 * size - 2}: bad_index(b, p)",
                f"{indent}p += 1",
            ]
        for number, branch in enumerate(node.branches):
            word = f"elif {i} == {number * (2 if size <= 64 else 1)}" if number else f"if not {i}"
            lines += [f"{indent}{word}:", *self._emit(branch, x, place.deeper())]
        return lines

    def _array(self, node: Array, x: str, place: Place) -> list[str]:
        item = self.module.fresh("e")
        body = self._emit(node.items, item, place.within().deeper(2))
        body.append(f"{place.indent}  {x}.append({item})")
        return self._repeat(f"{x} = []", body, least_size(node.items), place)

    def _map(self, node: Map, x: str, place: Place) -> list[str]:
        key, item = self.module.fresh("k"), self.module.fresh("e")
        inner = place.within().deeper(2)
        body = self._primitive(Primitive("string"), key, inner.indent)
        body.append(f"{inner.indent}if {key} in {x}: b[p]; repeated_key()")
        body += [*self._emit(node.values, item, inner), f"{inner.indent}{x}[{key}] = {item}"]
        return self._repeat(f"{x} = {{}}", body, 1 + least_size(node.values), place)

    def _repeat(self, start: str, body: list[str], least: int, place: Place) -> list[str]:
        indent = place.indent
        count = self.module.fresh("c")
        return [
            *place.depth_test(),
            f"{indent}{start}",
            f"{indent}if b[p]:",
            f"{indent} p, {count} = count(b, p, {least})",
            f"{indent} for _ in range({count}):",
            *body,
            f"{indent} if b[p]: second_block()",
            f"{indent}p += 1",
        ]

    def _function(self, node: Node, name: str) -> list[str]:
        place = Place("  ", counted=True)
        lines = self._record(node, "x", place) if isinstance(node, Record) else self._emit(node, "x", place)
        return [
            f"def {name}(b, p, d):",
            " try:",
            *lines,
            "  return p, x",
            " except UnicodeDecodeError as error:",
            "  raise translate(error, b, p) from None",
        ]
