"""How far a line is behind its inputs."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from exchange.clock import Every
from exchange.kafka.line.membership import Membership
from exchange.kafka.line.slot import Slot
from exchange.names import RecordType

_MEASURE_SECONDS = 2.0


class Lag(NamedTuple):
    """Records unread (markers count too), and how many seconds ago everything was read; 0 where the end is reached."""

    records: int
    seconds: float


class LagMeter:
    """Measures now and then."""

    def __init__(self, members: Membership) -> None:
        self.latest: dict[RecordType, Lag] = {}
        """By record type, a moment ago."""
        self._members = members
        self._measuring = Every(_MEASURE_SECONDS)

    def measure(self, slots: Iterable[Slot]) -> None:
        """Renew `latest`, when it is time."""
        if not self._measuring.due:
            return
        self._measuring.done()
        found: dict[RecordType, Lag] = {}
        for slot in slots:
            one, before = self._of(slot), found.get(slot.id.record_type, Lag(0, 0.0))
            found[slot.id.record_type] = Lag(before.records + one.records, max(before.seconds, one.seconds))
        self.latest = found

    def _of(self, slot: Slot) -> Lag:
        distances = self._members.behind(slot.behind)
        reached = [slot.reached[place] for place in distances if place in slot.reached]
        seconds = max([0.0, *(time.time() - at_ms / 1000 for at_ms in reached)])
        return Lag(sum(max(1, distance) for distance in distances.values()), seconds)
