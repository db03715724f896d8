"""Reading a share as its grantee: the grant's group, `read_committed`, classic protocol with static membership."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from exchange.clock import Deadline
from exchange.errors import Action, ExchangeError
from exchange.kafka.client.connection import Connection, Login
from exchange.kafka.client.errors import is_position_lost, raise_lasting, translate
from exchange.kafka.client.message import Message
from exchange.kafka.client.told_offsets import ToldOffsets

_CALL_SECONDS = 10.0
_LOOK_SECONDS = 1.0
"""How long it waits for Kafka's word whether it is there."""
_TOPIC_DOUBTED = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
_AT_ONCE = 100
"""Records taken from the client in one call: with the largest values they are some 26 MB."""
_MORE_SECONDS = 0.02
"""How long a record waits for those that come right behind it."""
_SLOW_SECONDS = 0.1


class ShareReader:
    """One member of a grant's group on one topic. Not safe for several threads.

    `begin` gives, for partitions that are about to be read, the offsets to start from: the sink knows, whatever was
    committed. 0 is the beginning, wherever that is by now. It is called in `poll`, and so are its errors raised.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        group: str,
        member: str,
        begin: Callable[[list[int]], Mapping[int, int]],
    ) -> None:
        self._topic = topic
        self._begin = begin
        self._login = Login(connection)
        self._consumer = Consumer(
            connection.config(
                error_cb=self._troubled,
                on_commit=self._answered,
                group_id=group,
                # Of each topic a member of its own: a static member that comes back with another subscription is
                # given its old partitions without a rebalance.
                group_instance_id=f"{member}.{topic}",
                group_protocol="classic",
                partition_assignment_strategy="range",
                session_timeout_ms=6000,
                heartbeat_interval_ms=1500,
                max_poll_interval_ms=300_000,  # a slow database may take long for a batch
                isolation_level="read_committed",
                auto_offset_reset="error",
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                enable_partition_eof=True,
                allow_auto_create_topics=False,
                topic_metadata_propagation_max_ms=5000,  # a share that is gone shows soon
                fetch_wait_max_ms=100,
                fetch_queue_backoff_ms=5,
                queued_min_messages=5_000,
                queued_max_messages_kbytes=2048,
                fetch_max_bytes=2_000_000,  # a sink shares a department's small machine
            )
        )
        self._told = ToldOffsets(topic, self._login)
        self._doubted = False
        """Whether the client has said that there may be no such topic: it reads on, nothing, without an error."""
        self._at_end: set[int] = set()
        self._ended: set[int] = set()
        self._lost: set[int] = set()
        self._held: list[Message] = []
        self._consumer.subscribe([topic], on_assign=self._assign, on_revoke=self._revoke)

    @property
    def served(self) -> bool:
        """Whether Kafka has let it read."""
        return self._login.served

    @property
    def caught_up(self) -> bool:
        """Whether every assigned partition has been read to its end since it last had something new."""
        assigned = self._assigned()
        return bool(assigned) and assigned <= self._at_end

    def reached(self) -> bool:
        """Whether Kafka is there, as far as is known; asks it when it was not."""
        if self._login.away:
            try:
                self._consumer.list_topics(self._topic, timeout=_LOOK_SECONDS)
            except KafkaException:
                return False
            self._login.answered()
        return not self._login.lapsed

    def ended(self) -> set[int]:
        """Partitions whose end was reached since the last call, and of which `poll` has given everything before it."""
        found = self._ended - {message.partition() for message in self._held}
        self._ended -= found
        return found

    def lost(self) -> dict[int, int]:
        """Partitions that cannot be read because the offset to read is none of theirs, with the offset of their end.

        Raises ExchangeError when Kafka does not tell the end.
        """
        found: dict[int, int] = {}
        for partition in sorted(self._lost):
            try:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), _CALL_SECONDS)
            except KafkaException as error:
                raise translate(error, f"reading the end of {self._topic}") from None
            found[partition] = high
        return found

    def poll(self, records: int, size: int, seconds: float) -> list[Message]:
        """Next records, after at most `seconds` without one: some `records`, or some `size` bytes of values.

        Raises ExchangeError for what waiting won't mend.
        """
        more = bool(self._held) or self._hold(1, seconds) > 0
        taken = _bytes(self._held)
        while more and len(self._held) < records and taken < size:
            before = len(self._held)
            more = self._hold(_AT_ONCE, _MORE_SECONDS) == _AT_ONCE
            taken += _bytes(self._held[before:])
        found, self._held = self._held, []
        return found

    def took(self, offsets: Mapping[int, int]) -> None:
        """Partition to next offset, for the group to know: told in the background, at most once a second."""
        self._told.note(offsets)
        self._tell()

    def settle(self) -> bool:
        """Wait a while until the group knows what was taken; whether it does.

        Raises ExchangeError for what waiting won't mend.
        """
        deadline = Deadline.after(_CALL_SECONDS)
        self._tell(at_once=True)
        while self._told.waiting and not deadline.passed:
            self.rest(min(_SLOW_SECONDS, deadline.remaining()))
        return not self._told.waiting

    def rest(self, seconds: float) -> None:
        """Stay a member for a while without reading on. What comes nevertheless waits for the next `poll`."""
        assigned = self._consumer.assignment()
        self._consumer.pause(assigned)
        try:
            self._hold(1, seconds)
        finally:
            still = {(place.topic, place.partition) for place in self._consumer.assignment()}
            self._consumer.resume([place for place in assigned if (place.topic, place.partition) in still])

    def close(self) -> None:
        """Leave without telling the group: the static membership waits for the next start."""
        self._consumer.close()

    def _consume(self, records: int, seconds: float) -> list[Message]:
        try:
            found = self._consumer.consume(records, seconds)
        except KafkaException as error:
            raise translate(error, f"reading {self._topic}") from None
        self._login.renew(self._consumer)
        self._login.check()
        self._tell()
        if self._doubted:
            self._look_for_topic()
        return [message for message in found if self._is_record(message)]

    def _hold(self, records: int, seconds: float) -> int:
        """Look for records, for this `poll` or the next one; how many there were."""
        found = self._consume(records, seconds)
        self._held += found  # not in one line: an assignment within takes away what is held of its partitions
        return len(found)

    def _tell(self, at_once: bool = False) -> None:
        self._told.tell(self._consumer, at_once)

    def _troubled(self, error: KafkaError) -> None:
        self._login(error)
        self._doubted = self._doubted or error.code() in _TOPIC_DOUBTED

    def _look_for_topic(self) -> None:
        """Raises ExchangeError when the topic is gone."""
        self._doubted = False
        try:
            found = self._consumer.list_topics(self._topic, timeout=_LOOK_SECONDS).topics[self._topic]
        except KafkaException:
            return  # the client will say it again
        if found.error is not None:
            raise_lasting(found.error, f"reading {self._topic}")

    def _assigned(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def _answered(self, problem: KafkaError | None, places: list[TopicPartition]) -> None:
        if problem is None:
            self._login.answered()
        self._told.answered(problem, places)

    def _revoke(self, _consumer: Consumer, _places: list[TopicPartition]) -> None:
        """The last word on partitions that go; it is on its way before they are given up."""
        with suppress(ExchangeError):  # which is raised by the next call
            self._tell(at_once=True)

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._login.answered()
        assigned = {place.partition for place in places}
        offsets = self._begin(sorted(assigned))
        for place in places:
            place.offset = offsets[place.partition] or OFFSET_BEGINNING
        self._at_end -= assigned
        self._ended -= assigned
        self._lost -= assigned
        self._held = [message for message in self._held if message.partition() not in assigned]
        self._told.clear()  # the partitions may be another member's by now
        consumer.assign(places)
        # The client remembers a pause of a partition while it is not ours: one that went while we rested would never be
        # read again.
        consumer.resume(places)

    def _is_record(self, message: Message) -> bool:
        problem: KafkaError | None = message.error()  # type: ignore[attr-defined]
        if problem is None:
            self._at_end.discard(message.partition())
            self._login.answered()
            return True
        if problem.code() == KafkaError._PARTITION_EOF:
            self._login.answered()
            self._at_end.add(message.partition())
            self._ended.add(message.partition())
        elif is_position_lost(problem):
            self._lost.add(message.partition())
        else:
            raise_lasting(problem, f"reading {self._topic}")
        return False


def _bytes(messages: Sequence[Message]) -> int:
    return sum(len(message.value() or b"") for message in messages)


def passes(error: ExchangeError, served: bool) -> bool:
    """Whether another reader may do better later. served: this one, or one before it, was let in.

    Who was let in before waits for its new secret: it stands in its file a little later than in Kafka.
    """
    return error.entry.action is Action.RETRY or (served and error.code == "E_KAFKA_REFUSED")


def is_refusal(error: ExchangeError) -> bool:
    """Whether Kafka said that this principal may not read, or that there is no such topic."""
    return error.code in ("E_KAFKA_FORBIDDEN", "E_KAFKA_TOPIC_MISSING")
