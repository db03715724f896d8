"""Generated encoders: one function a schema that turns a record into its canonical bytes.

Every type becomes lines that compute and expressions whose bytes follow each other; one `join` makes the record. What
the lines refuse (by any of Python's errors) becomes E_ENCODE with the name of the field.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Any

from exchange.avro.compiled import values
from exchange.avro.compiled.source import Module, Place, stands_alone
from exchange.avro.compiled.unions import Choice
from exchange.avro.schema import Array, Enum, Field, Fixed, Map, Node, Primitive, Record, Schema, Union, least_size
from exchange.errors import ExchangeError

Encode = Callable[[Any], bytes]
REFUSALS = (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError, RecursionError, struct.error)
"""What Python raises when a value is not what the schema says."""


def compile_encode(schema: Schema) -> Encode:
    """A function `encode(record)` -> bytes. It raises ExchangeError(E_ENCODE), naming the field, never the value."""
    return _EncodeWriter(schema).write()


class _EncodeWriter:
    """Writes the encoder of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.module = Module(dict(values.WRITING) | {"REFUSALS": (*REFUSALS, ExchangeError)})

    def write(self) -> Encode:
        lines, parts = self._emit(self.schema.root, "r", Place("  "))
        self.module.environment["explain"] = _Explainer(self.schema)
        self.module.add(
            [
                "def encode(r):",
                " try:",
                *lines,
                f"  return {_joined(parts)}",
                " except REFUSALS as error:",
                "  raise explain(error, r) from None",
            ]
        )
        encode: Encode = self.module.compile("encode")["encode"]
        return encode

    def write_located(self, root: Record) -> Callable[[Any], tuple[int, Exception] | None]:
        """A slow encoder that gives (number of the field, error) for the first error, and None when there is none."""
        body: list[str] = []
        for number, item in enumerate(root.fields):
            lines, parts = self._field(item, "r", Place("  ", 1, 1))
            body += [f"  i = {number}", *lines, f"  {_joined(parts)}"]
        self.module.add(
            [
                "def located(r):",
                " try:",
                *(body or ["  pass"]),
                " except REFUSALS as error:",
                "  return i, error",
            ]
        )
        located: Callable[[Any], tuple[int, Exception] | None] = self.module.compile("located")["located"]
        return located

    # One value in the variable `v`: the lines that prepare it, and the expressions of its bytes.

    def _emit(self, node: Node, v: str, place: Place) -> tuple[list[str], list[str]]:  # noqa: PLR0911 - a case a type
        if stands_alone(node, place.level):
            name = self.module.function(node, "encode", lambda name: self._function(node, name))
            return [], [f"{name}({v}, {place.depth_argument()})"]
        match node:
            case Primitive():
                return self._primitive(node, v, place.indent)
            case Enum():
                symbols = {symbol: values.long_bytes(number) for number, symbol in enumerate(node.symbols)}
                return [], [f"{self.module.constant(symbols)}[{v}]"]
            case Fixed():
                return [], [f"{self._fixed(node)}({v})"]
            case Record():
                return self._record(node, v, place)
            case Union():
                return self._union(node, v, place)
            case Array():
                return self._array(node, v, place)
            case Map():
                return self._map(node, v, place)

    def _primitive(  # noqa: PLR0911 - a case a type
        self, node: Primitive, v: str, indent: str
    ) -> tuple[list[str], list[str]]:
        match node.kind, node.logical:
            case "string", None:
                s, n = self.module.fresh("s"), self.module.fresh("n")
                lines = [f"{indent}{s} = {v}.encode()", f"{indent}{n} = len({s})"]
                return lines, [f"LENGTHS[{n}] if {n} < 1024 else long_bytes({n})", s]
            case "bytes", None:
                s = self.module.fresh("s")
                return [f"{indent}{s} = {v} if type({v}) is bytes else as_bytes({v})"], [f"long_bytes(len({s}))", s]
            case ("int" | "long") as kind, None:
                return [], [f"SMALL[{v}] if -64 <= {v} < 64 else {kind}_bytes({v})"]
            case _, None:
                return [], [f"{node.kind}_bytes({v})"]
            case "int", logical if logical.name == "date":
                return self._date(v, indent)
            case _, logical if logical.name in ("timestamp-millis", "timestamp-micros"):
                return self._timestamp(logical.name, v, indent)
            case _, logical if logical.name == "decimal":
                return [], [f"{self.module.constant(values.DecimalWriter(logical, None))}({v})"]
            case _, logical:
                return [], [f"{self.module.constant(values.LOGICAL_BYTES[logical.name])}({v})"]

    def _date(self, v: str, indent: str) -> tuple[list[str], list[str]]:
        x = self.module.fresh("x")
        return [
            f"{indent}try: n = ({v} if type({v}) is Day else day_of({v})).toordinal() * 2 - {2 * values.EPOCH_DAY}",
            f"{indent}except AttributeError: {x} = date_bytes({v})",
            f"{indent}else: {x} = {_wide('n', 3)} if {1 << 14} <= n < {1 << 21} else long_bytes(n >> 1)",
        ], [x]

    def _timestamp(self, logical: str, v: str, indent: str) -> tuple[list[str], list[str]]:
        x = self.module.fresh("x")
        slow = self.module.constant(values.LOGICAL_BYTES[logical])
        if logical == "timestamp-millis":
            number, size = "(n.days * 86400 + n.seconds) * 2000 + n.microseconds // 1000 * 2", 6
        else:
            number, size = "(n.days * 86400 + n.seconds) * 2000000 + n.microseconds * 2", 8
        low = 1 << 7 * size - 7
        return [
            f"{indent}try: n = {v} - EPOCH; n = {number}",
            f"{indent}except (TypeError, AttributeError): {x} = {slow}({v})",
            f"{indent}else: {x} = {_wide('n', size)} if {low} <= n < {low << 7} else long_bytes(n >> 1)",
        ], [x]

    def _fixed(self, node: Fixed) -> str:
        if node.logical:
            return self.module.constant(values.DecimalWriter(node.logical, node.size))
        return self.module.constant(values.FixedWriter(node.size))

    def _record(self, node: Record, v: str, place: Place) -> tuple[list[str], list[str]]:
        lines, parts = place.depth_test(), []
        for item in node.fields:
            more, some = self._field(item, v, place.within())
            lines += more
            parts += some
        if not node.fields:
            lines.append(f"{place.indent}{v}.keys")
        return lines, parts

    def _field(self, item: Field, v: str, place: Place) -> tuple[list[str], list[str]]:
        f = self.module.fresh("f")
        if item.has_default:
            default = self.module.constant(default_value(item.type, item.default))
            line = f"{f} = {v}.get({item.name!r}, {default})"
        elif item.type.kind == "null" or (isinstance(item.type, Union) and _nullable(item.type)):
            line = f"{f} = {v}.get({item.name!r})"
        else:
            line = f"{f} = {v}[{item.name!r}]"
        lines, parts = self._emit(item.type, f, place)
        return [place.indent + line, *lines], parts

    def _union(self, node: Union, v: str, place: Place) -> tuple[list[str], list[str]]:
        indent, optional = place.indent, node.nullable
        if optional is None:
            return self._choose(node, v, place)
        number, inner = optional
        index, null = values.SMALL[number], values.SMALL[1 - number]
        if isinstance(inner, Primitive) and inner.kind == "string" and not inner.logical:
            a, s = self.module.fresh("a"), self.module.fresh("s")
            table = self.module.constant(values.lengths_in_union(number))
            return [
                f"{indent}if {v} is None: {a} = {null!r}; {s} = b''",
                f"{indent}else:",
                f"{indent} {s} = {v}.encode()",
                f"{indent} n = len({s})",
                f"{indent} {a} = {table}[n] if n < 1024 else {index!r} + long_bytes(n)",
            ], [a, s]
        x = self.module.fresh("x")
        lines, parts = self._emit(inner, v, place.deeper())
        return [
            f"{indent}if {v} is None: {x} = {null!r}",
            f"{indent}else:",
            *lines,
            f"{indent} {x} = {_joined([repr(index), *parts])}",
        ], [x]

    def _choose(self, node: Union, v: str, place: Place) -> tuple[list[str], list[str]]:
        indent = place.indent
        x, i, w = self.module.fresh("x"), self.module.fresh("i"), self.module.fresh("w")
        lines = [f"{indent}{i}, {w} = {self.module.constant(Choice(node))}({v})"]
        for number, branch in enumerate(node.branches):
            body, parts = self._emit(branch, w, place.deeper())
            lines += [
                f"{indent}{'elif' if number else 'if'} {i} == {number}:",
                *body,
                f"{indent} {x} = {_joined([repr(values.long_bytes(number)), *parts])}",
            ]
        return lines, [x]

    def _array(self, node: Array, v: str, place: Place) -> tuple[list[str], list[str]]:
        item = self.module.fresh("e")
        head = [f"{place.indent}if type({v}) is not list: {v} = as_list({v})"]
        if least_size(node.items) == 0:
            head.append(f"{place.indent}few({v})")
        body, parts = self._emit(node.items, item, place.within().deeper(2))
        return self._repeat(head, f"for {item} in {v}", (body, parts), v, place)

    def _map(self, node: Map, v: str, place: Place) -> tuple[list[str], list[str]]:
        key, item = self.module.fresh("k"), self.module.fresh("e")
        inner = place.within().deeper(2)
        first, names = self._primitive(Primitive("string"), key, inner.indent)
        body, parts = self._emit(node.values, item, inner)
        return self._repeat([], f"for {key}, {item} in {v}.items()", (first + body, names + parts), v, place)

    def _repeat(
        self, head: list[str], loop: str, inner: tuple[list[str], list[str]], v: str, place: Place
    ) -> tuple[list[str], list[str]]:
        indent = place.indent
        x, w = self.module.fresh("x"), self.module.fresh("w")
        body, parts = inner
        add = f"{w} += ({', '.join(parts)},)" if parts else "pass"
        return [
            *place.depth_test(),
            *head,
            f"{indent}if {v}:",
            f"{indent} {w} = [long_bytes(len({v}))]",
            f"{indent} {loop}:",
            *body,
            f"{indent}  {add}",
            f"{indent} {w}.append(b'\\0')",
            f"{indent} {x} = b''.join({w})",
            f"{indent}else: {x} = empty({v})",
        ], [x]

    def _function(self, node: Node, name: str) -> list[str]:
        place = Place(" ", counted=True)
        lines, parts = self._record(node, "r", place) if isinstance(node, Record) else self._emit(node, "r", place)
        return [f"def {name}(r, d):", *lines, f" return {_joined(parts)}"]


def _joined(parts: list[str]) -> str:
    if len(parts) == 1:
        return f"({parts[0]})"
    return f"b''.join(({', '.join(parts)}))" if parts else "b''"


def _wide(name: str, size: int) -> str:
    """The varint of `size` bytes of the zig-zag number `name`."""
    parts = [f"{name} >> {7 * i} & 127 | 128" if i else f"{name} & 127 | 128" for i in range(size - 1)]
    return f"bytes(({', '.join(parts)}, {name} >> {7 * size - 7}))"


def _nullable(union: Union) -> bool:
    return any(branch.kind == "null" for branch in union.branches)


def default_value(node: Node, default: Any) -> Any:  # noqa: PLR0911 - a case a type
    """A default as it stands in a schema's JSON, as the Python value that is encoded; bytes stand there as text."""
    match node:
        case Union():
            fitting = (branch for branch in node.branches if _default_fits(branch, default))
            return default_value(next(fitting, node.branches[0]), default)
        case Primitive() if node.kind in ("float", "double"):
            return float(default)
        case Primitive() | Fixed() if node.kind in ("bytes", "fixed"):
            return default.encode("latin-1") if isinstance(default, str) else default
        case Array():
            return [default_value(node.items, item) for item in default]
        case Map():
            return {key: default_value(node.values, item) for key, item in default.items()}
        case Record():
            given: Iterable[Field] = (item for item in node.fields if item.name in default)
            return {item.name: default_value(item.type, default[item.name]) for item in given}
        case _:
            return default


def _default_fits(node: Node, default: Any) -> bool:
    fitting: dict[str, type | tuple[type, ...]] = {
        "null": type(None), "boolean": bool, "int": int, "long": int, "float": (int, float), "double": (int, float),
        "array": list, "map": dict, "record": dict,
    }  # fmt: skip
    return isinstance(default, fitting.get(node.kind, str))


class _Explainer:
    """Turns what an encoder met into E_ENCODE with the top-level field's name. Only unfit records pay for it."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._located: Callable[[Any], tuple[int, Exception] | None] | None = None

    def __call__(self, error: Exception, record: Any) -> ExchangeError:
        """The error to raise for `record`."""
        root = self._schema.root
        if not isinstance(root, Record):
            return _refusal(error, "the value")
        if self._located is None:
            self._located = _EncodeWriter(self._schema).write_located(root)
        found = self._located(record)
        if found is None or found[0] < 0:
            return _refusal(error, "the record")
        return _refusal(found[1], f"field {root.fields[found[0]].name}")


def _refusal(error: Exception, what: str) -> ExchangeError:
    if isinstance(error, ExchangeError):
        return ExchangeError("E_ENCODE", f"{what}: {error.detail}")
    if isinstance(error, KeyError):
        return ExchangeError("E_ENCODE", f"{what} or a part of it is missing, or is no symbol of its enum")
    return ExchangeError("E_ENCODE", f"{what} is not what the schema says ({type(error).__name__})")
