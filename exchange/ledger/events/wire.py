"""Events as Kafka carries them: Confluent framing and Avro, the entity as key, `data` as canonical JSON text."""

from sys import intern

import orjson

from exchange.avro import Codec
from exchange.avro.lock import LEDGER_SUBJECT, SchemaRepository
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.ledger.events.event import LedgerEvent
from exchange.names import HEARTBEAT_KEY, SchemaId
from exchange.record import FRAME_BYTES, frame, unframe


class EventCodec:
    """Encodes and decodes events; one decoder for each locked version of the schema."""

    def __init__(self, schemas: SchemaRepository) -> None:
        self._schemas = schemas
        latest = schemas.latest(LEDGER_SUBJECT)
        self._frame = frame(SchemaId(latest.id))
        self._codecs: dict[int, Codec] = {latest.id: Codec(latest.schema)}
        self._encode = self._codecs[latest.id].encode

    def encode(self, event: LedgerEvent) -> bytes:
        """The value of the record that holds `event`."""
        return self._frame + self._encode(
            {
                "seq": event.seq,
                "event": event.event,
                "at": event.at,
                "actor": event.actor,
                "entity": event.entity,
                "command_id": event.command_id,
                "prev_hash": event.prev_hash,
                "data": event.text,
            }
        )

    def decode(self, message: Message) -> LedgerEvent:
        """The event in a record of the ledger. Raises ExchangeError(E_LEDGER_BROKEN) for anything else."""
        return self.read(message.value(), message.offset())

    def read(self, value: bytes | None, offset: int | None) -> LedgerEvent:
        """The event in the value of a record. Raises ExchangeError(E_LEDGER_BROKEN) for anything else."""
        place = f"offset {offset}"
        if value is None:
            raise ExchangeError("E_LEDGER_BROKEN", f"{place} holds no event")
        try:
            body = self._codec(unframe(value)).decode(value[FRAME_BYTES:])
            data = orjson.loads(body["data"])
        except (ExchangeError, ValueError, KeyError, RecursionError):
            raise ExchangeError("E_LEDGER_BROKEN", f"{place} holds no readable event") from None
        if not isinstance(data, dict):
            raise ExchangeError("E_LEDGER_BROKEN", f"{place} holds no readable event")
        return LedgerEvent(
            seq=body["seq"],
            event=intern(body["event"]),  # few names, told by every event: each is kept once
            at=body["at"],
            actor=intern(body["actor"]),
            entity=body["entity"],
            command_id=body.get("command_id"),
            prev_hash=body["prev_hash"],
            data=data,
            offset=offset,
            text=body["data"],
        )

    def _codec(self, schema_id: SchemaId | None) -> Codec:
        codec = self._codecs.get(schema_id or 0)
        if codec is None:
            locked = None if schema_id is None else self._schemas.by_id(schema_id)
            if locked is None or locked.subject != LEDGER_SUBJECT:
                raise ExchangeError("E_LEDGER_BROKEN", "a record of the ledger names no schema of the ledger")
            codec = self._codecs[locked.id] = Codec(locked.schema)
        return codec


def is_event(message: Message) -> bool:
    """Whether a record of the ledger is an event: a heartbeat stands where a hanging transaction was ended."""
    return message.value() is not None or message.key() != HEARTBEAT_KEY
