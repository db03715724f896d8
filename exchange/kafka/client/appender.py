"""Appending to one partition, all of a batch or nothing, as the only holder of a transactional id."""

from collections.abc import Sequence

from confluent_kafka import KafkaException

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import translate
from exchange.kafka.client.hanging import HangingTransactions
from exchange.kafka.client.producer import TransactionalProducer
from exchange.record import Headers

TRANSACTION_TIMEOUT_MS = 10_000
_BATCH_BYTES = 200_000
"""Below the limit for a batch of every topic that is written beside."""

Aside = tuple[str, int, bytes | None, bytes | None, Headers]
"""(topic, partition, key, value, headers) of a record for another topic."""


class Appender:
    """Crash-only: after an error it is closed, and what it was writing is decided when its successor has started."""

    def __init__(self, connection: Connection, transactional_id: str, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self._producer = TransactionalProducer(
            connection, transactional_id, TRANSACTION_TIMEOUT_MS, linger_ms=0, batch_size=_BATCH_BYTES
        )

    def start(self, deadline: Deadline) -> None:
        """Fence whoever held the id and decide what it left open, or what Kafka forgot. Raises ExchangeError."""
        hanging = HangingTransactions(self._connection)
        try:
            self._producer.start(deadline)
            hanging.end(self._producer, (self._topic, 0))
        except KafkaException as error:
            raise translate(error, f"taking over {self._topic}") from None
        finally:
            hanging.close()

    def append(self, records: Sequence[tuple[bytes, bytes]], deadline: Deadline, beside: Sequence[Aside] = ()) -> None:
        """Write (key, value) pairs in one transaction, in their order, and with them records of other topics.

        Raises ExchangeError: E_KAFKA_FENCED when another instance has taken over, else what Kafka said.
        """
        try:
            self._producer.begin()
            for key, value in records:
                self._producer.produce(self._topic, value, key, 0)
            for topic, partition, own_key, own_value, headers in beside:
                self._producer.produce(topic, own_value, own_key, partition, headers=headers)
            self._producer.commit(deadline)
        except KafkaException as error:
            raise translate(error, f"appending to {self._topic}") from None
        except BufferError:
            raise ExchangeError("E_KAFKA", "too many records for one transaction") from None

    def close(self) -> None:
        """Let go of the client."""
        self._producer.close()
