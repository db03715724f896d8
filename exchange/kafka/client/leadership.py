"""Leadership by a consumer group: whoever owns the only partition of a topic leads. Kafka does the election."""

from typing import Any

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection, log_client_error
from exchange.kafka.client.errors import ends_membership, error_of

_log = structlog.get_logger("exchange.kafka")
_CONSUMER = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "cooperative-sticky",  # a newcomer does not take the partition from its owner
    "session.timeout.ms": 6_000,
    "heartbeat.interval.ms": 1_500,
    "max.poll.interval.ms": 120_000,
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "latest",
    "allow.auto.create.topics": False,
}
_OUTAGE_SECONDS = 120.0
"""How long after Kafka was away a lost membership is taken for a consequence of that."""
_AWAY = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
"""Also a single broker that went: it may have been the one that coordinated our group."""


class Leadership:
    """A static member of the group. It reads nothing; the partition is only a token. Not safe for several threads."""

    def __init__(self, connection: Connection, group: str, topic: str, worker_id: str) -> None:
        self.term = 0
        """Counts the times the partition came to us."""
        self.owned = False
        """Whether the partition is ours, as far as the last poll knew."""
        self._topic = topic
        self._fatal: KafkaError | None = None
        self._excused: Deadline | None = None
        """Until when an outage of Kafka explains that we are refused."""
        self._config = connection.config(group_id=group, group_instance_id=worker_id, error_cb=self._on_error)
        self._join()

    def _join(self) -> None:
        self._consumer = Consumer(self._config | _CONSUMER)
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_away, on_lost=self._on_away
        )

    def poll(self, seconds: float = 0.0) -> bool:
        """Serve the group; whether we lead. Raises ExchangeError(E_WORKER_TWIN) when a twin has taken our id."""
        error = None
        try:
            message = self._consumer.poll(seconds)
            error = message.error() if message is not None else None
        except KafkaException as raised:
            error = error_of(raised)
        if error is not None and ends_membership(error):
            self._fatal = error
        elif error is not None:
            _log.warning("kafka.leadership", error=error.name())
        if self._fatal is not None:
            self._come_back(self._fatal)
        return self.owned

    def _come_back(self, error: KafkaError) -> None:
        """Join again after an outage of Kafka; otherwise a twin has our id.

        Shortly after an outage we may have fenced ourselves: a request to join whose answer was lost gave our id to a
        member that nobody is. A real twin fences the one that came back once more, with no outage to excuse it.
        """
        if self._excused is None or self._excused.passed:
            raise ExchangeError("E_WORKER_TWIN", error.name())
        _log.warning("kafka.join_again", error=error.name())
        self._excused, self._fatal, self.owned = None, None, False
        self._consumer.close()
        self._join()

    def confirm(self) -> bool:
        """Whether the group's coordinator agrees, now, that the partition is ours.

        What the last poll knew may be old: a process that was stopped for a while wakes up believing it leads. The
        coordinator refuses a commit of anyone but a member of the present generation.
        """
        try:
            self._consumer.commit(offsets=[TopicPartition(self._topic, 0, 0)], asynchronous=False)
        except KafkaException as error:
            _log.info("kafka.leadership-refused", error=error_of(error).name())
            return False
        return self.owned

    def close(self) -> None:
        """Leave. The partition moves when the session has timed out, as it does after a crash."""
        try:
            self._consumer.close()
        except RuntimeError as error:
            raise ExchangeError("E_INTERNAL", f"closing twice: {type(error).__name__}") from None

    def _on_error(self, error: KafkaError) -> None:
        if ends_membership(error):
            self._fatal = error
        elif error.code() in _AWAY:
            self._excused = Deadline.after(_OUTAGE_SECONDS)
        log_client_error(error)

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        places = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in partitions]
        consumer.incremental_assign(places)
        if places:
            consumer.pause(places)
            self.term += 1
            self.owned = True

    def _on_away(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        consumer.incremental_unassign(partitions)
        if partitions:
            self.owned = False
