"""Step three: the record as framed Avro under its natural key."""

from dataclasses import dataclass

from exchange.avro import Codec
from exchange.avro.lock import LockedSchema
from exchange.connect.declare import Record
from exchange.connect.reading import SourceRow
from exchange.errors import ExchangeError
from exchange.record import MAX_VALUE_BYTES, frame

_ROOM_FOR_HEADERS = 2048


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record ready for its inbox. Its repr holds neither key nor value."""

    key: bytes
    value: bytes | None
    """Framed Avro, or None for a record that is withdrawn."""
    sequence: int

    def __repr__(self) -> str:
        return f"Outgoing({'withdrawn' if self.value is None else len(self.value)})"


class Encoder:
    """Encodes records of one type by the newest locked version of its schema."""

    def __init__(self, schema: LockedSchema) -> None:
        if schema.record is None:
            raise ExchangeError("E_SCHEMA", f"{schema.subject} is no record type")
        self._record = schema.record
        self._codec = Codec(schema.schema)
        self._frame = frame(schema.id)

    def encode(self, record: Record, row: SourceRow) -> Outgoing:
        """The record for the inbox. Raises ExchangeError(E_ENCODE or E_TOO_LARGE) without a value."""
        if row.sequence is None:
            raise ExchangeError("E_ROW_UNMAPPED", "the version column holds neither a number nor a time")
        key = self._record.key_of([self._key_part(record, name) for name in self._record.natural_key])
        if row.withdrawn:
            return Outgoing(key, None, row.sequence)
        try:
            value = self._frame + self._codec.encode(record)
        except ExchangeError as error:
            raise ExchangeError("E_ENCODE", error.detail) from None
        if len(value) + len(key) > MAX_VALUE_BYTES - _ROOM_FOR_HEADERS:
            raise ExchangeError("E_TOO_LARGE", f"{len(value)} bytes")
        return Outgoing(key, value, row.sequence)

    def _key_part(self, record: Record, name: str) -> str:
        value = record.get(name)
        if value is None or value == "":
            raise ExchangeError("E_ROW_UNMAPPED", f"{name}: a part of the key is empty")
        return str(value)
