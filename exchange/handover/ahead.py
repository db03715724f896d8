"""Decoding ahead: while the database takes some records, the next ones are decoded.

A database that writes leaves the sink's own processor idle. What is decoded ahead was only received: nothing moves past
it until it is applied, and when the group gives us its partition anew it is dropped and read again.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from exchange.handover.decode import Decoded, Decoder
from exchange.kafka.client.message import Message


@dataclass(frozen=True, slots=True)
class Received:
    """What was received at once."""

    messages: Mapping[int, Sequence[Message]]
    """By partition, in the order of the share."""
    readings: Mapping[int, int]
    """Of which reading of its partition it is a part."""
    ended: frozenset[int]
    """Partitions that ended behind it."""


@dataclass(frozen=True, slots=True)
class Portion:
    """The records of one partition, decoded."""

    partition: int
    reading: int
    end: int
    """The offset behind the last of them."""
    decoded: Decoded


class Ahead:
    """What was received last and is not applied yet."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._received = Received({}, {}, frozenset())
        self._thread: threading.Thread | None = None
        self._portions: list[Portion] = []
        self._error: Exception | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is something."""
        return self._thread is not None

    def begin(self, received: Received) -> None:
        """Decode what was received."""
        self._received, self._portions, self._error = received, [], None
        self._thread = threading.Thread(target=self._decode, name="decode-ahead")
        self._thread.start()

    def take(self, begun: Collection[int]) -> tuple[list[Portion], dict[int, int]]:
        """What there is, and the partitions that end behind it with the numbers of their readings; then it is gone.

        begun: partitions that the group has given us since. Raises what the decoder raises.
        """
        if self._thread is None:
            return [], {}
        self._thread.join()
        self._thread = None
        if self._error is not None:
            raise self._error
        portions, self._portions = self._portions, []
        ended = {one: self._received.readings[one] for one in self._received.ended if one not in begun}
        return [one for one in portions if one.partition not in begun], ended

    def _decode(self) -> None:
        try:
            for partition, messages in self._received.messages.items():
                decoded = self._decoder.all(messages)
                end = messages[-1].offset() + 1
                self._portions.append(Portion(partition, self._received.readings[partition], end, decoded))
        except Exception as error:  # raised where it is taken
            self._error = error
