"""The types of fields that a scope can test or a mask can hide: one type, or a union of null and one type."""

from dataclasses import dataclass

from exchange.avro.schema import Node, Primitive, Union
from exchange.errors import ExchangeError


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field's type when it is one type, or a union of null and one type."""

    kind: str
    """`string`, `date`, or another type's name."""
    present: int | None
    """The branch of the value in the union; None when the type is no union."""
    absent: int | None
    """The branch of null."""

    def value(self, start: str) -> str:
        """Where the value begins in a field that begins at `start`, behind the branch of a union."""
        return start if self.present is None else f"{start} + 1"

    def content(self, start: str) -> str:
        """Where the content of a string begins in a field that begins at `start`: behind the branch and the length."""
        at = self.value(start)
        return f"{at} + (1 if b[{at}] < 128 else 2 if b[{at} + 1] < 128 else 3)"  # a length takes at most 3 bytes


def field_type(node: Node) -> FieldType:
    """The type of a field. Raises ExchangeError(E_SHARE_TERMS) for a union of more than null and one type."""
    if not isinstance(node, Union):
        return FieldType(_kind(node), None, None)
    if node.nullable is None:
        raise ExchangeError("E_SHARE_TERMS", "a union of several types can be granted whole only")
    present, branch = node.nullable
    return FieldType(_kind(branch), present, 1 - present)


def _kind(node: Node) -> str:
    return "date" if isinstance(node, Primitive) and node.logical and node.logical.name == "date" else node.kind
