"""Receive: what of a batch is new, and in which version of the schema it is written."""

from collections.abc import Sequence

from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.names import HEARTBEAT_KEY, SchemaId
from exchange.record import unframe


def untaken(messages: Sequence[Message], next_offset: int) -> Sequence[Message]:
    """The messages from `next_offset` on: the unit's own state says what it has taken, whatever the group's offset."""
    if not messages or messages[0].offset() >= next_offset:
        return messages
    return [message for message in messages if message.offset() >= next_offset]


def is_heartbeat(message: Message) -> bool:
    """Whether this is only a sign of life: never delivered, never counted."""
    return message.key() == HEARTBEAT_KEY and message.value() is None


def version_of(messages: Sequence[Message]) -> SchemaId | None:
    """The schema id of the first record that is no withdrawal; the others of a batch are mostly the same."""
    for message in messages:
        value = message.value()
        if value is not None:
            return _schema_id(value)
    return None


def version(message: Message) -> SchemaId:
    """The schema id of one record. Raises ExchangeError(E_REGISTRY_DAMAGED) for a value that is not framed."""
    value = message.value()
    assert value is not None, "a withdrawal has no version"
    return _schema_id(value)


def _schema_id(value: bytes) -> SchemaId:
    schema_id = unframe(value)
    if schema_id is None:
        raise ExchangeError("E_REGISTRY_DAMAGED", "a value is not framed")
    return schema_id
