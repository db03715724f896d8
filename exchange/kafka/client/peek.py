"""Looking at single records without reading on: the first record that stands at or after an offset."""

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import raise_lasting, translate
from exchange.kafka.client.groupless import groupless_consumer
from exchange.kafka.client.message import Message, Place

_WAIT_SECONDS = 0.2
_FETCH_BYTES = 100_000
"""Of a partition at a time: a broker gives a batch that is larger to the first partition of its answer only, and each
other one has to be asked again after a second. So it is more than what a line writes at once when records come in bulk.
"""
_AT_ONCE = 500
"""Partitions in one assignment: 500 take about 0.14 s."""


class Peeker:
    """One client for many looks. Not safe for several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: Any = None

    def first_at(
        self, starts: Mapping[Place, int], wanted: Callable[[Message], bool], deadline: Deadline
    ) -> dict[Place, Message]:
        """The first committed record at or after each offset that is `wanted`; places without one are absent.

        Raises ExchangeError(E_KAFKA_UNREACHABLE) when time runs out, or what the client says.
        """
        found: dict[Place, Message] = {}
        places = sorted(starts)
        for at in range(0, len(places), _AT_ONCE):
            some = {place: starts[place] for place in places[at : at + _AT_ONCE]}
            self._look(some, wanted, deadline, found)
        return found

    def close(self) -> None:
        """Let go of the client."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _look(
        self,
        starts: Mapping[Place, int],
        wanted: Callable[[Message], bool],
        deadline: Deadline,
        found: dict[Place, Message],
    ) -> None:
        if self._client is None:
            self._client = groupless_consumer(
                self._connection,
                auto_offset_reset="earliest",
                fetch_message_max_bytes=_FETCH_BYTES,
                queued_min_messages=1,
            )
        self._client.assign([TopicPartition(topic, number, start) for (topic, number), start in starts.items()])
        waiting = set(starts)
        try:
            while waiting:
                if deadline.passed:
                    raise ExchangeError("E_KAFKA_UNREACHABLE", f"{len(waiting)} partitions did not answer in time")
                message = self._client.poll(_WAIT_SECONDS)
                if message is not None:
                    self._take(message, wanted, waiting, found)
        except KafkaException as error:
            raise translate(error, "looking at records") from None
        finally:
            self._client.unassign()

    def _take(
        self, message: Any, wanted: Callable[[Message], bool], waiting: set[Place], found: dict[Place, Message]
    ) -> None:
        place = (message.topic(), message.partition())
        problem = message.error()
        if problem is None:
            if place not in waiting or not wanted(message):
                return
            found[place] = message
        elif problem.code() != KafkaError._PARTITION_EOF:
            raise_lasting(problem, f"looking at {message.topic()}")
            return
        waiting.discard(place)
        self._client.incremental_unassign([TopicPartition(*place)])
