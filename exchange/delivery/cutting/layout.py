"""Where the fields of a record lie in its bytes: offsets in generated code, and types as far as cuts need them.

In generated code the local bytes `b` hold the framed record, and `o3` is the offset where field 3 begins, which is
where field 2 ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exchange.errors import ExchangeError

_UNNAMED = ("record", "error", "enum", "fixed", "array", "map")


@dataclass(frozen=True, slots=True)
class Choice:
    """A field's type when it is one type, or a union of null and one type."""

    kind: str
    """`string`, `date`, or another type's name."""
    present: int | None
    """The branch of the value in the union; None when the type is no union."""
    absent: int | None
    """The branch of null."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The top-level fields of a writer's schema."""

    names: tuple[str, ...]
    types: tuple[Any, ...]
    shapes: tuple[Any, ...]
    """What of each type decides its encoding."""

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> "Layout":
        """The layout of records of `schema`."""
        types = tuple(field["type"] for field in schema["fields"])
        named: dict[str, Any] = {}
        return cls(
            tuple(field["name"] for field in schema["fields"]), types, tuple(_shape(type_, named) for type_ in types)
        )

    def index(self, name: str) -> int | None:
        """The position of a field, or None when this version of the schema does not have it."""
        return self.names.index(name) if name in self.names else None

    def start(self, index: int) -> str:
        """The offset where a field begins, as code."""
        return f"o{index}"

    def end(self, index: int) -> str:
        """The offset where a field ends, as code; empty (open) for the last field."""
        return f"o{index + 1}" if index + 1 < len(self.names) else ""


def choice(type_: Any) -> Choice:
    """The shape of a field's type. Raises ExchangeError(E_SHARE_TERMS) for a union of more than null and one type."""
    if not isinstance(type_, list):
        return Choice(_kind(type_), None, None)
    kinds = [_kind(branch) for branch in type_]
    if len(kinds) != 2 or "null" not in kinds:
        raise ExchangeError("E_SHARE_TERMS", "a union of several types can be granted whole only")
    absent = kinds.index("null")
    return Choice(kinds[1 - absent], 1 - absent, absent)


def _kind(type_: Any) -> str:
    if not isinstance(type_, dict):
        return str(type_)
    if type_.get("logicalType") == "date" and type_["type"] == "int":
        return "date"
    inner = type_["type"]
    return inner if isinstance(inner, str) else _kind(inner)


def _shape(type_: Any, named: dict[str, Any]) -> Any:
    """Types with equal shapes have the same bytes for the same value. `named` collects the named types met so far."""
    if isinstance(type_, list):
        return [_shape(branch, named) for branch in type_]
    if isinstance(type_, str):
        return named.get(type_.rpartition(".")[2], type_)
    kind = type_["type"]
    if kind not in _UNNAMED:
        return _shape(kind, named)
    if kind == "array":
        return ["array", _shape(type_["items"], named)]
    if kind == "map":
        return ["map", _shape(type_["values"], named)]
    name = str(type_["name"]).rpartition(".")[2]
    named[name] = name
    detail: Any = type_.get("size")
    if kind == "enum":
        detail = list(type_["symbols"])
    elif kind == "record":
        detail = [[field["name"], _shape(field["type"], named)] for field in type_["fields"]]
    named[name] = [kind, name, detail]
    return named[name]
