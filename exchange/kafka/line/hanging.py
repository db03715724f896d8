"""A hanging transaction: Kafka acknowledged the commit and forgot the marker, so nobody sees the records.

Seen with Kafka 4.4 when its only node was killed within milliseconds of the answer: afterwards the last stable offset
of a partition stays where the transaction began, also when the next owner of the transactional id has come. A
transaction of the same id that writes into the partition and commits gives a marker to it and to what hung before.

A unit must not read its state before that: it would go on from the state before its last transaction, while the offsets
of its inputs have moved on.
"""

import threading
import time

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import raise_lasting, translate
from exchange.kafka.client.groupless import groupless_consumer
from exchange.kafka.client.message import Message, Place
from exchange.kafka.client.producer import TransactionalProducer

_CALL_SECONDS = 5.0
_MARKED_SECONDS = 5.0
"""Markers of what the last owner left open come some milliseconds after its successor has started."""
_READ_SECONDS = 30.0
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
        stable = self._wait_stable(place)
        if stable is None:
            return False
        self._write_again(output, place, self._last(place, stable))
        if self._wait_stable(place) is not None:
            raise ExchangeError("E_KAFKA_UNREACHABLE", f"a transaction hangs in {place[0]}/{place[1]}")
        _log.warning("line.hanging_transaction_ended", topic=place[0], partition=place[1])
        return True

    def _wait_stable(self, place: Place) -> int | None:
        """None as soon as everything in the partition is decided, else the last stable offset after some seconds."""
        deadline = Deadline.after(_MARKED_SECONDS)
        stable = self._stable(place)
        while stable is not None and not deadline.passed:
            time.sleep(_POLL_SECONDS)
            stable = self._stable(place)
        return stable

    def _stable(self, place: Place) -> int | None:
        """The last stable offset where it is behind the end of the partition; None where it is not."""
        with self._lock:
            end, stable = self._end(place, "read_uncommitted"), self._end(place, "read_committed")
        return stable if stable < end else None

    def _end(self, place: Place, isolation: str) -> int:
        if isolation not in self._ends:
            self._ends[isolation] = groupless_consumer(self._connection, isolation)
        try:
            found: int = self._ends[isolation].get_watermark_offsets(TopicPartition(*place), _CALL_SECONDS)[1]
        except KafkaException as error:
            raise translate(error, f"asking for the end of {place[0]}") from None
        return found

    def _last(self, place: Place, stable: int) -> Message:
        """The last record behind the last stable offset."""
        consumer = groupless_consumer(self._connection, "read_uncommitted", auto_offset_reset="error")
        try:
            consumer.assign([TopicPartition(*place, stable)])
            return _last_of(consumer, place)
        finally:
            consumer.close()

    @staticmethod
    def _write_again(output: TransactionalProducer, place: Place, last: Message) -> None:
        output.begin()
        output.produce(place[0], last.value(), last.key(), place[1], headers=last.headers())
        output.commit(Deadline.after(_COMMIT_SECONDS))

    def close(self) -> None:
        """Let go of the clients."""
        for consumer in self._ends.values():
            consumer.close()


def _last_of(consumer: Consumer, place: Place) -> Message:
    deadline = Deadline.after(_READ_SECONDS)
    last: Message | None = None
    while not deadline.passed:
        message = consumer.poll(_CALL_SECONDS)
        problem = message.error() if message is not None else None
        if problem is not None and problem.code() == KafkaError._PARTITION_EOF and last is not None:
            return last
        if problem is not None and problem.code() != KafkaError._PARTITION_EOF:
            raise_lasting(problem, f"reading {place[0]}")
        elif problem is None and message is not None:
            last = message
    raise ExchangeError("E_KAFKA_UNREACHABLE", f"what hangs in {place[0]}/{place[1]} cannot be read")
