"""Hostile records: what a foreign client may put into an inbox, and the code with which admission puts it aside."""

from collections.abc import Sequence
from dataclasses import dataclass

from exchange.errors import ExchangeError
from exchange.names import SchemaId
from exchange.record import FRAME_BYTES, MAGIC, Headers, frame

UNKNOWN_SCHEMA = SchemaId(99_999)
HUGE_BYTES = 900_000


@dataclass(frozen=True, slots=True)
class Good:
    """A good record to spoil: its key and its framed value. The first field of its schema is a string of 18 bytes."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Hostile:
    """One bad record: `misplaced` asks for a partition that is not the key's own."""

    name: str
    code: str
    key: bytes | None
    value: bytes
    headers: Headers
    misplaced: bool = False


def hostile_records(good: Good, other: Good, stranger: Good, foreign_schema: SchemaId) -> Sequence[Hostile]:
    """Fifteen spoilt versions of `good`.

    other: a good record of the same department that admission has not seen; stranger: a well-formed record whose key
    belongs to another department; foreign_schema: the id of another record type's schema.
    """
    key, value = good.key, good.value
    head, body = value[:FRAME_BYTES], value[FRAME_BYTES:]
    if body[0] != 2 * len(key):
        raise ExchangeError("E_SCHEMA", "the first field is not the key")
    return (
        Hostile("no framing", "E_FRAMING", key, body, []),
        Hostile("wrong magic", "E_FRAMING", key, bytes([MAGIC + 1]) + value[1:], []),
        Hostile("unknown schema id", "E_SCHEMA_UNKNOWN", key, frame(UNKNOWN_SCHEMA) + body, []),
        Hostile("another type's schema id", "E_SCHEMA_FOREIGN", key, frame(foreign_schema) + body, []),
        Hostile("truncated", "E_AVRO_TRUNCATED", key, value[:-1], []),
        Hostile("trailing bytes", "E_AVRO_TRAILING", key, value + b"\0", []),
        Hostile("over-long varint", "E_AVRO_VARINT", key, head + bytes([body[0] | 0x80, 0]) + body[1:], []),
        Hostile("huge length", "E_AVRO_LENGTH", key, head + b"\x80\x80\x80\x80\x80\x40" + body[1:], []),
        Hostile("negative length", "E_AVRO_LENGTH", key, head + b"\x01" + body[1:], []),
        Hostile("wrong key", "E_KEY_MISMATCH", key, other.value, []),
        Hostile("null key", "E_KEY_MISSING", None, value, []),
        Hostile("wrong partition", "E_KEY_PARTITION", other.key, other.value, [], misplaced=True),
        Hostile("900 kB", "E_TOO_LARGE", key, value + bytes(HUGE_BYTES), []),
        Hostile("forged headers", "E_HEADER_FORGED", key, value, [("ce_source", b"/departments/somebody-else")]),
        Hostile("someone else's key", "E_KEY_NOT_OWNED", stranger.key, stranger.value, []),
    )
