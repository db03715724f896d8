"""Which branch of a union a Python value belongs to, by fastavro's rule, and which unions leave that to the value.

The rule: the first branch that the value fits; among records the one with the most fields of the value; a float goes to
`double` where there is one; a pair `(type name, value)` names its branch. Stricter than fastavro: a value outside the
range of a logical type does not fit it.
"""

import array
import datetime
import decimal
import numbers
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from exchange.avro.compiled.strict import INT_RANGE
from exchange.avro.compiled.values import LOGICAL_BYTES, DecimalWriter
from exchange.avro.schema import Array, Enum, Fixed, Map, Node, Primitive, Record, Schema, Union, nodes
from exchange.errors import ExchangeError

LONG_RANGE = (-(1 << 63), (1 << 63) - 1)
_DATETIME = frozenset((datetime.datetime,))
_PRODUCED: dict[str, type] = {
    "null": type(None), "boolean": bool, "int": int, "long": int, "float": float, "double": float, "bytes": bytes,
    "string": str, "fixed": bytes, "enum": str, "array": list, "map": dict, "record": dict, "date": datetime.date,
    "time-millis": datetime.time, "time-micros": datetime.time, "decimal": decimal.Decimal, "uuid": uuid.UUID,
    "timestamp-millis": datetime.datetime, "timestamp-micros": datetime.datetime,
    "local-timestamp-millis": datetime.datetime, "local-timestamp-micros": datetime.datetime,
}  # fmt: skip
"""What decoding gives, by logical type or else by kind."""
_ACCEPTED: dict[str, frozenset[type]] = {
    "float": frozenset((int, float)),
    "double": frozenset((int, float)),
    "array": frozenset((list, bytes)),
    "date": frozenset((datetime.date, datetime.datetime, int, str)),
    "time-millis": frozenset((datetime.time, int)),
    "time-micros": frozenset((datetime.time, int)),
    "timestamp-millis": _DATETIME | {int},
    "timestamp-micros": _DATETIME | {int},
    "local-timestamp-millis": _DATETIME | {int},
    "local-timestamp-micros": _DATETIME | {int},
    "decimal": frozenset((decimal.Decimal, bytes)),
    "uuid": frozenset((uuid.UUID, str)),
}
"""What a branch may take, where that is more than what it gives."""


def _label(node: Node) -> str:
    logical = node.logical if isinstance(node, Primitive | Fixed) else None
    return logical.name if logical else node.kind


def is_plain(union: Union) -> bool:
    """Whether the Python type of a decoded value alone tells its branch, so that it is encoded into the same again."""
    for one in union.branches:
        for other in union.branches:
            label = _label(other)
            taken = _ACCEPTED.get(label, frozenset((_PRODUCED[label],)))
            if one is not other and _PRODUCED[_label(one)] in taken:
                return False
    return True


def has_ambiguous_union(schema: Schema) -> bool:
    """Whether a value may be encoded into another branch than it was decoded from."""
    return any(isinstance(node, Union) and not is_plain(node) for node in nodes(schema.root))


class Choice:
    """Chooses the branch of one union for a value."""

    def __init__(self, union: Union) -> None:
        self._branches = union.branches
        self._by_type: dict[type, int] = {}
        if is_plain(union):
            self._by_type = {_PRODUCED[_label(branch)]: number for number, branch in enumerate(union.branches)}

    def __call__(self, value: Any) -> tuple[int, Any]:
        """(branch, value without its type name). Raises ExchangeError(E_ENCODE) when the value fits no branch."""
        number = self._by_type.get(type(value))
        if number is not None:
            return number, value
        if isinstance(value, tuple):
            return self._named(value)
        return self._first(value), value

    def _named(self, pair: tuple[Any, ...]) -> tuple[int, Any]:
        if len(pair) == 2:
            for number, branch in enumerate(self._branches):
                if pair[0] == (branch.name if isinstance(branch, Record | Enum | Fixed) else branch.kind):
                    return number, pair[1]
        raise ExchangeError("E_ENCODE", "a pair names no branch of a union")

    def _first(self, value: Any) -> int:
        best: int | None = None
        most: int | None = None
        for number, branch in enumerate(self._branches):
            if best is not None and self._branches[best].kind == "float":
                if branch.kind == "double":
                    return number
                continue
            if not matcher(branch)(value):
                continue
            if isinstance(branch, Record):
                fields = sum(item.name in value for item in branch.fields)
                if most is None or fields > most:
                    best, most = number, fields
                continue
            best = number
            if branch.kind != "float":
                return number
        if best is None:
            raise ExchangeError("E_ENCODE", "a value fits no branch of a union")
        return best


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int | numbers.Integral) and not isinstance(v, bool) and low <= int(v) <= high


_INT, _LONG = _whole(*INT_RANGE), _whole(*LONG_RANGE)
_PLAIN: dict[str, Callable[[Any], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "int": _INT,
    "long": _LONG,
    "float": lambda v: isinstance(v, int | float | numbers.Real) and not isinstance(v, bool),
    "double": lambda v: isinstance(v, int | float | numbers.Real) and not isinstance(v, bool),
    "bytes": lambda v: isinstance(v, bytes | bytearray),
    "string": lambda v: isinstance(v, str),
}


@lru_cache(maxsize=4096)
def matcher(node: Node) -> Callable[[Any], bool]:  # noqa: PLR0911 - a case a type
    """Whether a value fits `node`, as fastavro validates."""
    label = _label(node)
    if label in _PLAIN:
        return _PLAIN[label]
    match node:
        case Primitive() | Fixed() if node.logical and label == "decimal":
            write = DecimalWriter(node.logical, node.size if isinstance(node, Fixed) else None)
            return lambda v: _is_written(write, v)
        case Primitive():
            return lambda v: _is_written(LOGICAL_BYTES[label], v)
        case Fixed():
            return lambda v: isinstance(v, bytes) and len(v) == node.size
        case Enum():
            return lambda v: isinstance(v, str) and v in node.symbols
        case Array():
            return lambda v: _is_list(v) and all(map(matcher(node.items), v))
        case Map():
            return lambda v: (
                isinstance(v, Mapping)
                and all(isinstance(key, str) for key in v)
                and all(map(matcher(node.values), v.values()))
            )
        case Union():
            return lambda v: any(matcher(branch)(v) for branch in node.branches)
        case Record():
            return lambda v: _is_record(node, v)


def _is_written(write: Callable[[Any], bytes], value: Any) -> bool:
    try:
        write(value)
    except (TypeError, AttributeError, ArithmeticError, ValueError, ExchangeError):
        return False
    return not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | array.array) and not isinstance(value, str)


def _is_record(record: Record, value: Any) -> bool:
    if not isinstance(value, Mapping) or value.get("-type", record.name) != record.name:
        return False
    return all(
        matcher(item.type)(value.get(item.name)) for item in record.fields if item.name in value or not item.has_default
    )
