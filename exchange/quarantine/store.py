"""Reading quarantine topics on demand: no index, no memory. Kafka keeps the records; every look is bounded."""

import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from datetime import datetime
from typing import NamedTuple, Protocol

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.peek import Peeker
from exchange.kafka.client.reader import PartitionTail
from exchange.names import Department, RecordType, quarantine_topic, redrive_topic
from exchange.quarantine.entry import Quarantined, quarantined
from exchange.quarantine.quarantine_id import QuarantineId

_POLL_SECONDS = 0.5
_READERS = 2
"""Looks at a time: each may hold some tens of megabytes that the client has fetched ahead."""


class Stretch(NamedTuple):
    """Offsets of one partition at which quarantined records may stand."""

    department: Department
    partition: int
    first: int
    end: int
    """The offset after the last one."""


Entries = Generator[Quarantined, None, None]


class QuarantineStore(Protocol):
    """Where quarantined records stand."""

    def stretches(self, departments: Iterable[Department], since: datetime | None = None) -> list[Stretch]:
        """What can be read now of these departments, put aside at or after `since`; empty ones are left out."""
        ...

    def held(self, stretches: Iterable[Stretch], deadline: Deadline) -> list[Stretch]:
        """Those of these stretches, read to their ends, in which a record stands: others hold markers alone.

        Raises ExchangeError(E_KAFKA_UNREACHABLE) when time runs out.
        """
        ...

    def read(self, stretch: Stretch, deadline: Deadline) -> Entries:
        """The records of a stretch, oldest first; close it when you have enough.

        Raises ExchangeError(E_KAFKA_UNREACHABLE) when time runs out.
        """
        ...

    def redrive_partitions(self, record_type: RecordType) -> int:
        """The partition count of the redrive topic. Raises ExchangeError(E_KAFKA_TOPIC_MISSING)."""
        ...


class KafkaQuarantineStore:
    """The quarantine topics of a real Kafka. Safe for any number of threads."""

    def __init__(self, connection: Connection, admin: Admin) -> None:
        self._connection = connection
        self._admin = admin
        self._readers = threading.BoundedSemaphore(_READERS)
        self._looked: dict[Stretch, bool] = {}
        """Whether a record stands in a stretch, as far as it was looked up."""

    def stretches(self, departments: Iterable[Department], since: datetime | None = None) -> list[Stretch]:
        """As QuarantineStore says; departments in order of their names."""
        counts = self._admin.topics()
        places = {
            (str(topic), number): department
            for department in sorted(set(departments))
            for topic in (quarantine_topic(department),)
            for number in range(counts.get(topic, 0))
        }
        ends = self._admin.end_offsets(places)
        moment = 0 if since is None else int(since.timestamp() * 1000)
        firsts = self._admin.offsets_for_time([place for place in places if ends[place] > 0], moment)
        return [
            Stretch(places[place], place[1], first, ends[place])
            for place, first in firsts.items()
            if first is not None and first < ends[place]
        ]

    def held(self, stretches: Iterable[Stretch], deadline: Deadline) -> list[Stretch]:
        """As QuarantineStore says. What was looked up is remembered until the stretch is another one."""
        asked = list(stretches)
        known = self._looked
        unknown = {_place(one): one.first for one in asked if one not in known}
        found: dict[tuple[str, int], Message] = {}
        if unknown:
            with closing(Peeker(self._connection)) as peeker:
                found = peeker.first_at(unknown, lambda _message: True, deadline)
        self._looked = looked = {one: known.get(one, _place(one) in found) for one in asked}
        return [one for one in asked if looked[one]]

    def read(self, stretch: Stretch, deadline: Deadline) -> Entries:
        """As QuarantineStore says. Waits while others read."""
        if not self._readers.acquire(timeout=deadline.remaining()):
            raise ExchangeError("E_KAFKA_UNREACHABLE", "others are looking at quarantine: too many at a time")
        try:
            yield from self._read(stretch, deadline)
        finally:
            self._readers.release()

    def _read(self, stretch: Stretch, deadline: Deadline) -> Entries:
        place = _place(stretch)
        with closing(PartitionTail(self._connection, [place], stretch.first)) as tail:
            while not tail.at_end:
                if deadline.passed:
                    raise ExchangeError("E_KAFKA_UNREACHABLE", f"{place[0]} was not read in time")
                for message in tail.poll(min(_POLL_SECONDS, deadline.remaining())):
                    if message.offset() >= stretch.end:
                        return
                    at = QuarantineId(stretch.department, stretch.partition, message.offset())
                    yield quarantined(at, message)

    def redrive_partitions(self, record_type: RecordType) -> int:
        """As QuarantineStore says."""
        topic = redrive_topic(record_type)
        found = self._admin.topics().get(topic)
        if not found:
            raise ExchangeError("E_KAFKA_TOPIC_MISSING", topic)
        return found


def _place(stretch: Stretch) -> tuple[str, int]:
    return str(quarantine_topic(stretch.department)), stretch.partition
