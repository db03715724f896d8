"""Step two: a change of the table for each record of the share."""

from collections.abc import Callable
from typing import Any

from exchange.avro import Codec
from exchange.errors import ExchangeError
from exchange.handover.layout import Change
from exchange.kafka.client.message import Message
from exchange.names import SchemaId
from exchange.record import FRAME_BYTES, unframe


class Decoder:
    """Decodes the records of one share. Its schema is the one the share was made with; ids are looked up once."""

    def __init__(self, schema_of: Callable[[SchemaId], dict[str, Any]]) -> None:
        self._schema_of = schema_of
        self._codecs: dict[SchemaId, Codec] = {}

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
