"""The skeleton of both inner lines: take a batch, let units transform it, commit outputs, offsets and state together.

1. One static member of the group per worker; a unit is one (record type, partition) with its own transactional id.
2. The group metadata is taken with the batch; a batch during which the group moved is thrown away.
3. Crash-only: whatever is not retriable throws the unit and its producer away; the next one is restored from Kafka and
   reads on from the committed offsets. The other units of the worker go on.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message, Place
from exchange.kafka.line.assignment import Assignment
from exchange.kafka.line.builder import Builder
from exchange.kafka.line.garbage import GarbageCollection
from exchange.kafka.line.lag import Lag, LagMeter
from exchange.kafka.line.membership import Membership
from exchange.kafka.line.slot import SlotState
from exchange.kafka.line.subscription import Subscription
from exchange.kafka.line.unit import UnitFactory
from exchange.names import RecordType

CHUNK = 1_000
"""Records per call of the client: more cost more a record."""
_IDLE_SECONDS = 0.2
_HURRY_SECONDS = 0.02
_COMMITTERS = 12


@dataclass(frozen=True, slots=True)
class Pace:
    """When a transaction is committed: at the latest after so many records or seconds, at once when input runs dry."""

    records: int = 10_000
    seconds: float = 0.2


class Line:
    """One worker of a line. `run` returns when told to stop, or raises ExchangeError when it must not go on."""

    def __init__(
        self,
        connection: Connection,
        line: str,
        group: str,
        worker_id: str,
        factory: UnitFactory,
        pace: Pace | None = None,
    ) -> None:
        self.turned = time.monotonic()
        """When the line last came round, on the monotonic clock: its sign of life."""
        self._pace = pace or Pace()
        self._members = Membership(connection, group, worker_id)
        self._builder = Builder(connection, line, factory)
        self._committers = ThreadPoolExecutor(_COMMITTERS, thread_name_prefix=f"{line}-commit")
        self._subscription = Subscription(self._members, factory, line)
        self._slots = Assignment(self._members, self._subscription, self._builder)
        self._lag = LagMeter(self._members)
        self._garbage = GarbageCollection()
        self._group: Any = None
        """The group metadata of the latest batch."""
        self._busy = False
        """Whether the latest batch was a full one."""
        self._records = 0
        """Since the last commit."""
        self._commit_by = Deadline.after(0)

    @property
    def ready(self) -> bool:
        """Whether the group has settled and every unit of ours is at work."""
        return self._slots.ready

    @property
    def lag(self) -> dict[RecordType, Lag]:
        """How far the line was behind a moment ago, by record type."""
        return self._lag.latest

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then finish the batch and leave. Call it in the main thread of the worker."""
        try:
            with self._garbage:
                while not stop.is_set():
                    self._turn()
                if self._slots.current:
                    self._commit()
        finally:
            self._close()

    def _turn(self) -> None:
        self.turned = time.monotonic()
        if self._subscription.due and not self._slots.open:
            self._subscription.renew()
            self._subscription.compare()
        if self._slots.advance() and self.ready:
            self._garbage.freeze()
        self._lag.measure(self._slots)
        pending = [slot for slot in self._slots if slot.pending()]
        messages, group = self._members.take(CHUNK, self._busy, 0.0 if pending else self._patience())
        if not self._slots.current:
            self._regroup()
            return
        self._busy = len(messages) >= CHUNK
        self._group = group or self._group or self._members.metadata()
        for slot in pending:
            slot.process_nothing()
        self._process(messages)
        if self._due():
            self._commit()
        elif not messages:
            self._garbage.rest()

    def _patience(self) -> float:
        """Seconds to wait for a first record: few while a transaction is open or a unit wants to come to work."""
        hurry = any(slot.open or slot.state is not SlotState.READY for slot in self._slots)
        return _HURRY_SECONDS if hurry else _IDLE_SECONDS

    def _regroup(self) -> None:
        """Begin anew after a rebalance."""
        self._records, self._busy, self._group = 0, False, None
        self._slots.regroup()

    def _process(self, messages: list[Message]) -> None:
        """Pass each slot what came for it, and what is known of its inputs."""
        readers = self._slots.readers
        for place, run in _by_place(messages).items():
            if place in readers:
                readers[place].process(place, run)
        if self._records == 0:
            self._commit_by = Deadline.after(self._pace.seconds)
        self._records += len(messages)
        for place in self._members.ended & readers.keys():
            readers[place].note_end(place)
        for place in self._members.lost & readers.keys():
            readers[place].fail(ExchangeError("E_OFFSET_LOST", f"{place[0]}/{place[1]}"))
        self._members.lost.clear()

    def _due(self) -> bool:
        """Whether to commit now."""
        if not self._slots.open:
            return False
        if not self._busy or self._slots.misread or self._records >= self._pace.records:
            return True
        return self._commit_by.passed

    def _commit(self) -> None:
        """Seal every open unit, commit all at once, then let each move on; a unit that cannot is thrown away."""
        opened = [slot for slot in self._slots if slot.open]
        sealed = [slot for slot in opened if slot.seal()]
        outcomes: list[Callable[[], object]]
        if len(sealed) == 1:
            outcomes = [partial(sealed[0].commit, self._group)]
        else:
            outcomes = [self._committers.submit(slot.commit, self._group).result for slot in sealed]
        committed = [slot for slot, outcome in zip(sealed, outcomes, strict=True) if slot.guarded(outcome)]
        for slot in committed:
            slot.settle()
        self._records = 0

    def _close(self) -> None:
        self._slots.part()
        self._members.close()
        self._builder.close()
        self._committers.shutdown(wait=True)


def _by_place(messages: list[Message]) -> dict[Place, list[Message]]:
    runs: dict[Place, list[Message]] = {}
    for message in messages:
        place = (message.topic(), message.partition())
        run = runs.get(place)
        if run is None:
            run = runs[place] = []
        run.append(message)
    return runs
