"""Receipts: what sinks say they have applied. Their own word, shown beside the books and never part of their sums."""

from collections.abc import Collection
from dataclasses import dataclass

from exchange import names
from exchange.broker.evidence.line_states import Follow, Tail
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.handover.receipt import Receipt, decode
from exchange.names import GrantId

_PREFIX = "receipt."
_POLL_SECONDS = 0.5
_PARTITIONS = 64
"""No share has more partitions; receipts for others are not listened to: the topic is written by a department."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Sums of a grant's receipts."""

    records: int = 0
    faulty: int = 0


class Receipts:
    """Follows `receipt.*`. Used by one thread."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._topics: frozenset[str] = frozenset()
        self._tail: Tail | None = None
        self._latest: dict[GrantId, dict[int, Receipt]] = {}

    def refresh(self, topics: Collection[str], deadline: Deadline) -> None:
        """Read to the end. `topics`: every topic there is."""
        wanted = frozenset(topic for topic in topics if topic.startswith(_PREFIX))
        if wanted != self._topics:
            self.close()
            self._topics = wanted
            self._tail = self._follow([(topic, 0) for topic in sorted(wanted)]) if wanted else None
        if self._tail is None:
            return
        self._take(self._tail, 0)
        while not self._tail.at_end:
            if deadline.passed:
                raise ExchangeError("E_KAFKA_UNREACHABLE", "the receipts were not read in time")
            self._take(self._tail, min(_POLL_SECONDS, deadline.remaining()))

    def of(self, grant: GrantId) -> HandedOver:
        """What the grant's sinks have applied, as far as they say."""
        receipts = self._latest.get(grant, {}).values()
        return HandedOver(sum(one.handed_over for one in receipts), sum(one.faulty for one in receipts))

    def close(self) -> None:
        """Let go of the client."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        self._topics = frozenset()

    def _take(self, tail: Tail, seconds: float) -> None:
        for message in tail.poll(seconds):
            value = message.value()
            receipt = decode(value) if value is not None else None
            if receipt is not None and receipt.partition < _PARTITIONS:
                grant = GrantId(message.topic().removeprefix(names.receipt_topic(GrantId(""))))
                self._latest.setdefault(grant, {})[receipt.partition] = receipt
