"""Reading one partition again beside a line: no group, no waiting, and it tells how far it has come."""

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import raise_lasting, translate
from exchange.kafka.client.groupless import groupless_consumer
from exchange.kafka.client.message import Message
from exchange.names import TopicName


class PartitionCursor:
    """Gives what is committed in one partition from an offset on. For one thread; the client reads ahead in its own."""

    def __init__(self, connection: Connection, topic: TopicName, partition: int, start: int) -> None:
        self.reached = start
        """Every record below this offset has been given."""
        self.at_end = False
        """Whether the end of the partition came after the last record that was given."""
        self._topic = topic
        self._partition = partition
        self._consumer = groupless_consumer(
            connection,
            auto_offset_reset="earliest",  # what was below the first offset that is left is not there any more
            check_crcs=False,
            queued_min_messages=5000,
            queued_max_messages_kbytes=8192,
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
            else:
                raise_lasting(problem, f"reading {self._topic}")
        return records

    def close(self) -> None:
        """Let go of the client."""
        self._consumer.close()
