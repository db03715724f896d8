"""Step three: the record as framed Avro under its natural key."""

from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

from exchange.avro import Codec
from exchange.avro.lock import LockedSchema
from exchange.connect.declare import Record
from exchange.connect.reading import SourceRow
from exchange.errors import ExchangeError
from exchange.record import MAX_VALUE_BYTES, frame

_ROOM_FOR_HEADERS = 2048
MOST_SEQUENCE = (1 << 62) - 1
"""The greatest sequence that a row may say, in microseconds the year 148,000: a later version still has room."""
_HASH_BYTES = 16


@dataclass(slots=True)
class Outgoing:
    """A record ready for its inbox; nobody changes it. Its repr holds neither key nor value."""

    key: bytes
    value: bytes | None
    """Framed Avro, or None for a record that is withdrawn."""
    sequence: int
    digest: bytes | None = None
    """That of the row of which it was made, as `exchange.intake.unchanged.digests` says; None: it has none."""

    def __repr__(self) -> str:
        return f"Outgoing({'withdrawn' if self.value is None else len(self.value)})"


def hash_of(value: bytes) -> bytes:
    """What the memory keeps of a record. The schema's id is a part: a later version of the schema is news."""
    return blake2b(value, digest_size=_HASH_BYTES).digest()


class Encoder:
    """Encodes records of one type by the newest locked version of its schema."""

    def __init__(self, schema: LockedSchema) -> None:
        if schema.record is None:
            raise ExchangeError("E_SCHEMA", f"{schema.subject} is no record type")
        self._natural_key = schema.record.natural_key
        self._key_of = schema.record.key_of
        self._uuids = schema.record.uuids
        self._codec = Codec(schema.schema)
        self._frame = frame(schema.id)

    def encode(self, record: Record, row: SourceRow) -> Outgoing:
        """The record for the inbox. Raises ExchangeError(E_ENCODE, E_ROW_UNMAPPED or E_TOO_LARGE) without a value."""
        sequence = row.sequence
        if sequence is None:
            raise ExchangeError("E_ROW_UNMAPPED", "the version column holds neither a number nor a time")
        if not 0 <= sequence <= MOST_SEQUENCE:
            raise ExchangeError("E_ROW_UNMAPPED", "the version column holds a number that no sequence reaches")
        key = self.key(record)
        if row.withdrawn:
            return Outgoing(key, None, sequence)
        try:
            value = self._frame + self._codec.encode(record)
        except ExchangeError as error:
            raise ExchangeError("E_ENCODE", error.detail) from None
        if len(value) + len(key) > MAX_VALUE_BYTES - _ROOM_FOR_HEADERS:
            raise ExchangeError("E_TOO_LARGE", f"{len(value)} bytes")
        return Outgoing(key, value, sequence)

    def key(self, record: Record) -> bytes:
        """The natural key of a record. Raises ExchangeError(E_ROW_UNMAPPED or E_ENCODE) that names the part."""
        parts = []
        for name in self._natural_key:
            part = record.get(name)
            if part is None or part == "":
                raise ExchangeError("E_ROW_UNMAPPED", f"{name}: a part of the key is empty")
            parts.append(_uuid_text(name, part) if name in self._uuids else str(part))
        try:
            return self._key_of(parts)
        except UnicodeEncodeError:
            raise ExchangeError("E_ENCODE", "a part of the key is no Unicode text") from None


def _uuid_text(name: str, part: object) -> str:
    """A uuid as the key and the record hold it, however a database writes it."""
    try:
        return str(part if isinstance(part, UUID) else UUID(str(part)))
    except ValueError:
        raise ExchangeError("E_ENCODE", f"{name}: a part of the key is no uuid") from None
