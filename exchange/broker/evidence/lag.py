"""How long the oldest record waits for a line of the exchange, and how many wait in inboxes.

An inbox is not read by the broker service: departments cannot open transactions, so it holds no markers, and what
stands between offsets are records (and heartbeats). A registry is written in transactions. There an offset may be that
of a marker, which is as old as the transaction before it: the record that waits is looked up, for its time alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exchange import names
from exchange.broker.evidence.line_states import LineStates
from exchange.broker.evidence.untaken import FirstRecords
from exchange.broker.seams import Offsets
from exchange.clock import Deadline
from exchange.names import Department, RecordType

Place = tuple[str, int]
Line = tuple[RecordType, Department]
_OLDEST_SECONDS = 60 * 86_400
"""Nothing waits longer: inboxes are kept for 14 days."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What stands in inboxes and admission has not taken, whether a worker reads them or not."""

    places: Mapping[Place, int] = field(default_factory=dict)
    """Where reading goes on, of each partition in which something waits."""
    records: Mapping[Line, int] = field(default_factory=dict)
    """How many wait of each provider, heartbeats counted; absent when none does."""

    def of(self, record_type: RecordType) -> int:
        """How many wait of a record type."""
        return sum(count for line, count in self.records.items() if line[0] == record_type)

    def age(self, kafka: Offsets, line: Line, now: datetime) -> timedelta:
        """Age of the oldest that waits of a provider; zero when none does."""
        if line not in self.records:
            return timedelta()
        mine = {place: start for place, start in self.places.items() if names.split_inbox(place[0]) == line}
        return oldest(kafka, mine, now)


def unread(kafka: Offsets, places: Iterable[Place], committed: Mapping[Place, int]) -> Unread:
    """What waits in these inbox partitions. committed: what admission has taken, asked before.

    What retention has dropped waits no more.
    """
    ends = kafka.end_offsets(places)
    behind = {place: committed.get(place, 0) for place, end in ends.items() if committed.get(place, 0) < end}
    begins = kafka.beginnings(behind)
    starts = {place: max(offset, begins[place]) for place, offset in behind.items() if begins[place] < ends[place]}
    records: Counter[Line] = Counter()
    for (topic, number), start in starts.items():
        records[names.split_inbox(topic)] += ends[(topic, number)] - start
    return Unread(starts, dict(records))


def delivery_ages(
    kafka: Offsets, firsts: FirstRecords, lines: LineStates, now: datetime, deadline: Deadline
) -> dict[RecordType, timedelta]:
    """Age of the oldest record of each registry that delivery has not taken.

    Looked for where the counted records of both lines differ.
    """
    waiting: dict[RecordType, dict[Place, int]] = {
        name: {
            (names.registry_topic(name), number): unit.delivery.totals.next
            for number, unit in enumerate(lines.units(name))
            if unit.in_flight > 0
        }
        for name in lines.record_types()
    }
    stretches = [stretch for places in waiting.values() for stretch in places.items()]
    ends = kafka.end_offsets([place for place, _ in stretches])
    found = firsts.find(stretches, ends, deadline)
    firsts.forget(ends)
    return {
        name: max([timedelta(), *(now - found[stretch].at for stretch in places.items() if stretch in found)])
        for name, places in waiting.items()
    }


def oldest(kafka: Offsets, waiting: Mapping[Place, int], now: datetime) -> timedelta:
    """Age of the oldest record at or after the given offsets, to the second; zero when `waiting` is empty.

    For topics without transactions, in which something stands behind each of these offsets. Kafka answers "which offset
    is first at or after a time": something older waits as long as that offset lies behind the position. Halving the
    time finds the age in some twenty answers, however far a line is behind.
    """
    if not waiting:
        return timedelta()
    at_ms = int(now.timestamp() * 1000)

    def waits_longer(seconds: int) -> bool:
        firsts = kafka.offsets_for_time(waiting, at_ms - seconds * 1000)
        return any(first is None or first > waiting[place] for place, first in firsts.items())

    return timedelta(seconds=_greatest(waits_longer, _OLDEST_SECONDS))


def _greatest(holds: Callable[[int], bool], limit: int) -> int:
    """The greatest number below `limit` for which `holds`, which holds up to some number; 0 when it never does."""
    low, high = 0, 1
    while high < limit and holds(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
