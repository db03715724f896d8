"""Reading one partition again beside a line: no group, no waiting, and it tells how far it has come."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import translate
from exchange.kafka.client.message import Message
from exchange.names import TopicName, tail_group

_PASSING = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)


class PartitionCursor:
    """Gives what is committed in one partition from an offset on. For one thread; the client reads ahead in its own."""

    def __init__(self, connection: Connection, topic: TopicName, partition: int, start: int) -> None:
        self.reached = start
        """Every record below this offset has been given."""
        self.at_end = False
        """Whether the end of the partition came after the last record that was given."""
        self._topic = topic
        self._partition = partition
        self._consumer = Consumer(
            connection.config(
                group_id=tail_group(connection.username),  # the client wants one; nothing is ever committed
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                enable_partition_eof=True,
                isolation_level="read_committed",
                auto_offset_reset="earliest",  # what was below the first offset that is left is not there any more
                allow_auto_create_topics=False,
                check_crcs=False,
                fetch_wait_max_ms=50,
                fetch_queue_backoff_ms=5,
                queued_min_messages=5000,
                queued_max_messages_kbytes=8192,
            )
        )
        self.seek(start)

    def seek(self, start: int) -> None:
        """Go on from offset `start`, also backwards."""
        self.reached, self.at_end = start, False
        self._consumer.assign([TopicPartition(self._topic, self._partition, start or OFFSET_BEGINNING)])

    def fetch(self, limit: int) -> list[Message]:
        """At most `limit` next records, of those that are here. Raises ExchangeError for what waiting won't mend."""
        try:
            found = self._consumer.consume(limit, 0)
        except KafkaException as error:
            raise translate(error, f"reading {self._topic}") from None
        records: list[Message] = []
        for message in found:
            problem = message.error()
            if problem is None:
                records.append(message)
                self.reached, self.at_end = message.offset() + 1, False
            elif problem.code() == KafkaError._PARTITION_EOF:
                self.reached, self.at_end = max(self.reached, message.offset()), True
            elif not problem.retriable() and problem.code() not in _PASSING:
                raise translate(problem, f"reading {self._topic}")
        return records

    def close(self) -> None:
        """Let go of the client."""
        self._consumer.close()
