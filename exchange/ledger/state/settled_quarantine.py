"""What became of quarantined records: which were redriven or discarded, by which event. All others wait.

The events hold offsets of the quarantine topic in ranges. A range may span offsets at which no record stands (Kafka's
own transaction markers); it never spans a record that was left out.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

REDRIVEN = "redriven"
DISCARDED = "discarded"

Ranges = Mapping[int, Sequence[tuple[int, int]]]
"""By partition: (first, last) offsets, both included, rising."""


@dataclass(frozen=True, slots=True)
class Act:
    """One redrive or discard of a department's quarantined records."""

    seq: int
    """Of its event."""
    kind: str
    """REDRIVEN or DISCARDED."""
    at: datetime
    by: str
    """Who did it: a department, or a role."""
    by_code: Mapping[str, int]
    """How many records it settled, by the error code they were quarantined with."""
    reason: str | None
    """Of a discard."""

    @property
    def count(self) -> int:
        """How many records it settled."""
        return sum(self.by_code.values())


@dataclass(slots=True)
class SettledRecords:
    """Of one department: the records that no longer wait."""

    acts: dict[int, Act] = field(default_factory=dict)
    """By the sequence number of their events."""
    by_code: dict[str, int] = field(default_factory=dict)
    """How many records in all, by error code."""
    _ranges: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By partition: (first, last, sequence number of the act), rising, without overlap."""

    def act_on(self, partition: int, offset: int) -> Act | None:
        """What settled the record at this place; None while it waits."""
        ranges = self._ranges.get(partition, ())
        at = bisect_right(ranges, offset, key=_first) - 1
        if at < 0 or ranges[at][1] < offset:
            return None
        return self.acts[ranges[at][2]]

    def add(self, act: Act, ranges: Ranges) -> None:
        """Add what an event settled. Raises ValueError for a range that is none or that was settled before."""
        for partition, some in ranges.items():
            before = self._ranges.get(partition, [])
            last = -1
            for first, end in some:
                at = bisect_right(before, end, key=_first) - 1
                if not last < first <= end or (at >= 0 and before[at][1] >= first):
                    raise ValueError("a quarantined record is settled once")
                last = end
        for partition, some in ranges.items():
            merged = [*self._ranges.get(partition, ()), *((first, end, act.seq) for first, end in some)]
            self._ranges[partition] = sorted(merged)
        self.acts[act.seq] = act
        for code, count in act.by_code.items():
            self.by_code[code] = self.by_code.get(code, 0) + count


def compact(chosen: Sequence[int], seen: Sequence[int]) -> list[tuple[int, int]]:
    """Rising offsets as ranges. `seen`: every offset at which a record stands, from the first chosen to the last."""
    ranges: list[tuple[int, int]] = []
    wanted = frozenset(chosen)
    following = False
    for offset in seen:
        if offset not in wanted:
            following = False
        elif following:
            ranges[-1] = (ranges[-1][0], offset)
        else:
            ranges.append((offset, offset))
            following = True
    return ranges


def _first(one: tuple[int, int, int]) -> int:
    return one[0]
