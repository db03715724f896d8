"""Where the keys and words of corrections stand, and where the corrected versions come: Kafka, looked at on demand."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from exchange.broker.corrections.commands import ANSWER, DOUBT
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.partitioner import partition_of
from exchange.kafka.client.peek import Peeker
from exchange.ledger.state.correction import CorrectionEntry
from exchange.names import CorrectionId, Department, RecordType, correction_topic, registry_topic

_SLACK = timedelta(hours=1)
"""A broker's clock and the ledger's may differ by so much."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a correction topic holds of one correction. None of it ever shows in a repr."""

    key: str | None = field(default=None, repr=False)
    words: str | None = field(default=None, repr=False)
    """Of the doubt."""
    answer_words: str | None = field(default=None, repr=False)


class Sought(NamedTuple):
    """A version of a key that is to come."""

    correction: CorrectionId
    record_type: RecordType
    partition: int
    key: bytes
    start: int
    """The offset from which on it counts."""

    def __repr__(self) -> str:
        return f"Sought({self.correction})"


class Found(NamedTuple):
    """What a look for versions came to."""

    offsets: dict[CorrectionId, int]
    """Of the versions that have come."""
    starts: dict[CorrectionId, int]
    """From which offset on the others are looked for next time."""


class CorrectionStore(Protocol):
    """What corrections need of Kafka."""

    def end_of(self, record_type: RecordType, key: bytes) -> tuple[int, int]:
        """The partition of a key in its registry, and the offset after the last record there.

        Raises ExchangeError: E_KAFKA_TOPIC_MISSING, E_KAFKA_*.
        """
        ...

    def check_topic(self, department: Department) -> None:
        """Raises ExchangeError(E_KAFKA_TOPIC_MISSING) when a department has no correction topic yet."""
        ...

    def written(self, entry: CorrectionEntry, deadline: Deadline) -> Written:
        """Key and words of a correction, as far as they are still kept. Raises ExchangeError(E_KAFKA_*)."""
        ...

    def versions(self, sought: Sequence[Sought], deadline: Deadline) -> Found:
        """The offset of each version that has come, and where to go on looking for the others."""
        ...


class KafkaCorrections:
    """The correction topics and registries of a real Kafka. Safe for any number of threads."""

    def __init__(self, connection: Connection, admin: Admin) -> None:
        self._admin = admin
        self._peeker = Peeker(connection)
        self._peeking = threading.Lock()
        self._watcher = Peeker(connection)
        """For versions alone: a long look must not keep the API waiting."""
        self._watching = threading.Lock()

    def close(self) -> None:
        """Let go of the clients."""
        with self._peeking, self._watching:
            self._peeker.close()
            self._watcher.close()

    def end_of(self, record_type: RecordType, key: bytes) -> tuple[int, int]:
        """As CorrectionStore says."""
        topic = registry_topic(record_type)
        place = (str(topic), partition_of(key, self._partitions(topic)))
        return place[1], self._admin.end_offsets([place])[place]

    def check_topic(self, department: Department) -> None:
        """As CorrectionStore says."""
        self._partitions(correction_topic(department))

    def written(self, entry: CorrectionEntry, deadline: Deadline) -> Written:
        """As CorrectionStore says."""
        doubt = self._find(entry, DOUBT, entry.submitted, deadline)
        answer = None if entry.answered is None else self._find(entry, ANSWER, entry.answered, deadline)
        return Written(
            key=None if doubt is None else str(doubt["key"]),
            words=None if doubt is None else str(doubt["words"]),
            answer_words=None if answer is None else str(answer["words"]),
        )

    def versions(self, sought: Sequence[Sought], deadline: Deadline) -> Found:
        """As CorrectionStore says. What is not reached in time is looked at next time."""
        waiting: dict[tuple[str, int], dict[bytes, list[Sought]]] = {}
        for one in sought:
            of_place = waiting.setdefault(_place(one), {})
            of_place.setdefault(one.key, []).append(one)
        offsets: dict[CorrectionId, int] = {}
        reached: dict[tuple[str, int], int] = {}

        def done(message: Message) -> bool:
            """Whether nothing more is sought where this record stands. Every record that is passed is noted."""
            place = (message.topic(), message.partition())
            reached[place] = message.offset() + 1
            for one in waiting[place].get(message.key() or b"", ()):
                if message.offset() >= one.start:
                    offsets.setdefault(one.correction, message.offset())
            return all(one.correction in offsets for some in waiting[place].values() for one in some)

        starts = {
            place: min(one.start for some in of_place.values() for one in some) for place, of_place in waiting.items()
        }
        try:
            with self._watching:
                self._watcher.first_at(starts, done, deadline)
        except ExchangeError as error:
            if error.code != "E_KAFKA_UNREACHABLE":
                raise
        left = (one for one in sought if one.correction not in offsets)
        return Found(offsets, {one.correction: max(one.start, reached.get(_place(one), 0)) for one in left})

    def _find(
        self, entry: CorrectionEntry, kind: str, since: datetime, deadline: Deadline
    ) -> Mapping[str, object] | None:
        """The record of a correction of one kind; looked for from about its time on, else from the beginning."""
        place = (str(correction_topic(entry.kept_by)), 0)
        moment = int((since - _SLACK).timestamp() * 1000)
        near = self._admin.offsets_for_time([place], moment)[place]
        for start in dict.fromkeys((near or 0, 0)):
            with self._peeking:
                found = self._peeker.first_at({place: start}, lambda one: _is(one, entry.correction, kind), deadline)
            if found:
                value: Mapping[str, object] = json.loads(found[place].value() or b"{}")
                return value
        return None

    def _partitions(self, topic: str) -> int:
        found = self._admin.topics().get(topic)
        if not found:
            raise ExchangeError("E_KAFKA_TOPIC_MISSING", topic)
        return found


def _place(one: Sought) -> tuple[str, int]:
    return str(registry_topic(one.record_type)), one.partition


def _is(message: Message, correction: CorrectionId, kind: str) -> bool:
    return message.key() == correction.encode() and json.loads(message.value() or b"{}").get("kind") == kind
