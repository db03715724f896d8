"""Writing to Kafka: idempotent for departments, transactional for the exchange's own lines and its ledger."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import ANSWER_MS, Connection, Login
from exchange.kafka.client.errors import Recovery, recovery, translate
from exchange.kafka.client.message import Message
from exchange.record import Headers

PARTITIONER = "murmur2_random"
"""The only partitioner of the exchange: the same as the Java client's."""
_POLL_WHEN_FULL_SECONDS = 0.1
_FOR_GOOD = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.MSG_SIZE_TOO_LARGE,
    }
)
_CALL_SECONDS = 2.0
"""After this a call is made again, unless a topic is unwritable."""
_FLUSH_SECONDS = 1.0
"""After this a flush looks whether it waits because of a secret that has changed."""
_BATCH_BYTES = 200_000
"""Below the inbox's limit for a batch (record.MAX_VALUE_BYTES): Kafka refuses a larger batch as a whole."""

_BY_KEY = -1
"""The partition is the partitioner's matter."""

Unwritable = Callable[[], bool]
"""Whether a topic of the transaction cannot be written: a call that Kafka did not answer in time is in vain then."""


def _never() -> bool:
    return False


class IdempotentProducer:
    """Writes without duplicates within one run. For departments' inboxes, faults and receipts."""

    def __init__(self, connection: Connection) -> None:
        self._failed: list[KafkaError] = []
        self._login = Login(connection)
        self._producer = Producer(
            connection.config(
                error_cb=self._login,
                enable_idempotence=True,
                partitioner=PARTITIONER,
                linger_ms=20,
                batch_size=_BATCH_BYTES,
                compression_type="none",  # inboxes refuse compressed batches, so that a size limit means what it says
                on_delivery=self._delivered,
                delivery_report_only_error=True,
            )
        )

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        partition: int = _BY_KEY,
    ) -> None:
        """Hand one record to the client; it travels in the background. `flush` tells whether it arrived."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=headers)
                return
            except BufferError:
                self._producer.poll(_POLL_WHEN_FULL_SECONDS)
            except KafkaException as error:
                raise translate(error, f"writing to {topic}") from None

    def send_in_passing(self, topic: str, key: bytes, value: bytes, lost: Callable[[ExchangeError], None]) -> None:
        """Hand over a record that no flush answers for: `lost` is called, in a later call, if it does not arrive.

        It is lost at once when the client has no room for it.
        """

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                lost(translate(error, f"writing to {topic}"))

        try:
            self._producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            lost(ExchangeError("E_SUBMIT", f"writing to {topic}: the client is full"))
        except KafkaException as error:
            lost(translate(error, f"writing to {topic}"))

    def serve(self) -> None:
        """Let the client say what became of records, and take a new secret; to be called now and then."""
        self._producer.poll(0)
        self._login.renew(self._producer)

    def flush(self, deadline: Deadline) -> None:
        """Return when everything sent has arrived.

        Raises ExchangeError: of the first failure since the last flush; when time runs out E_SUBMIT, or
        E_KAFKA_REFUSED when Kafka never let us in.
        """
        left = self._flush(deadline)
        while left and not deadline.passed:
            self._login.renew(self._producer)
            left = self._flush(deadline)
        failed, self._failed = self._failed, []
        if failed:
            raise translate(failed[0], f"{len(failed)} records were not taken")
        if left:
            self._login.check()
            raise ExchangeError("E_SUBMIT", f"{left} records were not taken in time")
        self._login.answered()

    def _flush(self, deadline: Deadline) -> int:
        """How many records have not arrived after some seconds. A client that may not write at all raises its end."""
        try:
            left: int = self._producer.flush(min(_FLUSH_SECONDS, deadline.remaining()))
        except KafkaException as error:
            raise translate(error, "writing") from None
        return left

    def close(self) -> None:
        """Let go of the client. What was not flushed is dropped."""
        self._producer.purge()
        self._producer.flush(0)


class TransactionalProducer:
    """One transactional id, held by one instance: a newer one fences the older.

    Every method raises KafkaException for an error that the owner must recover from (`errors.recovery`); errors that
    only ask to call again are called again here, until the deadline passes or a topic proves unwritable, which raises
    the last of them.
    """

    def __init__(self, connection: Connection, transactional_id: str, timeout_ms: int, **options: Any) -> None:
        self.failed_topics: set[str] = set()
        """Topics that Kafka refused for good in the running transaction; not those that a timeout or an abort met."""
        self._producer = Producer(
            connection.config(
                transactional_id=transactional_id,
                transaction_timeout_ms=timeout_ms,
                socket_timeout_ms=min(ANSWER_MS, timeout_ms),  # the client refuses a longer one than the transaction's
                partitioner=PARTITIONER,
                on_delivery=self._delivered,
                delivery_report_only_error=True,
                # the client's answer to an outage is to forget its brokers, and then send_offsets waits for one of them
                # for ever (librdkafka 5511, 5456)
                metadata_recovery_strategy="none",
                **options,
            )
        )
        self.produce: Callable[..., None] = self._producer.produce
        """The client's own method: produce(topic, value, key, partition=, headers=). Raises BufferError when full."""

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() in _FOR_GOOD:
            self.failed_topics.add(message.topic())

    def start(self, deadline: Deadline) -> None:
        """Fence older instances and abort what they left open."""
        self._again(lambda: self._producer.init_transactions(_CALL_SECONDS), deadline)

    def begin(self) -> None:
        """Open a transaction."""
        self.failed_topics.clear()
        self._producer.begin_transaction()

    def poll(self, seconds: float = 0) -> None:
        """Serve delivery reports."""
        self._producer.poll(seconds)

    def send_offsets(
        self, offsets: list[TopicPartition], group: object, deadline: Deadline, unwritable: Unwritable = _never
    ) -> None:
        """Make consumed offsets part of the transaction. `group` is the metadata taken together with the batch."""
        send = self._producer.send_offsets_to_transaction
        self._again(lambda: send(offsets, group, _CALL_SECONDS), deadline, unwritable)

    def commit(self, deadline: Deadline, unwritable: Unwritable = _never) -> None:
        """Make the transaction durable."""
        self._again(lambda: self._producer.commit_transaction(_CALL_SECONDS), deadline, unwritable)

    def abort(self, deadline: Deadline) -> None:
        """Throw the transaction away."""
        self._again(lambda: self._producer.abort_transaction(_CALL_SECONDS), deadline)

    def close(self) -> None:
        """Let go of the client; an open transaction is aborted by the next owner of the id."""
        try:
            self._producer.purge()
            self._producer.flush(0)
        except KafkaException:
            pass  # a client that was fenced raises its end once more

    @staticmethod
    def _again(call: Callable[[], None], deadline: Deadline, unwritable: Unwritable = _never) -> None:
        while True:
            try:
                call()
                return
            except KafkaException as error:
                if recovery(error) is not Recovery.AGAIN or deadline.passed or unwritable():
                    raise
