"""What a share's records are to a sink: what identifies a row, and one change of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from exchange.connect.declare import Record
from exchange.errors import ExchangeError

RECORD_KEY = "record_key"
"""The key column of a sink whose share does not hold the natural key in clear: the pseudonym."""


@dataclass(slots=True)
class Change:
    """One version of a record, or its end; one of very many. Its repr holds neither key nor value."""

    offset: int
    key: bytes
    record: Record | None

    def __repr__(self) -> str:
        return f"Change(offset={self.offset})"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a sink's table: the fields of the share and what identifies a row."""

    schema: Mapping[str, Any]
    key: tuple[str, ...]

    @classmethod
    def of(cls, schema: Mapping[str, Any], natural_key: Sequence[str], pseudonymous: bool) -> "Layout":
        """The layout for a share's schema: its natural key when that is in clear there (text, uuid), else the key."""
        types = {field["name"]: not_null(field["type"]) for field in schema["fields"]}
        clear = not pseudonymous and all(_is_text(types.get(name)) for name in natural_key)
        return cls(schema, tuple(natural_key) if clear else (RECORD_KEY,))

    def key_values(self, key: bytes) -> dict[str, str]:
        """The key columns of the row with this Kafka key. Raises ExchangeError(E_APPLY) when the parts do not match."""
        return dict(zip(self.key, self.key_parts(key), strict=True))

    def key_parts(self, key: bytes) -> tuple[str, ...]:
        """The values of the key columns alone. Raises ExchangeError(E_APPLY) when the parts do not match."""
        text = key.decode("utf-8", "replace")
        if self.key == (RECORD_KEY,):
            return (text,)
        if len(self.key) == 1 and "/" not in text and "%" not in text:
            return (text,)
        parts = text.split("/")
        if len(parts) != len(self.key):
            raise ExchangeError("E_APPLY", "the key has another number of parts than the table")
        return tuple([unquote(part) for part in parts])


def _is_text(avro: Any) -> bool:
    """Whether a part of the key stands in the share as in the key: text, or a uuid."""
    return avro == "string" or (isinstance(avro, dict) and avro.get("type") == "string")


def not_null(avro: Any) -> Any:
    """The type of a field without null, as it stands in the schema."""
    return next((branch for branch in avro if branch != "null"), "null") if isinstance(avro, list) else avro
