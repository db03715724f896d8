"""What a group is told of its offsets in the background: of each partition the newest, at most once a second.

For a reader whose place is kept elsewhere: the group's offsets say how far it has come, and do not decide where it
begins. So nothing waits for their answer, and what was not answered is told again.
"""

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from exchange.errors import Action, ExchangeError
from exchange.kafka.client.connection import Login
from exchange.kafka.client.errors import error_of, translate

_EVERY_SECONDS = 1.0
_ANSWER_SECONDS = 60.0
"""After this an answer is not waited for any more."""
_PASSING = ("E_KAFKA_REFUSED", "E_KAFKA_MEMBERSHIP")
"""What a secret that changes, and a group that moves, have a commit meet."""


class ToldOffsets:
    """The offsets of one member of a group on one topic. Not safe for several threads."""

    def __init__(self, topic: str, login: Login) -> None:
        self._topic = topic
        self._login = login
        self._newest: dict[int, int] = {}
        """Not known to have arrived."""
        self._sent_at: float | None = None
        """When what is under way was sent; None when nothing is."""
        self._next_at = 0.0
        self._refused = False
        """Since a commit last arrived."""
        self._error: ExchangeError | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is something that the group may not know."""
        return bool(self._newest)

    def note(self, offsets: Mapping[int, int]) -> None:
        """Partition to next offset: to be told at the next occasion."""
        self._newest.update(offsets)

    def clear(self) -> None:
        """Forget what was to be told."""
        self._newest.clear()

    def tell(self, consumer: Consumer, at_once: bool = False) -> None:
        """Send what there is, unless an answer is awaited or the last one was sent a moment ago.

        Raises ExchangeError for what the group has answered to a former one and waiting won't mend.
        """
        if self._error is not None:
            raise self._error
        now = time.monotonic()
        awaited = self._sent_at is not None and now - self._sent_at < _ANSWER_SECONDS
        if not self._newest or awaited or (now < self._next_at and not at_once):
            return
        self._sent_at, self._next_at = now, now + _EVERY_SECONDS
        places = [TopicPartition(self._topic, number, offset) for number, offset in sorted(self._newest.items())]
        try:
            consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            self.answered(error_of(error), places)

    def answered(self, problem: KafkaError | None, places: list[TopicPartition]) -> None:
        """The client's `on_commit`."""
        self._sent_at = None
        for place in places:
            problem = problem or place.error
        if problem is None:
            self._refused = False
            for place in places:
                if self._newest.get(place.partition) == place.offset:
                    del self._newest[place.partition]
            return
        error = translate(problem, f"committing {self._topic}")
        if error.code == "E_KAFKA_REFUSED":
            self._login(problem)
            self._refused = True
        # It was away for longer than its session: that it is not known any more does not show a twin.
        passing = error.code in _PASSING or (error.code == "E_WORKER_TWIN" and self._refused)
        if not passing and not problem.retriable() and error.entry.action is not Action.RETRY:
            self._error = error
