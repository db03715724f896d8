"""A line's membership in its consumer group: which partitions are ours, since when, and what stands in them."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection, log_client_error
from exchange.kafka.client.errors import ends_membership, error_of, is_position_lost, translate
from exchange.kafka.client.message import Message, Place
from exchange.names import TopicName

_log = structlog.get_logger("exchange.kafka")

SESSION_TIMEOUT_MS = 6_000
MAX_POLL_INTERVAL_MS = 60_000
_CALL_SECONDS = 10.0
_SETTLED_SECONDS = 4.0
"""Who held partitions that long has no twin: it would have refused our next heartbeat. Less than a session."""
_RETURNS = 3
"""How often in a row a member joins again that never settled."""
_CONSUMER = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "range",
    "session.timeout.ms": SESSION_TIMEOUT_MS,
    "heartbeat.interval.ms": 1_500,
    "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "allow.auto.create.topics": False,
    "queued.min.messages": 20_000,
    "fetch.queue.backoff.ms": 5,
    "fetch.message.max.bytes": 4_000_000,
    "check.crcs": False,
}
"""Measured values; `fetch.queue.backoff.ms` alone is worth a factor of three."""
_EARLIEST = -2
"""Kafka's time of the first record of a partition, whatever its time is."""


class Membership:
    """One static member of a group. It reads nothing by itself: `read` says from where.

    Every rebalance moves `generation`; records taken in an older generation belong to somebody else by now. For one
    thread only: the client serves calls on a consumer one at a time, and a poll that waits keeps all others waiting.
    """

    def __init__(self, connection: Connection, group: str, worker_id: str) -> None:
        self.generation = 0
        self.assigned: frozenset[Place] | None = None
        """Partitions that the group gave us; None while a rebalance is under way."""
        self.lost: set[Place] = set()
        """Partitions whose position fell out of range. The line empties it."""
        self.ended: set[Place] = set()
        """Partitions whose end was reached in the last `take`. Offsets cannot tell: markers have them too."""
        self._fatal: KafkaError | None = None
        self._held = False
        self._since = 0.0
        self._returns = 0
        self._topics: list[str] = []
        config = connection.config(group_id=group, group_instance_id=worker_id, error_cb=self._on_error)
        self._config = config | _CONSUMER
        self._consumer = Consumer(self._config)

    def _on_error(self, error: KafkaError) -> None:
        if ends_membership(error):
            self._refused(error)
        log_client_error(error)

    def _refused(self, error: KafkaError) -> None:
        self._fatal, self._held = error, self.assigned is not None

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self.generation += 1
        self.assigned = frozenset((place.topic, place.partition) for place in partitions)
        self._since = time.monotonic()
        consumer.assign([])

    def _on_revoke(self, consumer: Any, _partitions: list[TopicPartition]) -> None:
        self.generation += 1
        if self.assigned is not None and time.monotonic() - self._since > _SETTLED_SECONDS:
            self._returns = 0
        self.assigned = None
        consumer.unassign()

    def existing(self) -> dict[str, int]:
        """Topics that exist and that we may see, with their partition counts. Raises ExchangeError."""
        try:
            found = self._consumer.list_topics(timeout=_CALL_SECONDS).topics
        except KafkaException as error:
            raise translate(error, "listing topics") from None
        return {name: len(topic.partitions) for name, topic in found.items()}

    def subscribe(self, topics: Iterable[TopicName]) -> None:
        """Ask the group for partitions of exactly these topics. A rebalance follows."""
        self._topics = sorted(topics)
        self._subscribe()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def read(self, positions: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets on, and nothing else. What was fetched before is forgotten."""
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in positions.items()])

    def take(self, limit: int, busy: bool, idle_seconds: float) -> tuple[list[Message], Any]:
        """At most `limit` records and the group metadata that belongs to them. Callbacks of the group run in here.

        `busy`: there was plenty a moment ago, so wait for a full chunk; else wait for the first record at most
        `idle_seconds`, then take what is there. Raises ExchangeError(E_WORKER_TWIN) when a twin has our id.
        """
        generation = self.generation
        self.ended.clear()
        found = self._fetch(limit, busy, idle_seconds)
        if self._fatal is not None:
            self._come_back(self._fatal)
            return [], None
        wrong = [message for message in found if message.error() is not None]
        if wrong:
            found = [message for message in found if message.error() is None]
            self._look_at(wrong)
        if self.generation != generation:
            return [], None
        return found, self._consumer.consumer_group_metadata() if found else None

    def _fetch(self, limit: int, busy: bool, idle_seconds: float) -> list[Any]:
        try:
            if busy:
                found: list[Any] = self._consumer.consume(limit, 0.05)
                return found
            first = self._consumer.poll(idle_seconds)
            if first is None or self._is_refusal(first):
                return []
            return [first, *self._consumer.consume(limit - 1, 0.003)]
        except KafkaException as error:
            if not ends_membership(error_of(error)):
                raise translate(error, "reading") from None
            self._refused(error_of(error))
            return []

    def _is_refusal(self, message: Any) -> bool:
        """Noted before the next call of the client, which may serve the revocation that follows a twin's coming."""
        error = message.error()
        if error is not None and ends_membership(error):
            self._refused(error)
        return self._fatal is not None

    def metadata(self) -> Any:
        """The group metadata for a transaction without records."""
        return self._consumer.consumer_group_metadata()

    def _look_at(self, wrong: list[Any]) -> None:
        for message in wrong:
            error = message.error()
            if ends_membership(error):
                self._held = False  # or not: among many messages the order of a revocation and of this is lost
                self._come_back(error)
                return
            if error.code() == KafkaError._PARTITION_EOF:
                self.ended.add((message.topic(), message.partition()))
                continue
            if is_position_lost(error):
                self.lost.add((message.topic(), message.partition()))
            _log.warning("kafka.read", topic=message.topic(), partition=message.partition(), error=error.name())

    def _come_back(self, error: KafkaError) -> None:
        """Join again if the client has had itself refused; otherwise a twin has our id.

        When a session ends for want of an answer the client forgets its member id, and until we serve the revocation
        its heartbeats go out without one, which Kafka refuses as a twin's: any silence of a session's length that meets
        a transaction under way does it. The revocation comes first then, so we hold nothing any more. A twin is
        noticed while we hold partitions, or again and again while we do not.
        """
        self._returns += 1
        if self._held or self._returns > _RETURNS:
            raise ExchangeError("E_WORKER_TWIN", error.name())
        _log.warning("kafka.join_again", error=error.name())
        self.generation += 1
        self._consumer.close()
        self.assigned, self._fatal, self._held = None, None, False
        self._consumer = Consumer(self._config)
        self._subscribe()

    def committed(self, places: Iterable[Place]) -> dict[Place, int]:
        """The group's committed offsets; a partition that has none is absent. Raises ExchangeError."""
        try:
            found = self._consumer.committed([TopicPartition(*place) for place in places], timeout=_CALL_SECONDS)
        except KafkaException as error:
            raise translate(error, "reading committed offsets") from None
        for place in found:
            if place.error is not None:
                raise translate(place.error, "reading committed offsets")
        return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def beginnings(self, places: Iterable[Place]) -> dict[Place, int]:
        """The first offset that still stands in each partition. Raises ExchangeError.

        All in one request: each would wait until the fetch is answered that the broker is holding back for us.
        """
        asked = [TopicPartition(*place, _EARLIEST) for place in places]
        if not asked:
            return {}
        try:
            found = self._consumer.offsets_for_times(asked, timeout=_CALL_SECONDS)
        except KafkaException as error:
            raise translate(error, "reading the beginnings of partitions") from None
        for place in found:
            if place.error is not None:
                raise translate(place.error, "reading the beginnings of partitions")
            if place.offset < 0:  # what the client says, without an error, of a partition whose leader it has lost
                raise ExchangeError("E_KAFKA_UNREACHABLE", f"no beginning of {place.topic}/{place.partition}")
        return {(place.topic, place.partition): place.offset for place in found}

    def behind(self, positions: Mapping[Place, int]) -> dict[Place, int]:
        """How far each position is from the end of its partition, as last fetched; markers are counted too."""
        found = {}
        for place, position in positions.items():
            try:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            except KafkaException:
                continue
            if high >= 0:
                found[place] = max(0, high - position)
        return found

    def close(self) -> None:
        """Stop reading. A static member keeps its place in the group until its session times out."""
        self._consumer.close()
