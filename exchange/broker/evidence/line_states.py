"""The state of both inner lines, as they write it beside what they do: followed, never asked for.

Delivery is read before admission, so that what delivery has taken is never more than what admission has admitted.
Holdings (`h|`) are passed over: the broker needs counts and joins, not who holds what.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from exchange import names
from exchange.admission.state import BOOKS_KEY, Books, decode
from exchange.clock import Deadline
from exchange.delivery.state import UnitState as DeliveryState
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.reader import PartitionTail
from exchange.names import RecordType, ShareName

_HOLDING = b"h|"
_PLACE = b"j|"
_POLL_SECONDS = 0.5
_FIRST_SECONDS = 0.1
"""A tail that was at its end learns within this time that there is more; fetches wait 50 ms at the broker."""


class Tail(Protocol):
    """What follows partitions."""

    @property
    def at_end(self) -> bool:
        """Whether everything there was read."""
        ...

    def poll(self, seconds: float) -> list[Message]:
        """The next records."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


Follow = Callable[[list[tuple[str, int]]], Tail]


@dataclass(slots=True)
class Unit:
    """What both lines say of one partition of a record type."""

    admission: Books = field(default_factory=Books)
    delivery: DeliveryState = field(default_factory=DeliveryState)
    placed_at: dict[ShareName, datetime] = field(default_factory=dict)
    """When the state record of each share's place in the unit was appended last."""

    @property
    def in_flight(self) -> int:
        """Records of the registry that delivery has not taken: counted on both sides."""
        return self.admission.entered - self.delivery.taken

    def share_in_flight(self, share: ShareName) -> int:
        """Records that entered the registry since the share joined and that it has not been offered."""
        joined = self.delivery.joins.get(share)
        counts = self.delivery.counts.get(share)
        if joined is None or joined.suspended is not None:
            return 0
        return self.admission.entered - joined.taken - (counts.taken if counts else 0)


class LineStates:
    """Follows `exchange.admission.*` and `exchange.delivery.*`. Refreshed by one thread, read by any."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._layout: dict[RecordType, int] = {}
        self._units: dict[RecordType, list[Unit]] = {}
        self._tails: list[Tail] = []
        self._lock = threading.Lock()

    @classmethod
    def on(cls, connection: Connection) -> "LineStates":
        """The lines of a real Kafka."""
        return cls(lambda places: PartitionTail(connection, places))

    def refresh(self, layout: Mapping[RecordType, int], deadline: Deadline) -> None:
        """Read to the end. `layout`: every record type whose state topics exist, with its partition count."""
        if dict(layout) != self._layout or not self._tails:
            self._begin(layout)
        for tail in self._tails:
            self._take(tail.poll(_FIRST_SECONDS))
            while not tail.at_end:
                if deadline.passed:
                    raise ExchangeError("E_KAFKA_UNREACHABLE", "the state of the lines was not read in time")
                self._take(tail.poll(min(_POLL_SECONDS, deadline.remaining())))

    def units(self, record_type: RecordType) -> list[Unit]:
        """The partitions of a record type, in order; empty when nothing is known of it."""
        with self._lock:
            return list(self._units.get(record_type, ()))

    def record_types(self) -> list[RecordType]:
        """Every record type that is followed."""
        with self._lock:
            return sorted(self._units)

    def in_flow(self, share: ShareName) -> bool:
        """Whether any unit of the delivery line still has the share."""
        with self._lock:
            return any(unit.delivery.has(share) for units in self._units.values() for unit in units)

    def close(self) -> None:
        """Let go of the clients."""
        for tail in self._tails:
            tail.close()
        self._tails = []

    def _begin(self, layout: Mapping[RecordType, int]) -> None:
        self.close()
        with self._lock:
            self._layout = dict(layout)
            self._units = {name: [Unit() for _ in range(count)] for name, count in layout.items()}
        for topic_of in (names.delivery_topic, names.admission_topic):
            places: list[tuple[str, int]] = [
                (topic_of(name), number) for name, count in layout.items() for number in range(count)
            ]
            if places:
                self._tails.append(self._follow(places))

    def _take(self, messages: list[Message]) -> None:
        with self._lock:
            for message in messages:
                key = message.key()
                if key is not None and not key.startswith(_HOLDING):
                    self._apply(message, key)

    def _apply(self, message: Message, key: bytes) -> None:
        topic = message.topic()
        line, _, name = topic.removeprefix("exchange.").partition(".")
        unit = self._units[RecordType(name)][message.partition()]
        if line == "admission":
            value = message.value()
            if key == BOOKS_KEY and value is not None:
                unit.admission = decode(value)
            return
        unit.delivery.apply(key, message.value())
        if key.startswith(_PLACE):
            share = ShareName(key.removeprefix(_PLACE).decode())
            unit.placed_at[share] = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
