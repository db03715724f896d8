"""One unit's place in a worker: its producer, its positions and its transaction."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any

from confluent_kafka import TopicPartition

from exchange import names
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message, Place
from exchange.kafka.client.producer import TransactionalProducer
from exchange.kafka.line.unit import Unit, UnitFactory, UnitId

TRANSACTION_TIMEOUT_MS = 30_000
COMMIT_SECONDS = 40.0
"""Longer than a transaction lives; with the offsets' seconds shorter than the group's patience."""
_OFFSETS_SECONDS = 10.0
"""Nothing is decided yet, and a client may wait for a coordinator that is gone: a new one finds the new coordinator."""
_START_SECONDS = 15.0
"""As above; it is tried again."""
_LONGEST_BACKOFF_SECONDS = 30.0
_LONGEST_AWAY_SECONDS = 2.0
"""While Kafka is away nobody is spared by waiting longer, and everybody waits for us when it is back."""
# A topic's limit is one for batches: a batch must fit the registry's 524,288 bytes even if it does not compress at all.
# The commit flushes at once, so lingering costs no latency.
_PRODUCER = {
    "linger_ms": 50,
    "compression_type": "lz4",
    "acks": "all",
    "batch_size": 500_000,
    "batch_num_messages": 100_000,
    "queue_buffering_max_messages": 1_000_000,
    "sticky_partitioning_linger_ms": 0,
}


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
    """Holds the unit, or what is needed to build it. Crash-only: a failed transaction throws unit and producer away."""

    def __init__(self, unit_id: UnitId, line: str, connection: Connection) -> None:
        self.id = unit_id
        self.state = SlotState.HELD
        self.since = time.monotonic()
        self.topics: frozenset[str] = frozenset()
        """Inputs that the group gave us."""
        self.positions: dict[Place, int] = {}
        """Next offset of each input, as committed."""
        self.unit: Unit | None = None
        self.output: TransactionalProducer | None = None
        self.open = False
        self.building: Future[None] | None = None
        self.failures = 0
        self.newest_ms = 0
        """When the last record read was appended to its topic."""
        self._line = line
        self._connection = connection
        self._moved: dict[str, int] = {}

    def build(self, factory: UnitFactory) -> None:
        """Fence older owners, then restore the unit: in this order, so that nothing can move any more.

        What is there already (a unit that came back from a rebalance) is kept: whoever had it meanwhile has fenced our
        producer, and the next commit says so.
        """
        if self.output is None or self.unit is None:
            name = names.transactional_id(self._line, *self.id)
            self.output = TransactionalProducer(self._connection, name, TRANSACTION_TIMEOUT_MS, **_PRODUCER)
            self.output.start(Deadline.after(_START_SECONDS))
            unit = factory.unit(*self.id)
            unit.restore()
            self.unit = unit
            self.positions = {}

    def unknown(self) -> set[Place]:
        """Inputs whose positions are still to be found."""
        return {(topic, self.id.partition) for topic in self.topics} - self.positions.keys()

    def locate(self, committed: Mapping[Place, int], beginnings: Mapping[Place, int]) -> None:
        """Take up the committed offsets; an input without one is read from its beginning, if the unit is fresh.

        Raises ExchangeError(E_OFFSET_LOST) if it is not.
        """
        assert self.unit is not None
        for place in self.unknown():
            if place not in committed and not self.unit.fresh():
                raise ExchangeError("E_OFFSET_LOST", f"{place[0]}/{place[1]}")
            self.positions[place] = committed[place] if place in committed else beginnings[place]
        self.positions = {place: offset for place, offset in self.positions.items() if place[0] in self.topics}

    def begin(self) -> None:
        """Open the transaction unless it is open."""
        if not self.open:
            assert self.output is not None
            self.output.begin()
            self.open = True
            self.since = time.monotonic()

    def process(self, messages: Sequence[Message]) -> None:
        """Pass messages of one topic to the unit, inside the transaction."""
        assert self.unit is not None and self.output is not None
        self.begin()
        self.unit.process(messages, self.output)
        if messages:
            last = messages[-1]
            self._moved[last.topic()] = last.offset() + 1
            self.newest_ms = last.timestamp()[1]

    def seal(self) -> None:
        """Let the unit write its state."""
        assert self.unit is not None and self.output is not None
        self.unit.seal(self.output)

    def commit(self, group: Any) -> None:
        """Outputs, state and offsets become durable together. Also without records the offsets go along: the fence."""
        assert self.unit is not None and self.output is not None
        partition = self.id.partition
        moved = self._moved or {topic: self.positions[topic, partition] for topic in self.topics}
        offsets = [TopicPartition(topic, partition, offset) for topic, offset in moved.items()]
        self.output.send_offsets(offsets, group, Deadline.after(_OFFSETS_SECONDS), self.unit.unwritable)
        self.output.commit(Deadline.after(COMMIT_SECONDS), self.unit.unwritable)

    def settle(self) -> None:
        """After the commit: positions and unit move on."""
        assert self.unit is not None
        for topic, offset in self._moved.items():
            self.positions[topic, self.id.partition] = offset
        self._moved = {}
        self.open = False
        self.failures = 0
        self.unit.committed()

    def let_go(self) -> None:
        """Forget unit, producer, positions and transaction."""
        self.output = self.unit = None
        self.positions, self._moved, self.open = {}, {}, False

    def close(self) -> None:
        """Let go of everything, in the calling thread."""
        if self.output is not None:
            self.output.close()
        self.let_go()

    def fail(self, away: bool) -> float:
        """Note a failure; returns the seconds until the next attempt, doubling with each failure in a row.

        `away`: nothing is wrong but that Kafka did not answer.
        """
        self.failures += 1
        longest = _LONGEST_AWAY_SECONDS if away else _LONGEST_BACKOFF_SECONDS
        pause = min(longest, 0.1 * float(2 ** min(self.failures, 10)))
        self.state, self.since = SlotState.WAITING, time.monotonic() + pause
        return pause
