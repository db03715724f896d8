"""The delivery line: receive ▸ permit ▸ redact ▸ forward, one unit for each partition of a registry.

A transaction of a unit: what is new of the next records (`receive`) goes to all shares of the live flow in one pass
(`cutter`: `permit`, `redact` and `forward`, compiled by `cut`; withdrawals by `retract`). Then a `backfill` that is
under way takes a step with older records, then the books, the places of the shares and the holdings are written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from exchange.delivery.backfill import Cursor
from exchange.delivery.cutter import produce_again
from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.ledger_shares import Shares
from exchange.delivery.line_metrics import LineMetrics
from exchange.delivery.receive import untaken
from exchange.delivery.state import (
    Counts,
    StateRecord,
    Totals,
    UnitState,
    encode_counts,
    encode_holders,
    encode_place,
    encode_totals,
)
from exchange.delivery.unit_shares import UnitShares
from exchange.delivery.unwritable import UnwritableTopics
from exchange.delivery.writers import Writers
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.cursor import PartitionCursor
from exchange.kafka.client.message import Message
from exchange.kafka.line.restore import restored
from exchange.kafka.line.unit import Output, UnitId
from exchange.names import RecordType, TopicName, delivery_topic, registry_topic, share_topic

LINE = "delivery"
_HURRY_SECONDS = 2.0


class Wanted(Protocol):
    """What the ledger wants delivered. The product follows the ledger; a measurement may have a plan instead."""

    def poll(self) -> None:
        """Take in what is new."""
        ...

    def record_types(self) -> frozenset[RecordType]:
        """The record types whose registries are read."""
        ...

    def shares(self, record_type: RecordType) -> Shares:
        """The shares of a record type: the same object as long as nothing has changed."""
        ...


Reread = Callable[[Connection, TopicName, int, int], Cursor]
"""Opens a second way into a partition of a topic, from an offset on."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the units of a worker have in common."""

    connection: Connection
    wanted: Wanted
    writers: Mapping[RecordType, Writers]
    master: MasterSecret
    metrics: LineMetrics
    reread: Reread = PartitionCursor


Writable = Callable[[TopicName], bool]
"""Whether Kafka takes records into a share's topic, as far as is known."""


class DeliveryUnit:
    """One partition of a registry and the same partition of its shares. Its state changes with `process` at once."""

    def __init__(
        self,
        unit: UnitId,
        parts: Parts,
        writable: Writable | None = None,
        topics: UnwritableTopics | None = None,
    ) -> None:
        self.state_topic = delivery_topic(unit.record_type)
        self._unit = unit
        self._parts = parts
        self._topics = topics
        self._writable = writable
        """Asked once, after a failure: what is mended later is not refused for what was known then."""
        self._state = UnitState()
        self._shares = UnitShares(unit, parts.writers[unit.record_type], parts.master, self._state, self._reread)
        self._adopted: Shares | None = None
        self._moved, self._filled = Counts(), Counts()
        """What live flow and backfill have done in the running transaction, over all shares."""
        self._last: Message | None = None
        self._releasing = False
        """Whether every share is to be given a heartbeat."""

    def restore(self) -> None:
        """Read the state to its end. Raises ExchangeError when Kafka cannot be read."""
        unit = self._unit
        for message in restored(self._parts.connection, self.state_topic, unit.partition):
            self._state.apply(message.key() or b"", message.value())
        self._state.forget_strangers()

    def next_offset(self, topic: TopicName) -> int | None:  # noqa: ARG002 - it has one input
        """The first offset of the registry that is not taken; None when this unit has never done anything."""
        return None if self._state.totals == Totals() else self._state.totals.next

    def release(self) -> None:
        """Want a heartbeat in every share."""
        self._releasing = True

    def pending(self) -> bool:
        """Whether the ledger has shares that have changed, a backfill can get on, or a heartbeat is to be written."""
        changed = self._parts.wanted.shares(self._unit.record_type) is not self._adopted
        return changed or self._releasing or self._shares.ready()

    def process(self, messages: Sequence[Message], output: Output) -> None:
        """Deliver the next records of the registry. Raises ExchangeError(E_REGISTRY_DAMAGED) for what is no record."""
        wanted = self._parts.wanted.shares(self._unit.record_type)
        if wanted is not self._adopted:
            self._adopt(wanted)
        if self._releasing:
            self._shares.live.beat(output)
            self._releasing = False
        new = untaken(messages, self._state.totals.next)
        if new:
            taken = self._shares.live.take(new, output, self._moved)
            totals, self._last = self._state.totals, new[-1]
            self._state.totals = replace(totals, taken=totals.taken + taken, next=self._last.offset() + 1)

    def seal(self, output: Output) -> None:
        """Let a backfill get on, then write what this transaction changed: books, places, holdings."""
        self._shares.backfill(output, self._filled)
        topic, partition = self.state_topic, self._unit.partition
        for key, value in self._state_records():
            try:
                output.produce(topic, value, key, partition)
            except BufferError:
                produce_again(output, topic, value, key, partition)

    def unwritable(self) -> bool:
        """Whether the topic of a share is gone that the transaction may have written to."""
        if self._topics is None:
            return False
        topics = [share_topic(share.share) for share in (*self._shares.live.shares, *self._shares.backfilled.shares)]
        try:
            return bool(self._topics.missing(topics, _HURRY_SECONDS))
        except ExchangeError:
            return False  # it is Kafka itself that does not answer

    def committed(self) -> None:
        """Tell the metrics."""
        self._parts.metrics.committed(self._unit, self._state, (self._moved, self._filled), self._last)
        self._moved, self._filled, self._last = Counts(), Counts(), None

    def _adopt(self, wanted: Shares) -> None:
        self._shares.adopt(wanted)
        self._adopted = wanted
        if self._writable is not None:
            self._shares.suspend_unwritable(self._writable)
            self._writable = None

    def _reread(self, start: int) -> Cursor:
        topic = registry_topic(self._unit.record_type)
        return self._parts.reread(self._parts.connection, topic, self._unit.partition, start)

    def _state_records(self) -> list[StateRecord]:
        state, shares = self._state, self._shares
        written = [*shares.live.shares, *shares.backfilled.shares]
        records = [encode_totals(state.totals)]
        records += [encode_place(share, state.place(share)) for share in shares.moved]
        records += [encode_counts(share.share, state.counts[share.share]) for share in written]
        for key in shares.holdings.changed:
            holders = [(number, held[key]) for number, held in state.held.items() if key in held]
            records.append(encode_holders(key, holders))
        shares.moved.clear()
        shares.holdings.changed.clear()
        return records


class DeliveryFactory:
    """Makes the units of one worker, and says what they read."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._refused: dict[UnitId, frozenset[str]] = {}
        self._topics = UnwritableTopics(parts.connection)

    def topics(self) -> list[TopicName]:
        """The registries of every record type that the ledger knows. Follows the ledger."""
        self._parts.wanted.poll()
        self._parts.metrics.publish()
        return [registry_topic(name) for name in sorted(self._parts.wanted.record_types() & self._parts.writers.keys())]

    def unit(self, record_type: RecordType, partition: int) -> DeliveryUnit:
        """A new unit, not yet restored. After a failure it suspends the shares whose topics cannot be written."""
        unit = UnitId(record_type, partition)
        refused = self._refused.pop(unit, None)
        if refused is None:
            return DeliveryUnit(unit, self._parts, topics=self._topics)
        topics = [share_topic(share) for share in self._parts.wanted.shares(record_type)]
        unwritable = refused | self._topics.missing(topics)
        return DeliveryUnit(unit, self._parts, lambda topic: topic not in unwritable, self._topics)

    def refused(self, record_type: RecordType, partition: int, topics: frozenset[str]) -> None:
        """A unit has failed, perhaps because of `topics`: the next one of this partition leaves bad shares out."""
        unit = UnitId(record_type, partition)
        self._refused[unit] = self._refused.get(unit, frozenset()) | topics
