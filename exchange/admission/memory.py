"""What admission remembers of each key: last sequence and content. The registry stores it, `repeated` adds a little."""

from collections.abc import Iterable

from exchange import record
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.names import HEARTBEAT_KEY

MAX_SEQUENCE = (1 << 63) - 1
CONTENT_BITS = 64
CONTENT = (1 << CONTENT_BITS) - 1
_WITHDRAWN = 0
"""The content of a tombstone."""


def content_hash(value: bytes | None) -> int:
    """64 bits that tell one content from another: Python's own hash of bytes, which is fast.

    Never stored, for each process has another key; the memory is filled from the registry. What delivery stores of a
    personal record is a keyed digest.
    """
    return _WITHDRAWN if value is None else (hash(value) & CONTENT) or 1


class Memory:
    """By key: sequence and content in one integer, which is half the size of a tuple of them."""

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self.beaten_ms: int | None = None
        """When the last heartbeat of the partition was appended, or before there was one: its first record."""

    def fill(self, messages: Iterable[Message]) -> None:
        """Rebuild from a registry partition, oldest record first. Raises ExchangeError(E_REGISTRY_DAMAGED)."""
        known = self.known
        for message in messages:
            key = message.key()
            if key == HEARTBEAT_KEY or self.beaten_ms is None:
                self.beaten_ms = message.timestamp()[1]
            if key == HEARTBEAT_KEY:
                continue
            sequence = record.header(message.headers(), record.SEQUENCE)
            if key is None or sequence is None or not sequence.isdigit():
                raise ExchangeError("E_REGISTRY_DAMAGED", f"{message.topic()}/{message.partition()}/{message.offset()}")
            known[key] = int(sequence) << CONTENT_BITS | content_hash(message.value())
