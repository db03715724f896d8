"""The skeleton of both inner lines: take a batch, let units transform it, commit outputs, offsets and state together.

1. One static member of the group per worker; a unit is one (record type, partition) with its own transactional id.
2. The group metadata is taken with the batch; a batch during which the group moved is thrown away.
3. Crash-only: whatever is not retriable throws the unit and its producer away; the next one is restored from Kafka and
   reads on from the committed offsets. The other units of the worker go on.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import KafkaException

from exchange.errors import Action, ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import translate
from exchange.kafka.client.message import Message, Place
from exchange.kafka.line.membership import Membership
from exchange.kafka.line.slot import Slot, SlotState
from exchange.kafka.line.unit import UnitFactory, UnitId, record_type_of
from exchange.names import RecordType, TopicName

_log = structlog.get_logger("exchange.line")

CHUNK = 1_000
"""Records per call of the client: more cost more a record."""
_IDLE_SECONDS = 0.2
_LEARN_SECONDS = 0.2
_EXISTENCE_SECONDS = 2.0
_HELD_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_LAG_SECONDS = 2.0
_COLLECT_SECONDS = 60.0
_BUILDERS = 12
_COMMITTERS = 12
_LONG = 3600.0


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
        self._connection = connection
        self._name = line
        self._factory = factory
        self._pace = pace or Pace()
        self._members = Membership(connection, group, worker_id)
        self._slots: dict[UnitId, Slot] = {}
        self._by_place: dict[Place, Slot] = {}
        self._subscribed: dict[str, int] = {}
        self._wanted: frozenset[TopicName] = frozenset()
        self._generation = 0
        self._group: Any = None
        self._at_end: set[Place] = set()
        self._reread = False
        self._busy = False
        self._records = 0
        self._opened = 0.0
        self._learnt = self._looked = self._measured = -_LONG
        self._collected = time.monotonic()
        self._threads = ThreadPoolExecutor(_BUILDERS, thread_name_prefix=f"{line}-unit")
        self._committers = ThreadPoolExecutor(_COMMITTERS, thread_name_prefix=f"{line}-commit")
        self.turned = time.monotonic()
        """When the line last came round, on the monotonic clock: its sign of life."""
        self.lag: dict[RecordType, tuple[int, float]] = {}
        """By record type, a moment ago: records unread (markers count too) and the age in seconds of the last one read.

        Both are 0 when the end was reached.
        """

    @property
    def ready(self) -> bool:
        """Whether the group has settled and every unit of ours is at work."""
        settled = self._members.assigned is not None and self._generation == self._members.generation
        return settled and all(slot.state is SlotState.READY for slot in list(self._slots.values()))

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then finish the batch and leave. Call it in the main thread of the worker."""
        gc.disable()  # the hot path makes no cycles, and a full collection over a unit's memory costs seconds
        try:
            while not stop.is_set():
                self._turn()
            if self._members.generation == self._generation:
                self._commit()
        finally:
            gc.enable()
            self._close()

    def _turn(self) -> None:
        self.turned = time.monotonic()
        self._learn()
        self._advance()
        self._measure()
        hurry = any(slot.open or slot.state is not SlotState.READY for slot in self._slots.values())
        pending = [slot for slot in self._ready() if slot.unit is not None and not slot.open and slot.unit.pending()]
        messages, group = self._members.take(CHUNK, self._busy, 0.0 if pending else 0.02 if hurry else _IDLE_SECONDS)
        if self._members.generation != self._generation:
            self._regroup()
            return
        self._busy = len(messages) >= CHUNK
        self._group = group or self._group or self._members.metadata()
        for slot in pending:
            self._guarded(slot, lambda slot=slot: slot.process([]))  # type: ignore[misc]
        self._process(messages)
        if self._due():
            self._commit()
        elif not messages:
            self._rest()

    def _process(self, messages: list[Message]) -> None:
        runs: dict[Place, list[Message]] = {}
        for message in messages:
            place = (message.topic(), message.partition())
            run = runs.get(place)
            if run is None:
                run = runs[place] = []
            run.append(message)
        self._at_end = (self._at_end - runs.keys()) | self._members.ended
        for place, run in runs.items():
            slot = self._by_place.get(place)
            if slot is not None and slot.state is SlotState.READY:
                self._guarded(slot, lambda slot=slot, run=run: slot.process(run))  # type: ignore[misc]
        if self._records == 0:
            self._opened = time.monotonic()
        self._records += len(messages)
        for place in self._members.lost:
            if place in self._by_place:
                self._fail(self._by_place[place], ExchangeError("E_OFFSET_LOST", f"{place[0]}/{place[1]}"))
        self._members.lost.clear()

    def _due(self) -> bool:
        if not any(slot.open for slot in self._slots.values()):
            return False
        if not self._busy or self._reread or self._records >= self._pace.records:
            return True
        return time.monotonic() - self._opened >= self._pace.seconds

    def _commit(self) -> None:
        """Seal every open unit, commit all at once, then let each move on; a unit that cannot is thrown away."""
        opened = [slot for slot in self._slots.values() if slot.open]
        sealed = [slot for slot in opened if self._guarded(slot, slot.seal)]
        if len(sealed) == 1:
            self._guarded(sealed[0], lambda: sealed[0].commit(self._group))
        else:
            waiting = [(slot, self._committers.submit(slot.commit, self._group)) for slot in sealed]
            for slot, future in waiting:
                self._guarded(slot, future.result)
        for slot in sealed:
            if slot.open:
                self._guarded(slot, slot.settle)
        self._records = 0

    def _guarded(self, slot: Slot, act: Callable[[], object]) -> bool:
        """Whether `act` went well; if not, the slot is thrown away."""
        try:
            act()
        except KafkaException as error:
            self._fail(slot, translate(error))
        except Exception as error:
            self._fail(slot, error)
        else:
            return True
        return False

    def _fail(self, slot: Slot, error: Exception) -> None:
        code = error.code if isinstance(error, ExchangeError) else "E_INTERNAL"
        if code == "E_WORKER_TWIN":
            # Not judged here: the group metadata of this batch may have been taken when the client had just forgotten
            # its member id. A real twin has our next heartbeat refused.
            error = ExchangeError(code := "E_KAFKA_MEMBERSHIP", "refused as a twin's")
        refused = frozenset(slot.output.failed_topics if slot.output is not None else ())
        self._release(slot)
        pause = slot.fail(away=code == "E_KAFKA_UNREACHABLE")
        self._reread = True
        stop = isinstance(error, ExchangeError) and error.entry.action is Action.STOP
        _log.log(
            40 if stop or code == "E_INTERNAL" else 30,
            "line.unit_rebuilt",
            line=self._name,
            record_type=slot.id.record_type,
            partition=slot.id.partition,
            code=code,
            detail=str(error) if isinstance(error, ExchangeError) else _where(error),
            refused=sorted(refused),
            again_in_seconds=round(pause, 1),
        )
        self._factory.refused(*slot.id, refused)

    def _release(self, slot: Slot) -> None:
        """Throw unit and producer away. The last reference dies in another thread: that may take the client a while."""
        if slot.output is not None:
            last = [slot.output]
            slot.let_go()
            self._threads.submit(lambda: last.pop().close())

    def _learn(self) -> None:
        """Subscribe to what the factory wants and Kafka has; never while a transaction is open."""
        now = time.monotonic()
        if now - self._learnt < _LEARN_SECONDS or any(slot.open for slot in self._slots.values()):
            return
        self._learnt = now
        wanted = frozenset(self._factory.topics())
        missing = not wanted <= self._subscribed.keys()
        if wanted == self._wanted and not (missing and now - self._looked >= _EXISTENCE_SECONDS):
            return
        self._wanted, self._looked = wanted, now
        try:
            existing = self._members.existing()
        except ExchangeError as error:
            _log.warning("line.topics_unknown", line=self._name, code=error.code)
            return
        found: dict[str, int] = {topic: existing[topic] for topic in wanted if existing.get(topic)}
        if found.keys() != self._subscribed.keys():
            self._subscribed = found
            _log.info("line.subscribed", line=self._name, topics=len(found), missing=len(wanted) - len(found))
            self._members.subscribe(TopicName(topic) for topic in found)

    def _advance(self) -> None:
        """Start builds that are due, take up those that are done; then read what ready units want, from there on."""
        for slot in self._slots.values():
            if self._due_for_building(slot):
                slot.state = SlotState.BUILDING
                slot.building = self._threads.submit(slot.build, self._factory)
            elif slot.state is SlotState.BUILDING and slot.building is not None and slot.building.done():
                self._built(slot, slot.building)
        self._locate()
        if self._reread and self._members.assigned is not None and not any(s.open for s in self._slots.values()):
            self._reread = False
            positions = {place: offset for slot in self._ready() for place, offset in slot.positions.items()}
            self._by_place = {place: self._slot_of(place) for place in positions}
            self._at_end = set()
            self._members.read(positions)
            self._freeze()

    def _due_for_building(self, slot: Slot) -> bool:
        now = time.monotonic()
        if slot.state is SlotState.WAITING:
            return now >= slot.since
        return slot.state is SlotState.HELD and (self._whole(slot) or now - slot.since > _HELD_SECONDS)

    def _built(self, slot: Slot, building: "Future[None]") -> None:
        slot.building = None
        if self._guarded(slot, building.result):
            slot.state, slot.since = SlotState.BUILT, time.monotonic()

    def _locate(self) -> None:
        """Find where the units that were built read on. In this thread: the client's consumer serves one at a time."""
        now = time.monotonic()
        built = [slot for slot in self._slots.values() if slot.state is SlotState.BUILT and now >= slot.since]
        if not built or self._members.assigned is None:
            return
        try:
            unknown = {place for slot in built for place in slot.unknown()}
            committed = self._members.committed(unknown)
            beginnings = self._members.beginnings(unknown - committed.keys())
        except ExchangeError as error:
            _log.warning("line.offsets_unknown", line=self._name, code=error.code)
            for slot in built:
                slot.since = now + _AGAIN_SECONDS
            return
        for slot in built:
            if self._guarded(slot, lambda slot=slot: slot.locate(committed, beginnings)):  # type: ignore[misc]
                slot.state = SlotState.READY
                self._reread = True

    def _whole(self, slot: Slot) -> bool:
        """Whether no other worker reads a part of this unit (one that has not yet learnt of a new topic might)."""
        of_type = (t for t, n in self._subscribed.items() if n > slot.id.partition)
        return slot.topics >= {topic for topic in of_type if record_type_of(topic) == slot.id.record_type}

    def _ready(self) -> Iterable[Slot]:
        return [slot for slot in self._slots.values() if slot.state is SlotState.READY]

    def _slot_of(self, place: Place) -> Slot:
        return self._slots[UnitId(record_type_of(place[0]), place[1])]

    def _regroup(self) -> None:
        """After a rebalance: what was open is thrown away, units that stay ours are kept, the others let go."""
        self._generation = self._members.generation
        self._records, self._busy, self._reread, self._group = 0, False, True, None
        self._by_place = {}
        for slot in self._slots.values():
            if slot.open:
                self._release(slot)
                slot.state, slot.since = SlotState.WAITING, time.monotonic()
        assigned = self._members.assigned
        if assigned is None:
            return
        topics: dict[UnitId, set[str]] = {}
        for topic, partition in assigned:
            topics.setdefault(UnitId(record_type_of(topic), partition), set()).add(topic)
        for gone in self._slots.keys() - topics.keys():
            self._part(self._slots.pop(gone))
        for unit_id, found in topics.items():
            slot = self._slots.setdefault(unit_id, Slot(unit_id, self._name, self._connection))
            self._keep(slot, frozenset(found))
        _log.info("line.assigned", line=self._name, generation=self._generation, units=len(self._slots))

    @staticmethod
    def _keep(slot: Slot, topics: frozenset[str]) -> None:
        """A slot of ours after a rebalance: when its topics changed, only their positions have to be found anew."""
        if slot.state in (SlotState.READY, SlotState.BUILT) and slot.topics != topics:
            slot.state, slot.since = SlotState.HELD, time.monotonic()
        slot.topics = topics

    def _part(self, slot: Slot) -> None:
        if slot.building is not None:
            slot.building.add_done_callback(lambda _: slot.close())
        else:
            self._release(slot)

    def _measure(self) -> None:
        """Renew `lag`."""
        now = time.monotonic()
        if now - self._measured < _LAG_SECONDS:
            return
        self._measured = now
        found: dict[RecordType, tuple[int, float]] = {}
        for slot in self._slots.values():
            waiting = {place: offset for place, offset in slot.positions.items() if place not in self._at_end}
            records = sum(max(1, distance) for distance in self._members.behind(waiting).values())
            age = max(0.0, time.time() - slot.newest_ms / 1000) if records and slot.newest_ms else 0.0
            before = found.get(slot.id.record_type, (0, 0.0))
            found[slot.id.record_type] = (before[0] + records, max(before[1], age))
        self.lag = found

    def _freeze(self) -> None:
        if self.ready:
            gc.collect()
            gc.freeze()

    def _rest(self) -> None:
        """Nothing to do: a good moment to collect what little garbage there is."""
        now = time.monotonic()
        if now - self._collected > _COLLECT_SECONDS:
            self._collected = now
            gc.collect()

    def _close(self) -> None:
        for slot in self._slots.values():
            self._part(slot)
        self._members.close()
        self._threads.shutdown(wait=True)
        self._committers.shutdown(wait=True)


def _where(error: Exception) -> str:
    """Kind and place of a fault of ours. Its text may hold a value and is left out."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f"{at.tb_frame.f_code.co_name}:{at.tb_lineno}" if at is not None else "unknown"
    return f"{type(error).__name__} in {place}"
