"""A hanging transaction: Kafka acknowledged the commit and forgot the marker, so nobody sees the records.

Seen with Kafka 4.4 when its only node was killed within milliseconds of the answer: afterwards the last stable offset
of a partition stays where the transaction began, also when the next owner of the transactional id has come. A
transaction of the same id that writes into the partition and commits gives a marker to it and to what hung before: here
a heartbeat, which is a record of nothing to whoever reads states and the ledger.

A unit must not read its state before that: it would go on from the state before its last transaction, while the offsets
of its inputs have moved on.
"""

import threading
import time

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import translate
from exchange.kafka.client.groupless import groupless_consumer
from exchange.kafka.client.message import Place
from exchange.kafka.client.producer import TransactionalProducer
from exchange.names import HEARTBEAT_KEY

_CALL_SECONDS = 5.0
_MARKED_SECONDS = 5.0
"""Markers of what the last owner left open come some milliseconds after its successor has started."""
_COMMIT_SECONDS = 30.0
_POLL_SECONDS = 0.05
_log = structlog.get_logger("exchange.line")


class HangingTransactions:
    """Finds and ends them. Its clients are opened when first needed; may be called in several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._ends: dict[str, Consumer] = {}
        """For each isolation level one that tells the ends of partitions."""

    def end(self, output: TransactionalProducer, place: Place) -> bool:
        """End what hangs in a partition that only this transactional id writes; whether anything did.

        To be called when the id has been taken over, and before anything else is read or written with it.
        Raises ExchangeError and KafkaException when Kafka does not answer.
        """
        if self._decided(place):
            return False
        self._mark(output, place)
        if not self._decided(place):
            raise ExchangeError("E_KAFKA_UNREACHABLE", f"a transaction hangs in {place[0]}/{place[1]}")
        _log.warning("line.hanging_transaction_ended", topic=place[0], partition=place[1])
        return True

    def _decided(self, place: Place) -> bool:
        """Whether everything in the partition is committed or aborted, after some seconds at most."""
        deadline = Deadline.after(_MARKED_SECONDS)
        while self._open(place) and not deadline.passed:
            time.sleep(_POLL_SECONDS)
        return not self._open(place)

    def _open(self, place: Place) -> bool:
        with self._lock:
            return self._end(place, "read_committed") < self._end(place, "read_uncommitted")

    def _end(self, place: Place, isolation: str) -> int:
        if isolation not in self._ends:
            self._ends[isolation] = groupless_consumer(self._connection, isolation)
        try:
            found: int = self._ends[isolation].get_watermark_offsets(TopicPartition(*place), _CALL_SECONDS)[1]
        except KafkaException as error:
            raise translate(error, f"asking for the end of {place[0]}") from None
        return found

    @staticmethod
    def _mark(output: TransactionalProducer, place: Place) -> None:
        output.begin()
        output.produce(place[0], None, HEARTBEAT_KEY, place[1])
        output.commit(Deadline.after(_COMMIT_SECONDS))

    def close(self) -> None:
        """Let go of the clients."""
        for consumer in self._ends.values():
            consumer.close()
