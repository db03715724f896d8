"""The committed offsets of groups, also while a node is gone that was the coordinator of some.

The client remembers each group's coordinator and waits for a lost one as long as the request lives; and it aborts the
whole process when it answers a request whose time was over (librdkafka pull requests 3847 and 5397, both open). So no
request's time is ever over, and a client that does not answer is put aside for a fresh one, which remembers nothing.

A coordinator that has moved since a client looked it up ends the whole process (librdkafka issue 5040, open). So a
client is used for some seconds only, about as long as one look at everybody's offsets takes.
"""

import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.errors import error_of, translate

_TRY_SECONDS = 5.0
_PAUSE_SECONDS = 0.1
_FOR_EVER_SECONDS = 3600.0
"""The longest that the client takes."""
_USED_SECONDS = 5.0
_ASIDE_AT_MOST = 8


class GroupOffsets:
    """Asks coordinators. Not safe for several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: AdminClient | None = None
        self._used = Deadline.after(0)
        """Until when the client is used."""
        self._aside: list[tuple[AdminClient, Future[Any]]] = []

    def committed(
        self, group: str, partitions: Iterable[tuple[str, int]] | None, deadline: Deadline
    ) -> dict[tuple[str, int], int]:
        """The committed offsets of a group, of all its partitions or of these; those without a commit are absent.

        Raises ExchangeError: E_KAFKA_UNREACHABLE when no coordinator answers in time; E_KAFKA_FORBIDDEN.
        """
        wanted = None if partitions is None else [TopicPartition(topic, number) for topic, number in partitions]
        request = ConsumerGroupTopicPartitions(group, wanted)
        while True:
            try:
                found = self._ask(request, deadline)
            except ExchangeError as error:
                if error.code != "E_KAFKA_UNREACHABLE" or deadline.passed:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return {(p.topic, p.partition): p.offset for p in found if p.error is None and p.offset >= 0}

    def _ask(self, request: ConsumerGroupTopicPartitions, deadline: Deadline) -> list[TopicPartition]:
        doing = f"reading the offsets of {request.group_id}"
        if self._client is None or self._used.passed:  # `is None`: a client has a length, and that is 0
            self._client, self._used = self._fresh(doing), Deadline.after(_USED_SECONDS)
        client = self._client
        future = next(
            iter(client.list_consumer_group_offsets([request], request_timeout=_FOR_EVER_SECONDS).values()),
        )
        try:
            found: list[TopicPartition] = future.result(min(_TRY_SECONDS, deadline.remaining())).topic_partitions
        except TimeoutError:
            self._aside.append((client, future))
            self._client = None
            raise ExchangeError("E_KAFKA_UNREACHABLE", f"{doing}: no answer in time") from None
        except KafkaException as error:
            if error_of(error).code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise translate(error, doing) from None
        for problem in [translate(place.error, doing) for place in found if place.error is not None]:
            if problem.code == "E_KAFKA_UNREACHABLE":  # others say that there is nothing to be seen
                raise problem
        return found

    def _fresh(self, doing: str) -> AdminClient:
        self._aside = [(client, future) for client, future in self._aside if not future.done()]
        if len(self._aside) >= _ASIDE_AT_MOST:
            raise ExchangeError("E_KAFKA_UNREACHABLE", f"{doing}: earlier questions are not answered yet")
        return AdminClient(self._connection.config())
