"""Generated checks: is this exactly one canonical encoding of a valid value, and what do its probed fields say?

Strings are verified in runs. As long as only short strings and other values that begin with a byte below 128 follow
each other, everything between two strings is ASCII, so one `decode` of the whole run proves each string (an ASCII byte
between them cannot complete a broken sequence). Whatever might put a byte above 127 there closes the run first.
In the generated code `u` is the start of the open run.
"""

from collections.abc import Callable, Sequence
from typing import Any

from exchange.avro.compiled import strict
from exchange.avro.compiled.check_lines import begins_with_text, close_run, day, open_run, string, wide
from exchange.avro.compiled.recode import Recoder
from exchange.avro.compiled.source import Module, Place, stands_alone
from exchange.avro.compiled.unions import has_ambiguous_union
from exchange.avro.schema import (
    Array,
    Enum,
    Fixed,
    Map,
    Node,
    Primitive,
    Record,
    Schema,
    Union,
    decimal_bytes,
    least_size,
    parse,
)
from exchange.errors import ExchangeError

Check = Callable[[bytes, int], tuple[Any, ...]]
_INTEGERS = ("int", "long")


def compile_check(schema: Any, probes: Sequence[str] = (), raw: bool = False, nul: bool = True) -> Check:
    """A function `check(b, p)` that verifies that `b[p:]` is exactly one canonical encoding of a valid value.

    It returns the values of the probed top-level fields in order: strings as str, int and long (dates and times too) as
    the raw int, null as None, everything else as its raw bytes; with `raw` strings too, verified but not decoded, which
    is cheaper. Without `nul` no string but those probed may hold U+0000 (E_TEXT_NUL). It raises ExchangeError
    E_AVRO_TRUNCATED, _TRAILING, _VARINT, _LENGTH, _UTF8, _UNION, _VALUE, _NOT_CANONICAL or _DEPTH, whose detail names
    the top-level field.
    `compile_check` itself raises ExchangeError(E_SCHEMA) for an invalid schema or an unknown probe.
    """
    return _CheckWriter(parse(schema), raw, nul).write(tuple(probes))


class _CheckWriter:
    """Writes the check of one schema."""

    def __init__(self, schema: Schema, raw: bool = False, nul: bool = True) -> None:
        self.schema = schema
        self.raw = raw
        self.nul = nul
        self.module = Module(dict(strict.ENVIRONMENT))

    def write(self, probes: tuple[str, ...]) -> Check:
        root = self.schema.root
        fields = [item.name for item in root.fields] if isinstance(root, Record) else []
        for probe in probes:
            if probe not in fields:
                raise ExchangeError("E_SCHEMA", f"no field {probe} to probe")
        place = Place("  ", 0, 0, counted=False)
        if isinstance(root, Record) and not root.recursive:
            body = self._fields(root, place.within(), probes)
        else:
            body = self._root_whole(root, place, probes)
        values = "".join(f"v_{fields.index(probe)}, " for probe in probes)
        self.module.environment["locate"] = _Locator(self.schema, self.nul)
        ambiguous = has_ambiguous_union(self.schema)
        if ambiguous:
            self.module.environment["recode"] = Recoder(self.schema)
        self.module.add(
            [
                "def check(b, p):",
                " s = p",
                " try:",
                *body,
                "  if p != len(b): finish(b, p)",
                *(["  recode(b, s)"] if ambiguous else []),
                f"  return ({values})",
                " except (IndexError, UnicodeDecodeError, ExchangeError) as error:",
                "  raise locate(translate(error, b, p), b, s) from None",
            ]
        )
        self.module.environment["ExchangeError"] = ExchangeError
        check: Check = self.module.compile("check")["check"]
        return check

    def write_located(self, root: Record) -> Callable[[bytes, int], tuple[int, ExchangeError] | None]:
        """A slow check that gives (number of the field, error) for the first error, and None when there is none."""
        lines: list[str] = []
        for number, item in enumerate(root.fields):
            more, _ = self._closed(item.type, Place("  ", 1, 1, counted=False))
            lines += [f"  i = {number}", *more]
        self.module.environment["ExchangeError"] = ExchangeError
        self.module.add(
            [
                "def located(b, p):",
                " i = 0",
                " try:",
                *lines,
                f"  i = {len(root.fields)}",
                "  if p > len(b): i -= 1",
                "  if p != len(b): finish(b, p)",
                " except (IndexError, UnicodeDecodeError, ExchangeError) as error:",
                "  return i, translate(error, b, p)",
            ]
        )
        located: Callable[[bytes, int], tuple[int, ExchangeError] | None] = self.module.compile("located")["located"]
        return located

    def _root_whole(self, root: Node, place: Place, probes: tuple[str, ...]) -> list[str]:
        """The root by its function (recursive), probes by a second walk over its fields."""
        lines, _ = self._closed(root, place)
        if isinstance(root, Record) and probes:
            lines += ["  p = s", *self._fields(root, place.within(), probes)]
        return lines

    def _fields(self, record: Record, place: Place, probes: tuple[str, ...]) -> list[str]:
        lines: list[str] = []
        run = False
        for number, item in enumerate(record.fields):
            more, run = (
                self._probe(item.type, place, run, f"v_{number}")
                if item.name in probes
                else self._emit(item.type, place, run)
            )
            lines += more
        return lines + close_run(place.indent, run)

    # One value. Every method takes whether a run is open and gives its lines and whether a run is open behind them.

    def _emit(  # noqa: C901, PLR0911 - a case a type
        self, node: Node, place: Place, run: bool
    ) -> tuple[list[str], bool]:
        indent = place.indent
        if stands_alone(node, place.level):
            name = self.module.function(node, "check", lambda name: self._function(node, name))
            return [*close_run(indent, run), f"{indent}p = {name}(b, p, {place.depth_argument()})"], False
        match node:
            case Primitive():
                return self._primitive(node, indent, run)
            case Enum():
                return self._enum(node, indent, run)
            case Fixed() if node.logical:
                end = self._decimals(node)
                return [*close_run(indent, run), f"{indent}p = {end}(b, p)"], False
            case Fixed():
                return [*close_run(indent, run), f"{indent}p += {node.size}"], False
            case Record():
                lines = place.depth_test()
                for item in node.fields:
                    more, run = self._emit(item.type, place.within(), run)
                    lines += more
                return lines, run
            case Union():
                return self._union(node, place, run)
            case Array():
                return self._items(node, place, run), False
            case Map():
                return self._entries(node, place, run), False

    def _closed(self, node: Node, place: Place) -> tuple[list[str], bool]:
        """`node` with no run open before and behind it."""
        lines, run = self._emit(node, place, False)
        return lines + close_run(place.indent, run), False

    def _primitive(  # noqa: C901, PLR0911 - a case a type
        self, node: Primitive, indent: str, run: bool
    ) -> tuple[list[str], bool]:
        close = close_run(indent, run)
        match node.kind, node.logical:
            case "null", _:
                return [], run
            case "boolean", _:
                return [
                    f"{indent}if b[p] > 1: bad_index(b, p) if b[p] > 127 else bad_boolean()",
                    f"{indent}p += 1",
                ], run
            case "float", _:
                test = f"{indent}if b[p + 3] & 127 == 127: quiet(b, p)"
                return [*close, test, f"{indent}p += 4"], False
            case "double", _:
                return [*close, f"{indent}p += 8"], False
            case "string", None:
                return [*open_run(indent, run), *string(indent, False, self.nul)], True
            case "string", _:
                return [*close, f"{indent}p = uuid_end(b, p)"], False
            case "bytes", None:
                return [*close, f"{indent}n = SHORT[b[p]]", f"{indent}p = p + n if n else block_end(b, p)"], False
            case "bytes", _:
                return [*close, *self._decimal(node, indent)], False
            case kind, None:
                end = "int_end" if kind == "int" else "long_end"
                slow = f"p = {end}(b, p)"
                if run:
                    slow = f"b[u:p].decode(); u = {slow}"
                return [f"{indent}if b[p] < 128: p += 1", f"{indent}else: {slow}"], run
            case _:
                return [*close, *self._ranged(node, indent)], False

    def _ranged(self, node: Primitive, indent: str) -> list[str]:
        """A date or time: the usual lengths of present-day values inline, everything else by a call."""
        assert node.logical is not None
        end = self.module.constant(strict.Ranged(node.kind, node.logical.name).end, "ranged")
        match node.logical.name:
            case "date":  # three bytes, the last one below 87: years 19 to 3921
                test = "b[p] > 127 < b[p + 1] and 0 < b[p + 2] < 87"
                return [f"{indent}if {test}: p += 3", f"{indent}else: p = {end}(b, p)"]
            case "timestamp-millis" | "local-timestamp-millis":  # six bytes: within 70 years of 1970
                return wide(indent, end, 6)
            case "timestamp-micros" | "local-timestamp-micros":  # eight bytes: years 829 to 3111
                return wide(indent, end, 8)
            case _:
                return [f"{indent}p = {end}(b, p)"]

    def _decimal(self, node: Primitive, indent: str) -> list[str]:
        """A decimal over bytes: inline when it is shorter than the longest and no byte of it can be superfluous."""
        assert node.logical is not None
        shorter = f"1 < n <= {decimal_bytes(node.logical.precision)} and 0 < b[p + 1] < 255"
        return [
            f"{indent}n = SHORT[b[p]]",
            f"{indent}if {shorter}: p += n",
            f"{indent}else: p = {self._decimals(node)}(b, p)",
        ]

    def _decimals(self, node: Primitive | Fixed) -> str:
        assert node.logical is not None
        size = node.size if isinstance(node, Fixed) else None
        return self.module.constant(strict.Decimals(node.logical.precision, size).end, "decimal")

    def _enum(self, node: Enum, indent: str, run: bool) -> tuple[list[str], bool]:
        size = len(node.symbols)
        if size > 64:
            return [*close_run(indent, run), f"{indent}p = index_end(b, p, {size})"], False
        test = f"{indent}if b[p] & 1 or b[p] > {2 * size - 2}: bad_index(b, p)"
        return [test, f"{indent}p += 1"], run

    def _union(self, node: Union, place: Place, run: bool) -> tuple[list[str], bool]:
        indent = place.indent
        if len(node.branches) > 64:
            lines = [*close_run(indent, run), f"{indent}p, n = index(b, p, {len(node.branches)})"]
            lines += self._branches(node, place, 1, False)
            return lines, False
        other = node.nullable
        run_inside = run or any(begins_with_text(branch) for branch in node.branches)
        lines = [] if run or not run_inside else [f"{indent}u = p"]
        lines.append(f"{indent}n = b[p]")
        if other and isinstance(other[1], Primitive) and other[1].kind == "string" and not other[1].logical:
            lines += [
                f"{indent}if n == {2 * other[0]}:",
                *string(indent + " ", True, self.nul),
                f"{indent}elif n == {2 - 2 * other[0]}: p += 1",
                f"{indent}else: bad_index(b, p)",
            ]
            return lines, True
        lines += self._branches(node, place, 2, run_inside)
        return lines, run_inside

    def _branches(self, node: Union, place: Place, step: int, run: bool) -> list[str]:
        """The branches of a union by local `n`; with an open run each of them ends with one."""
        indent, word, lines = place.indent, "if", []
        inner = place.deeper()
        for number, branch in enumerate(node.branches):
            body, open_behind = self._emit(branch, inner, run)
            if run and not open_behind:
                body.append(f"{inner.indent}u = p")
            elif open_behind and not run:
                body += close_run(inner.indent, True)
            start = [f"{inner.indent}p += 1"] if step == 2 else []
            lines += [f"{indent}{word} n == {step * number}:", *(start + body or [f"{inner.indent}pass"])]
            word = "elif"
        return [*lines, f"{indent}else: bad_index(b, p)"]

    def _items(self, node: Array, place: Place, run: bool) -> list[str]:
        body, _ = self._closed(node.items, place.within().deeper(2))
        return self._repeat(body, place, run, least_size(node.items))

    def _entries(self, node: Map, place: Place, run: bool) -> list[str]:
        keys = self.module.fresh("k")
        inner = place.within().deeper(2)
        indent = inner.indent
        value, _ = self._closed(node.values, inner)
        body = [
            f"{indent}n = SHORT[b[p]]",
            f"{indent}if n: p += n; n = b[p - n + 1:p]",
            f"{indent}else: u, p = block(b, p); n = b[u:p]",
            f"{indent}n.decode()" if self.nul else f"{indent}n.decode(); 0 in n and nul()",
            f"{indent}if n in {keys}: b[p]; repeated_key()",
            f"{indent}{keys}.add(n)",
            *value,
        ]
        return [f"{place.indent}{keys} = set()", *self._repeat(body, place, run, 1 + least_size(node.values))]

    def _repeat(self, body: list[str], place: Place, run: bool, least: int) -> list[str]:
        """A block of an array or map: its count, its items, its end."""
        indent = place.indent
        count = self.module.fresh("c")
        items = [f"{indent} for _ in range({count}):", *body] if body else []
        return [
            *close_run(indent, run),
            *place.depth_test(),
            f"{indent}if b[p]:",
            f"{indent} p, {count} = count(b, p, {least})",
            *items,
            f"{indent} if b[p]: second_block()",
            f"{indent}p += 1",
        ]

    def _probe(self, node: Node, place: Place, run: bool, name: str) -> tuple[list[str], bool]:
        """Like `_emit`, and `name` holds the value."""
        indent = place.indent
        optional = node.nullable if isinstance(node, Union) else None
        if optional and isinstance(optional[1], Primitive) and optional[1].kind in ("string", *_INTEGERS):
            value, run_behind = self._probe(optional[1], place.deeper(), run, name)
            lines = [
                f"{indent}if b[p] == {2 * optional[0]}:",
                f"{indent} p += 1",
                *value,
                *([f"{indent} u = p"] if run and not run_behind else []),
                *(close_run(indent + " ", run_behind and not run)),
                f"{indent}elif b[p] == {2 - 2 * optional[0]}: p += 1; {name} = None",
                f"{indent}else: bad_index(b, p)",
            ]
            return lines, run
        if isinstance(node, Primitive) and node.kind == "string" and not node.logical:
            return self._probed_string(indent, run, name)
        if isinstance(node, Primitive) and node.kind in _INTEGERS:
            read = "integer" if node.kind == "int" else "long"
            if node.logical:
                read = self.module.constant(strict.Ranged(node.kind, node.logical.name).value, "ranged")
            if node.logical and node.logical.name == "date":
                return [*close_run(indent, run), *day(indent, name, read)], False
            return [*close_run(indent, run), f"{indent}p, {name} = {read}(b, p)"], False
        if isinstance(node, Primitive) and node.kind == "null":
            return [f"{indent}{name} = None"], run
        start = self.module.fresh("q")
        lines, _ = self._closed(node, place)
        return [*close_run(indent, run), f"{indent}{start} = p", *lines, f"{indent}{name} = b[{start}:p]"], False

    def _probed_string(self, indent: str, run: bool, name: str) -> tuple[list[str], bool]:
        short = f"{indent}n = SHORT[b[p]]"
        if self.raw:
            return [
                *open_run(indent, run),
                short,
                f"{indent}if n: p += n; {name} = b[p - n + 1:p]",
                f"{indent}else: b[u:p].decode(); u, p = block(b, p); {name} = b[u:p]",
            ], True
        # the run goes on over a short probed string; a long one is decoded apart anyway
        slow = f"{'b[u:p].decode(); ' if run else ''}u, p = block(b, p); {name} = b[u:p].decode(); u = p"
        return [short, f"{indent}if n: p += n; {name} = b[p - n + 1:p].decode()", f"{indent}else: {slow}"], run

    def _function(self, node: Node, name: str) -> list[str]:
        place = Place("  ", 0, 0, counted=True)
        if isinstance(node, Record):
            body = [*place.depth_test(), *self._fields(node, place.within(), ())]
        else:
            body, _ = self._closed(node, place)
        return [
            f"def {name}(b, p, d):",
            " try:",
            *(body or ["  pass"]),
            "  return p",
            " except UnicodeDecodeError as error:",
            "  raise translate(error, b, p) from None",
        ]


class _Locator:
    """Finds the top-level field that an error came from, by checking field after field. Only bad input pays for it."""

    def __init__(self, schema: Schema, nul: bool) -> None:
        self._schema = schema
        self._nul = nul
        self._walk: Callable[[bytes, int], tuple[int, ExchangeError] | None] | None = None

    def __call__(self, error: ExchangeError, b: bytes, p: int) -> ExchangeError:
        """`error`, or the same with the field's name in its detail; `p` is where the record begins."""
        root = self._schema.root
        if not isinstance(root, Record) or root.recursive:
            return error
        if self._walk is None:
            self._walk = _CheckWriter(self._schema, nul=self._nul).write_located(root)
        found = self._walk(b, p)
        if found is None or found[0] >= len(root.fields):
            return error
        return ExchangeError(found[1].code, f"field {root.fields[found[0]].name}: {found[1].detail}")
