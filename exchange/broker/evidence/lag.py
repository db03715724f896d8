"""How long the oldest record waits for a line of the exchange, told from offsets and times alone: no record is read."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from exchange import names
from exchange.broker.evidence.line_states import LineStates
from exchange.broker.seams import Offsets
from exchange.names import RecordType

Place = tuple[str, int]
_OLDEST_SECONDS = 60 * 86_400
"""Nothing waits longer: inboxes are kept for 14 days."""


def admission_age(
    kafka: Offsets, places: Iterable[Place], committed: Mapping[Place, int], now: datetime
) -> tuple[timedelta, int]:
    """Age of the oldest record of these inbox partitions that admission has not taken, and how many wait.

    Departments cannot open transactions, so an inbox holds no markers and offsets count records (and heartbeats).
    """
    places = list(places)
    ends = kafka.end_offsets(places)
    waiting = {place: committed.get(place, 0) for place in places if committed.get(place, 0) < ends[place]}
    count = sum(ends[place] - offset for place, offset in waiting.items())
    return oldest(kafka, waiting, now), count


def delivery_ages(kafka: Offsets, lines: LineStates, now: datetime) -> dict[RecordType, timedelta]:
    """Age of the oldest record of each registry that delivery has not taken.

    A registry is written in transactions, so its offsets also count markers: only partitions where the counted records
    of both lines differ are looked at.
    """
    ages = {}
    for name in lines.record_types():
        waiting: dict[Place, int] = {
            (names.registry_topic(name), number): unit.delivery.totals.next
            for number, unit in enumerate(lines.units(name))
            if unit.in_flight > 0
        }
        ages[name] = oldest(kafka, waiting, now)
    return ages


def oldest(kafka: Offsets, waiting: Mapping[Place, int], now: datetime) -> timedelta:
    """Age of the oldest record at or after the given offsets, to the second; zero when `waiting` is empty.

    Kafka answers "which offset is first at or after a time": something older waits as long as that offset lies behind
    the position. Halving the time finds the age in some twenty answers, however far a line is behind.
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
