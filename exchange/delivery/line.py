"""The delivery line: receive ▸ permit ▸ redact ▸ forward, one unit for each partition of a registry.

`DeliveryUnit.process` reads as the list of the steps. Permit, redact and forward are one generated function (`cut.py`),
because what is the same for a whole batch must not be asked for each record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from exchange.clock import Deadline
from exchange.delivery.doubts import Doubts
from exchange.delivery.flow import Flow
from exchange.delivery.pseudonym import MasterSecret
from exchange.delivery.receive import is_heartbeat, untaken, version, version_of
from exchange.delivery.report import Report
from exchange.delivery.state import (
    Counts,
    StateRecord,
    Totals,
    UnitState,
    encode_counts,
    encode_holders,
    encode_joined,
    encode_totals,
)
from exchange.delivery.wanted import Shares
from exchange.delivery.writers import Writers
from exchange.errors import ExchangeError
from exchange.kafka.admin import Admin
from exchange.kafka.connection import Connection
from exchange.kafka.message import Message
from exchange.kafka.reader import read_to_end
from exchange.kafka.unit import Output, UnitId
from exchange.names import HEARTBEAT_KEY, RecordType, TopicName, delivery_topic, registry_topic, share_topic

LINE = "delivery"
_RESTORE_SECONDS = 600.0
_FULL_SECONDS = 0.1


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


@dataclass(frozen=True, slots=True)
class Parts:
    """What the units of a worker have in common."""

    connection: Connection
    wanted: Wanted
    writers: Mapping[RecordType, Writers]
    master: MasterSecret
    report: Report


Writable = Callable[[TopicName], bool]
"""Whether Kafka takes records into a share's topic, as far as is known."""


def _everything(_topic: TopicName) -> bool:
    return True


class DeliveryUnit:
    """One partition of a registry and the same partition of its shares. Its state changes with `process` at once."""

    def __init__(self, unit: UnitId, parts: Parts, writable: Writable) -> None:
        self._unit = unit
        self._parts = parts
        self._writable = writable
        self._state = UnitState()
        self._flow = Flow(unit, parts.writers[unit.record_type], parts.master, self._state)
        self._adopted: Shares | None = None
        self._heartbeats = 0
        self._moved = Counts()
        """What the running transaction has done, over all shares; `taken` counts each record once."""
        self._last: Message | None = None

    def restore(self) -> None:
        """Read the state to its end. Raises ExchangeError when Kafka cannot be read."""
        place = (str(delivery_topic(self._unit.record_type)), self._unit.partition)
        for message in read_to_end(self._parts.connection, [place], Deadline.after(_RESTORE_SECONDS)):
            self._state.apply(message.key() or b"", message.value())
        self._state.forget_strangers()

    def fresh(self) -> bool:
        """Whether this unit has never done anything."""
        return self._state.totals == Totals()

    def pending(self) -> bool:
        """Whether the ledger has shares that are not in the flow yet, or the flow some that must leave it."""
        return self._parts.wanted.shares(self._unit.record_type) is not self._adopted

    def process(self, messages: Sequence[Message], output: Output) -> None:
        """Deliver the next records of the registry. Raises ExchangeError(E_REGISTRY_DAMAGED) for what is no record."""
        if self.pending():
            self._adopt()
        taken = untaken(messages, self._state.totals.next)
        if taken:
            self._deliver(taken, output)

    def seal(self, output: Output) -> None:
        """Write the books, the places and the holdings that this transaction changed."""
        again = partial(_produce_again, output)
        topic, partition = delivery_topic(self._unit.record_type), self._unit.partition
        for key, value in self._state_records():
            try:
                output.produce(topic, value, key, partition)
            except BufferError:
                again(topic, value, key, partition)

    def committed(self) -> None:
        """Tell the metrics."""
        self._parts.report.committed(self._unit, self._state, self._moved, self._last)
        self._moved, self._last = Counts(), None

    def _adopt(self) -> None:
        wanted = self._parts.wanted.shares(self._unit.record_type)
        self._flow.adopt(wanted)
        self._adopted = wanted
        refused = [share.share for share in self._flow.live if not self._writable(share_topic(share.share))]
        if refused:
            self._flow.suspend(refused, "E_SHARE_UNWRITABLE")

    def _deliver(self, messages: Sequence[Message], output: Output) -> None:
        produce, again = output.produce, partial(_produce_again, output)
        self._heartbeats = 0
        schema_id = version_of(messages)
        other = partial(self._other, produce, again)
        try:
            if schema_id is None:
                for message in messages:
                    other(message)
            else:
                self._count(self._flow.cut(schema_id)(messages, produce, again, other))
        except (IndexError, ValueError, OverflowError):
            first, last = messages[0].offset(), messages[-1].offset()
            raise ExchangeError("E_REGISTRY_DAMAGED", f"a record between offsets {first} and {last}") from None
        self._take(len(messages) - self._heartbeats, messages[-1])

    def _other(self, produce: Callable[..., None], again: Callable[..., None], message: Message) -> None:
        """What the batch's own cut does not take: a heartbeat, a withdrawal, a record of another version."""
        if message.value() is not None:
            cut = self._flow.cut(version(message))
            self._count(cut((message,), produce, again, partial(self._other, produce, again)))
        elif is_heartbeat(message):
            self._heartbeats += 1
            self._pass_on(_patient(produce, again))
        else:
            retract = self._flow.retractor.retract
            self._count(retract(message.key() or b"", message.headers() or [], _patient(produce, again)))

    def _pass_on(self, produce: Callable[..., None]) -> None:
        """A heartbeat goes to every share, so that old values get compacted there too; it is no record of anyone."""
        for share in self._flow.live:
            produce(share_topic(share.share), None, HEARTBEAT_KEY, self._unit.partition)

    def _count(self, results: Sequence[tuple[int, int, int]]) -> None:
        """What records became for each share. Until `_take`, what it was not given is not yet in its books."""
        for share, (forwarded, retracted, unchanged) in zip(self._flow.live, results, strict=True):
            for books in (self._state.counts[share.share], self._moved):
                books.forwarded += forwarded
                books.retracted += retracted
                books.unchanged += unchanged
                books.out_of_scope -= forwarded + retracted + unchanged

    def _take(self, taken: int, last: Message) -> None:
        """Every live share has taken these records; what it was not given was out of its scope."""
        for share in self._flow.live:
            books = self._state.counts[share.share]
            books.taken += taken
            books.out_of_scope += taken
            self._moved.out_of_scope += taken
        self._moved.taken += taken
        totals = self._state.totals
        self._state.totals = replace(totals, taken=totals.taken + taken, next=last.offset() + 1)
        self._last = last

    def _state_records(self) -> list[StateRecord]:
        state, flow = self._state, self._flow
        records = [encode_totals(state.totals)]
        records += [encode_joined(share, state.joins.get(share)) for share in flow.moved]
        records += [encode_counts(share.share, state.counts[share.share]) for share in flow.live]
        for key in flow.holdings.changed:
            holders = [(number, held[key]) for number, held in state.held.items() if key in held]
            records.append(encode_holders(key, holders))
        flow.moved.clear()
        flow.holdings.changed.clear()
        return records


class DeliveryFactory:
    """Makes the units of one worker, and says what they read."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._refused: dict[UnitId, frozenset[str]] = {}
        self._doubts: Doubts | None = None

    def topics(self) -> list[TopicName]:
        """The registries of every record type that the ledger knows. Follows the ledger."""
        self._parts.wanted.poll()
        self._parts.report.publish()
        return [registry_topic(name) for name in sorted(self._parts.wanted.record_types() & self._parts.writers.keys())]

    def unit(self, record_type: RecordType, partition: int) -> DeliveryUnit:
        """A new unit, not yet restored. After a failure it suspends the shares whose topics cannot be written."""
        unit = UnitId(record_type, partition)
        refused = self._refused.pop(unit, None)
        if refused is None:
            return DeliveryUnit(unit, self._parts, _everything)
        if self._doubts is None:
            self._doubts = Doubts(Admin(self._parts.connection))
        topics = [share_topic(share) for share in self._parts.wanted.shares(record_type)]
        unwritable = refused | self._doubts.missing(topics)
        return DeliveryUnit(unit, self._parts, lambda topic: topic not in unwritable)

    def refused(self, record_type: RecordType, partition: int, topics: frozenset[str]) -> None:
        """A unit has failed, perhaps because of `topics`: the next one of this partition leaves bad shares out."""
        unit = UnitId(record_type, partition)
        self._refused[unit] = self._refused.get(unit, frozenset()) | topics


def _produce_again(output: Output, *arguments: Any, **named: Any) -> None:
    """Produce what found the client's queue full, once there is room."""
    while True:
        output.poll(_FULL_SECONDS)
        try:
            output.produce(*arguments, **named)
            return
        except BufferError:
            continue


def _patient(produce: Callable[..., None], again: Callable[..., None]) -> Callable[..., None]:
    def patient(*arguments: Any, **named: Any) -> None:
        try:
            produce(*arguments, **named)
        except BufferError:
            again(*arguments, **named)

    return patient
