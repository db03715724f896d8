"""Reading a partition without a group: to its end, or on and on. Always `read_committed`."""

from collections.abc import Iterator, Mapping

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection, Login
from exchange.kafka.client.errors import raise_lasting, translate
from exchange.kafka.client.groupless import groupless_consumer
from exchange.kafka.client.message import Message, Place

_BATCH = 1000
_WAIT_SECONDS = 0.5


class PartitionTail:
    """Follows partitions of topics from their beginning (or a given offset). Not safe for several threads."""

    def __init__(
        self, connection: Connection, partitions: list[tuple[str, int]], start: int = OFFSET_BEGINNING
    ) -> None:
        self._login = Login(connection)
        self._consumer = groupless_consumer(
            connection, error_cb=self._login, auto_offset_reset="error", queued_min_messages=5000
        )
        self._behind = set(partitions)
        self._reached: dict[Place, int] = dict.fromkeys(partitions, 0)
        """Behind the last record that came, or where the end was found."""
        self._consumer.assign([TopicPartition(topic, partition, start) for topic, partition in partitions])

    @property
    def at_end(self) -> bool:
        """Whether every partition has been read to its end at least once since it last had something new."""
        return not self._behind

    def short_of(self, ends: Mapping[Place, int]) -> bool:
        """Whether a partition has not been read as far as these offsets."""
        return any(self._reached[place] < end for place, end in ends.items())

    def reached(self, place: Place) -> int:
        """Behind the last record of a partition that came, or where its end was found."""
        return self._reached[place]

    def ends(self, seconds: float) -> dict[Place, int]:
        """Where the partitions end now, for a reader of committed records. Raises ExchangeError when it is not said."""
        try:
            return {
                (topic, partition): self._consumer.get_watermark_offsets(TopicPartition(topic, partition), seconds)[1]
                for topic, partition in self._reached
            }
        except KafkaException as error:
            raise translate(error, "asking for the end") from None

    def poll(self, seconds: float) -> list[Message]:
        """At most 1,000 next records after at most `seconds`. Raises ExchangeError for what waiting won't mend."""
        try:
            first = self._consumer.poll(seconds)  # consume alone would wait for a full batch
            found = [] if first is None else [first, *self._consumer.consume(_BATCH - 1, 0)]
        except KafkaException as error:
            raise translate(error, "reading") from None
        self._login.renew(self._consumer)
        self._login.check()
        records: list[Message] = []
        for message in found:
            place = (message.topic(), message.partition())
            problem = message.error()
            if problem is None:
                self._behind.add(place)
                self._reached[place] = message.offset() + 1
                records.append(message)
            elif problem.code() == KafkaError._PARTITION_EOF:
                self._login.answered()
                self._behind.discard(place)
                self._reached[place] = max(self._reached[place], message.offset())
            else:
                raise_lasting(problem, f"reading {message.topic()}")
        if records:
            self._login.answered()
        return records

    def close(self) -> None:
        """Let go of the client."""
        self._consumer.close()


def read_to_end(connection: Connection, partitions: list[tuple[str, int]], deadline: Deadline) -> Iterator[Message]:
    """Every committed record that stands in the partitions now, each partition in its order.

    Raises ExchangeError(E_KAFKA_UNREACHABLE) when the end is not reached in time.
    """
    tail = PartitionTail(connection, partitions)
    try:
        while not tail.at_end:
            if deadline.passed:
                raise ExchangeError("E_KAFKA_UNREACHABLE", f"the end of {partitions[0][0]} was not reached in time")
            yield from tail.poll(min(_WAIT_SECONDS, deadline.remaining()))
    finally:
        tail.close()
