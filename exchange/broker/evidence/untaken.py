"""The first record that a grantee has not taken: looked up, because an offset difference counts markers too."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from exchange.broker.evidence.judge import Untaken
from exchange.clock import Deadline
from exchange.kafka.client.message import Message
from exchange.names import HEARTBEAT_KEY

Place = tuple[str, int]
Stretch = tuple[Place, int]
"""A partition and the offset to begin at."""


class Peek(Protocol):
    """What finds single records."""

    def first_at(
        self, starts: Mapping[Place, int], wanted: Callable[[Message], bool], deadline: Deadline
    ) -> Mapping[Place, Message]:
        """The first wanted record at or after each offset."""
        ...


class FirstRecords:
    """Finds the first record at or after offsets. A stretch that held none is not looked at again until it grows."""

    def __init__(self, peek: Peek) -> None:
        self._peek = peek
        self._quiet: dict[Stretch, int] = {}

    def find(
        self, stretches: Iterable[Stretch], ends: Mapping[Place, int], deadline: Deadline
    ) -> dict[Stretch, Untaken]:
        """The first record of each stretch up to its partition's end, heartbeats passed over; absent when none is."""
        open_ = {
            (place, start)
            for place, start in stretches
            if start < ends.get(place, 0) and self._quiet.get((place, start)) != ends[place]
        }
        found: dict[Stretch, Untaken] = {}
        for starts in _rounds(open_):
            records = self._peek.first_at(starts, _is_record, deadline)
            for place, start in starts.items():
                record = records.get(place)
                if record is None:
                    self._quiet[(place, start)] = ends[place]
                else:
                    found[(place, start)] = Untaken(record.offset(), time_of(record))
        return found

    def forget(self, known: Iterable[Place]) -> None:
        """Drop what is remembered of partitions that nobody watches any more."""
        kept = set(known)
        self._quiet = {stretch: end for stretch, end in self._quiet.items() if stretch[0] in kept}


def time_of(message: Message) -> datetime:
    """When the broker appended a record."""
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)


def _is_record(message: Message) -> bool:
    return message.key() != HEARTBEAT_KEY


def _rounds(stretches: set[Stretch]) -> Iterable[dict[Place, int]]:
    """Several grantees of one share may stand at several offsets; one look takes one offset a partition."""
    left = sorted(stretches)
    while left:
        this: dict[Place, int] = {}
        later = []
        for place, start in left:
            if place in this:
                later.append((place, start))
            else:
                this[place] = start
        yield this
        left = later
