"""Reading a share as its grantee: the grant's group, `read_committed`, classic protocol with static membership."""

from collections.abc import Callable, Mapping

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from exchange.errors import Action, ExchangeError
from exchange.kafka.client.connection import Connection, Login
from exchange.kafka.client.errors import error_of, is_position_lost, raise_lasting, translate
from exchange.kafka.client.message import Message

_CALL_SECONDS = 10.0
_AWAY = ("E_KAFKA_REFUSED", "E_KAFKA_UNREACHABLE")
"""What a commit meets while Kafka lets its client in no more."""
_QUICK_LOOKS = 20
_QUICK_SECONDS = 0.005
_SLOW_SECONDS = 0.1
"""How often it looks whether a commit was answered: at first without stopping to read on."""


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
                error_cb=self._login,
                on_commit=self._committed,
                group_id=group,
                # Of each topic a member of its own: a static member that comes back with another subscription is
                # given its old partitions without a rebalance.
                group_instance_id=f"{member}.{topic}",
                group_protocol="classic",
                partition_assignment_strategy="range",
                session_timeout_ms=6000,
                heartbeat_interval_ms=1500,
                max_poll_interval_ms=60000,
                isolation_level="read_committed",
                auto_offset_reset="error",
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                enable_partition_eof=True,
                allow_auto_create_topics=False,
                fetch_wait_max_ms=100,
                fetch_queue_backoff_ms=5,
                queued_min_messages=1000,
                queued_max_messages_kbytes=1024,
                fetch_max_bytes=2_000_000,  # a sink shares a department's small machine
            )
        )
        self._at_end: set[int] = set()
        self._ended: set[int] = set()
        self._lost: set[int] = set()
        self._held: list[Message] = []
        self._outcome: list[KafkaError | None] = []
        """What the group has answered to the last commit, as soon as it has."""
        self._consumer.subscribe([topic], on_assign=self._assign)

    @property
    def served(self) -> bool:
        """Whether Kafka has let it read."""
        return self._login.served

    @property
    def caught_up(self) -> bool:
        """Whether every assigned partition has been read to its end since it last had something new."""
        assigned = {place.partition for place in self._consumer.assignment()}
        return bool(assigned) and assigned <= self._at_end

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

    def poll(self, records: int, seconds: float) -> list[Message]:
        """At most `records` next records after at most `seconds`. Raises ExchangeError for what waiting won't mend."""
        found = self._consume(max(1, records - len(self._held)), 0.0 if self._held else seconds)
        held, self._held = self._held, []
        return held + found

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Tell the group what has been taken: partition to next offset. Waits while a member's secret is refused.

        Raises ExchangeError; E_KAFKA_MEMBERSHIP when the partitions belong to another member by now.
        """
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        refused = False
        while (problem := self._told(places)) is not None:
            error = translate(problem, f"committing {self._topic}")
            if error.code == "E_WORKER_TWIN" and refused:
                # It was away for longer than its session: that it is not known any more does not show a twin.
                raise ExchangeError("E_KAFKA_MEMBERSHIP", error.detail)
            if error.code == "E_KAFKA_REFUSED":
                self._login(problem)
            if error.code not in _AWAY or not self._login.lapsed:
                raise error
            refused = True
            self.rest(_SLOW_SECONDS)

    def _told(self, places: list[TopicPartition]) -> KafkaError | None:
        """Commit; what the group answers. Not the client's own waiting: in that it would take no new secret."""
        self._outcome.clear()
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            return error_of(error)
        quick = _QUICK_LOOKS
        while not self._outcome:
            if quick > 0:
                self._hold(_QUICK_SECONDS)
            else:
                self.rest(_SLOW_SECONDS)
            quick -= 1
        return self._outcome[0]

    def rest(self, seconds: float) -> None:
        """Stay a member for a while without reading on. What comes nevertheless waits for the next `poll`."""
        assigned = self._consumer.assignment()
        self._consumer.pause(assigned)
        try:
            self._hold(seconds)
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
        return [message for message in found if self._is_record(message)]

    def _hold(self, seconds: float) -> None:
        """Look for one record, for the next `poll`."""
        found = self._consume(1, seconds)
        self._held += found  # not in one line: an assignment within takes away what is held of its partitions

    def _committed(self, problem: KafkaError | None, _places: list[TopicPartition]) -> None:
        self._outcome.append(problem)

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
        consumer.assign(places)
        # The client remembers a pause of a partition while it is not ours: one that went while we rested would never be
        # read again.
        consumer.resume(places)

    def _is_record(self, message: Message) -> bool:
        problem: KafkaError | None = message.error()  # type: ignore[attr-defined]
        if problem is None:
            self._at_end.discard(message.partition())
            return True
        if problem.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(message.partition())
            self._ended.add(message.partition())
        elif is_position_lost(problem):
            self._lost.add(message.partition())
        else:
            raise_lasting(problem, f"reading {self._topic}")
        return False


def passes(error: ExchangeError, served: bool) -> bool:
    """Whether another reader may do better later. served: this one, or one before it, was let in.

    Who was let in before waits for its new secret: it stands in its file a little later than in Kafka.
    """
    return error.entry.action is Action.RETRY or (served and error.code == "E_KAFKA_REFUSED")


def is_refusal(error: ExchangeError) -> bool:
    """Whether Kafka said that this principal may not read, or that there is no such topic."""
    return error.code in ("E_KAFKA_FORBIDDEN", "E_KAFKA_TOPIC_MISSING")
