"""Step two: a change of the table for each record of the share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from exchange.avro import Codec
from exchange.errors import Action, ExchangeError
from exchange.handover.layout import Change
from exchange.kafka.client.message import Message
from exchange.names import HEARTBEAT_KEY, SchemaId
from exchange.record import FRAME_BYTES, unframe


@dataclass(frozen=True, slots=True)
class Faulty:
    """A record that cannot be taken: where it stands in the share, and why. Its repr does not show the key."""

    partition: int
    offset: int
    key: bytes | None = field(repr=False)
    error: ExchangeError


@dataclass(frozen=True, slots=True)
class Decoded:
    """Records of the share as a sink takes them, in their order; and those of them that are no change."""

    changes: list[Change]
    faulty: list[Faulty]


class Decoder:
    """Decodes the records of one share. Its schema is the one the share was made with; ids are looked up once."""

    def __init__(self, schema_of: Callable[[SchemaId], dict[str, Any]]) -> None:
        self._schema_of = schema_of
        self._codecs: dict[SchemaId, Codec] = {}

    def all(self, messages: Iterable[Message]) -> Decoded:
        """The changes that records mean; heartbeats mean none."""
        decoded = Decoded([], [])
        took, decode = decoded.changes.append, self.decode
        for message in messages:
            if message.key() == HEARTBEAT_KEY:
                continue
            try:
                took(decode(message))
            except ExchangeError as error:
                if error.entry.action is not Action.QUARANTINE:
                    raise
                decoded.faulty.append(Faulty(message.partition(), message.offset(), message.key(), error))
        return decoded

    def decode(self, message: Message) -> Change:
        """The change that a record means; a tombstone is the end of a row. Raises ExchangeError(E_SHARE_DECODE)."""
        key, value = message.key(), message.value()
        if key is None:
            raise ExchangeError("E_SHARE_DECODE", "a record without key")
        if value is None:
            return Change(message.offset(), key, None)
        schema_id = unframe(value)
        if schema_id is None:
            raise ExchangeError("E_SHARE_DECODE", "a record without framing")
        codec = self._codecs.get(schema_id) or self._look_up(schema_id)
        try:
            return Change(message.offset(), key, codec.decode(value[FRAME_BYTES:]))
        except ExchangeError as error:
            raise ExchangeError("E_SHARE_DECODE", error.code) from None

    def _look_up(self, schema_id: SchemaId) -> Codec:
        codec = self._codecs[schema_id] = Codec(self._schema_of(schema_id))
        return codec
