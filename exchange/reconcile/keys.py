"""Keys of records: the parts of a natural key, percent-encoded and joined by `/` (RFC 3986, pchar)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

RECORD_KEY = "record_key"
"""The key column of a sink's table when the share does not hold the natural key in clear."""
_SAFE = "-._~!$&'()*+,:;=@"


def join(parts: Sequence[str]) -> bytes:
    """The key with these parts."""
    return "/".join(quote(part, safe=_SAFE) for part in parts).encode()


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """Which columns identify a row of a sink's table, and which key a row has."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, schema: Mapping[str, Any], natural_key: Sequence[str], pseudonymous: bool) -> "KeyColumns":
        """Those of a share's table: the natural key where the share holds it in clear, else the key as it is."""
        texts = {field["name"] for field in schema["fields"] if _is_text(field["type"])}
        clear = not pseudonymous and texts.issuperset(natural_key)
        return cls(tuple(natural_key) if clear else (RECORD_KEY,))

    def key_of(self, row: Mapping[str, Any]) -> bytes:
        """The key of a row."""
        if self.names == (RECORD_KEY,):
            return str(row[RECORD_KEY]).encode("utf-8", "replace")
        return join([str(row[name]) for name in self.names])

    def values(self, key: bytes) -> dict[str, str]:
        """The values of the columns for a key; none when it has another number of parts."""
        text = key.decode("utf-8", "replace")
        if self.names == (RECORD_KEY,):
            return {RECORD_KEY: text}
        parts = text.split("/")
        if len(parts) != len(self.names):
            return {}
        return {name: unquote(part) for name, part in zip(self.names, parts, strict=True)}


def _is_text(avro: Any) -> bool:
    """Text, or a uuid, which is one in the key."""
    return avro == "string" or (isinstance(avro, dict) and avro.get("type") == "string")
