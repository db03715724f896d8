"""A unit with the producer that fences older owners: its positions in its inputs, and its transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message, Place
from exchange.kafka.client.producer import TransactionalProducer
from exchange.kafka.line.unit import Unit
from exchange.names import TopicName

COMMIT_SECONDS = 40.0
"""Longer than a transaction lives; with the offsets' seconds shorter than the group's patience."""
_OFFSETS_SECONDS = 10.0
"""Nothing is decided yet, and a client may wait for a coordinator that is gone: a new one finds the new coordinator."""


class FencedUnit:
    """Restored, and its older owners are fenced. Crash-only: its first failed call is its last but `close`.

    Its methods raise what the unit raises, KafkaException and ExchangeError.
    """

    def __init__(self, unit: Unit, output: TransactionalProducer) -> None:
        self.positions: dict[Place, int] = {}
        """Next offset of each input, as committed."""
        self.open = False
        """Whether a transaction is under way."""
        self._unit = unit
        self._output = output
        self._moved: dict[Place, int] = {}
        """Next offset of each input that this transaction has read."""

    @property
    def refused_topics(self) -> frozenset[str]:
        """Topics into which Kafka did not take this transaction's records, for good."""
        return frozenset(self._output.failed_topics)

    def locate(self, inputs: set[Place], committed: Mapping[Place, int], beginnings: Mapping[Place, int]) -> None:
        """Keep the positions of these inputs, and take up the committed offsets of those that have none yet.

        An input without one is read on from where the unit's state says, which was written in the same transactions;
        one of which the unit has taken nothing is read from its beginning. Raises ExchangeError(E_OFFSET_LOST) when
        what follows on the state has been removed.
        """
        for place in inputs - self.positions.keys():
            if place in committed:
                self.positions[place] = committed[place]
                continue
            beginning, known = beginnings[place], self._unit.next_offset(TopicName(place[0]))
            if known is not None and known < beginning:
                raise ExchangeError("E_OFFSET_LOST", f"{place[0]}/{place[1]}")
            self.positions[place] = beginning if known is None else known
        self.positions = {place: offset for place, offset in self.positions.items() if place in inputs}

    def pending(self) -> bool:
        """Whether it wants a transaction although no message came."""
        return not self.open and self._unit.pending()

    def process(self, messages: Sequence[Message]) -> None:
        """Pass messages of one input to the unit, inside the transaction; it is opened unless it is open."""
        if not self.open:
            self._output.begin()
            self.open = True
        self._unit.process(messages, self._output)
        if messages:
            last = messages[-1]
            self._moved[last.topic(), last.partition()] = last.offset() + 1

    def seal(self) -> None:
        """Let the unit write its state."""
        self._unit.seal(self._output)

    def commit(self, group: Any) -> None:
        """Outputs, state and offsets become durable together. Also without records the offsets go along: the fence."""
        moved = self._moved or self.positions
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in moved.items()]
        self._output.send_offsets(offsets, group, Deadline.after(_OFFSETS_SECONDS), self._unit.unwritable)
        self._output.commit(Deadline.after(COMMIT_SECONDS), self._unit.unwritable)

    def settle(self) -> None:
        """After the commit: positions and unit move on."""
        self.positions |= self._moved
        self._moved = {}
        self.open = False
        self._unit.committed()

    def close(self) -> None:
        """Let go of the producer. An open transaction is aborted by the unit's next owner."""
        self._output.close()
