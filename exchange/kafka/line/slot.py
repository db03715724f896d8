"""One unit's place in a worker, and the states on its way."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any

import structlog
from confluent_kafka import KafkaException

from exchange.backoff import Backoff
from exchange.clock import Deadline
from exchange.errors import Action, ExchangeError
from exchange.kafka.client.errors import translate
from exchange.kafka.client.message import Message, Place
from exchange.kafka.line.builder import Builder
from exchange.kafka.line.fenced_unit import FencedUnit
from exchange.kafka.line.unit import UnitId

_NS_OF_MS = 1_000_000
_HELD_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_BACKOFF = Backoff(first=0.2, longest=30.0)
_AWAY_BACKOFF = Backoff(first=0.2, longest=2.0)
"""While Kafka is away nobody is spared by waiting longer, and everybody waits for us when it is back."""
_log = structlog.get_logger("exchange.line")


class SlotState(Enum):
    """Where a slot is on its way."""

    HELD = "held"
    """Another worker still reads a part of this unit's topics."""
    BUILDING = "building"
    BUILT = "built"
    """Restored; where to read on is still to be found."""
    READY = "ready"
    WAITING = "waiting"
    """Failed; built again after a while."""


class Slot:
    """One unit's place in a worker, from when the group gives it to us until it takes it away.

    Held ▸ building ▸ built ▸ ready, and after a failure waiting ▸ building again. Crash-only: a failure throws unit and
    producer away. Every method is called by the line's one thread, but `commit`.
    """

    def __init__(self, unit_id: UnitId, builder: Builder) -> None:
        self.id = unit_id
        self.state = SlotState.HELD
        self.topics: frozenset[str] = frozenset()
        """Inputs that the group gave us."""
        self.reached: dict[Place, int] = {}
        """Until when (ms) each input was read: the last record was appended then, or the end stood before us."""
        self._builder = builder
        self._due = Deadline.after(_HELD_SECONDS)
        """When it goes on. A held one at the latest; one that waits or is built not before."""
        self._building: Future[FencedUnit] | None = None
        self._fenced: FencedUnit | None = None
        self._failures = 0
        """In a row."""
        self._read = False
        """Whether what is read for it follows on its positions."""
        self._at_end: set[Place] = set()

    # what it shows

    @property
    def open(self) -> bool:
        """Whether a transaction is under way."""
        return self._fenced is not None and self._fenced.open

    @property
    def misread(self) -> bool:
        """Whether it wants to be read and is not, or is read in vain."""
        return self._read is not (self.state is SlotState.READY)

    @property
    def inputs(self) -> set[Place]:
        """What its unit reads here."""
        return {(topic, self.id.partition) for topic in self.topics}

    @property
    def unknown(self) -> set[Place]:
        """Inputs whose positions are still to be found."""
        return self.inputs - self._positions.keys()

    @property
    def behind(self) -> dict[Place, int]:
        """Positions in those inputs of which the end has not been reached."""
        return {place: offset for place, offset in self._positions.items() if place not in self._at_end}

    @property
    def _positions(self) -> Mapping[Place, int]:
        return self._fenced.positions if self._fenced is not None else {}

    @property
    def _work(self) -> FencedUnit:
        assert self._fenced is not None
        return self._fenced

    # from held to ready

    def advance(self, subscribed: Callable[[UnitId], set[str]]) -> None:
        """Begin to build when it is time, and take up what was built. `subscribed` gives all topics of a unit."""
        if self._building is not None and self._building.done():
            self.guarded(self._take_up, self._building)
        elif self._to_build(subscribed):
            self._build()

    def _to_build(self, subscribed: Callable[[UnitId], set[str]]) -> bool:
        """A held slot waits, not for ever, until no other worker reads a part of its unit.

        One that has not yet learnt of a new topic might.
        """
        if self.state is SlotState.HELD:
            return self._due.passed or self.topics >= subscribed(self.id)
        return self.state is SlotState.WAITING and self._due.passed

    def _build(self) -> None:
        """What is there already (a unit that came back from a rebalance) is kept.

        Whoever had it meanwhile has fenced our producer, and the next commit says so.
        """
        if self._fenced is not None:
            self._go(SlotState.BUILT)
        else:
            self.state, self._building = SlotState.BUILDING, self._builder.build(self.id)

    def _take_up(self, building: "Future[FencedUnit]") -> None:
        self._building = None
        self._fenced = building.result()
        self._go(SlotState.BUILT)

    @property
    def to_locate(self) -> bool:
        """Whether it is time to find where its unit reads on."""
        return self.state is SlotState.BUILT and self._due.passed

    def locate_later(self) -> None:
        """Kafka did not tell where to read on."""
        self._go(SlotState.BUILT, _AGAIN_SECONDS)

    def locate(self, committed: Mapping[Place, int], beginnings: Mapping[Place, int]) -> None:
        """Read on from there; what these offsets mean says FencedUnit.locate."""
        if self.guarded(self._work.locate, self.inputs, committed, beginnings):
            self.state, self._read = SlotState.READY, False

    def read(self) -> Mapping[Place, int]:
        """Where to read for it from now on: nowhere unless it is ready."""
        for place in self._at_end:
            self._reach(place, time.time_ns() // _NS_OF_MS)
        self._at_end.clear()
        self._read = self.state is SlotState.READY
        return self._positions if self._read else {}

    # at work

    def pending(self) -> bool:
        """Whether its unit wants a transaction although no message came."""
        return self.state is SlotState.READY and self._work.pending()

    def process(self, place: Place, messages: Sequence[Message]) -> None:
        """Pass messages of one input to the unit. They are dropped when it is not ready: they will be read again."""
        if self.state is SlotState.READY and self.guarded(self._work.process, messages):
            self._at_end.discard(place)
            self._reach(place, messages[-1].timestamp()[1])

    def process_nothing(self) -> None:
        """Give the unit the transaction that it wants although no message came."""
        self.guarded(self._work.process, [])

    def note_end(self, place: Place) -> None:
        """An input was read to its end."""
        self._at_end.add(place)
        self._reach(place, time.time_ns() // _NS_OF_MS)

    def _reach(self, place: Place, at_ms: int) -> None:
        self.reached[place] = max(at_ms, self.reached.get(place, at_ms))

    def seal(self) -> bool:
        """Let the unit write its state; whether it can be committed."""
        return self.guarded(self._work.seal)

    def commit(self, group: Any) -> None:
        """Commit the transaction. In any thread: what it raises is for `guarded`."""
        self._work.commit(group)

    def settle(self) -> None:
        """After the commit: positions and unit move on."""
        self._failures = 0
        self.guarded(self._work.settle)

    # a rebalance

    def suspend(self) -> None:
        """The group has moved: nothing is read for it, and what was open is thrown away."""
        self._read = False
        if self.open:
            self._let_go()
            self._go(SlotState.WAITING)

    def keep(self, topics: frozenset[str]) -> None:
        """It stays ours: when its topics changed, only their positions have to be found anew."""
        if self.state in (SlotState.READY, SlotState.BUILT) and self.topics != topics:
            self._go(SlotState.HELD, _HELD_SECONDS)
        self.topics = topics

    def part(self) -> None:
        """It is ours no more."""
        if self._building is not None:
            self._building.add_done_callback(_close_built)
        self._let_go()

    # failures

    def guarded(self, act: Callable[..., object], *arguments: object) -> bool:
        """Whether `act` went well; if not, unit and producer are thrown away."""
        try:
            act(*arguments)
        except Exception as error:
            self.fail(error)
            return False
        return True

    def fail(self, error: Exception) -> None:
        """Throw unit and producer away; they are built again after a pause, which grows with the failures in a row."""
        told = _judged(error)
        refused = self._fenced.refused_topics if self._fenced is not None else frozenset()
        self._let_go()
        self._failures += 1
        pause = (_AWAY_BACKOFF if told.code == "E_KAFKA_UNREACHABLE" else _BACKOFF).pause(self._failures)
        self._go(SlotState.WAITING, pause)
        grave = told.entry.action is Action.STOP or told.code == "E_INTERNAL"
        _log.log(
            logging.ERROR if grave else logging.WARNING,
            "line.unit_rebuilt",
            line=self._builder.line,
            record_type=self.id.record_type,
            partition=self.id.partition,
            code=told.code,
            detail=_detail(error, told),
            refused=sorted(refused),
            again_in_seconds=round(pause, 1),
        )
        self._builder.factory.refused(*self.id, refused)

    def _let_go(self) -> None:
        """Throw unit and producer away, with positions and transaction."""
        if self._fenced is not None:
            last, self._fenced = [self._fenced], None
            self._builder.let_go(last)

    def _go(self, state: SlotState, seconds: float = 0.0) -> None:
        self.state, self._due = state, Deadline.after(seconds)


def _close_built(building: "Future[FencedUnit]") -> None:
    if building.exception() is None:
        building.result().close()


def _judged(error: Exception) -> ExchangeError:
    if isinstance(error, KafkaException):
        error = translate(error)
    if not isinstance(error, ExchangeError):
        return ExchangeError("E_INTERNAL")
    if error.code == "E_WORKER_TWIN":
        # Not judged here: the group metadata of this batch may have been taken when the client had just forgotten its
        # member id. A real twin has our next heartbeat refused.
        return ExchangeError("E_KAFKA_MEMBERSHIP", "refused as a twin's")
    return error


def _detail(error: Exception, told: ExchangeError) -> str:
    """What is told of a failure; of a fault of ours kind and place. Its text may hold a value and is left out."""
    if isinstance(error, (KafkaException, ExchangeError)):
        return str(told)
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f"{at.tb_frame.f_code.co_name}:{at.tb_lineno}" if at is not None else "unknown"
    return f"{type(error).__name__} in {place}"
