"""Picking the quarantined records that a redrive or a discard settles, while walking past all of them once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.broker.quarantine.commands import Asked, Chosen
from exchange.errors import ExchangeError
from exchange.ledger.events.event import Beside
from exchange.ledger.state.settled_quarantine import Act, compact
from exchange.quarantine.entry import Quarantined
from exchange.quarantine.look import Filter
from exchange.quarantine.quarantine_id import QuarantineId, quarantine_id
from exchange.quarantine.redrive import Left

WAITING = "waiting"
MOST_REDRIVEN_BYTES = 8_000_000
"""Bytes that one redrive writes at most: its transaction must end within a few seconds."""

Prepare = Callable[[Quarantined], Beside | Left | None]
"""What is written for a record, why it stays where it is, or None when it is settled without writing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A quarantined record and what became of it."""

    entry: Quarantined
    act: Act | None
    """What settled it; None while it waits."""

    @property
    def status(self) -> str:
        """`waiting`, `redriven` or `discarded`."""
        return WAITING if self.act is None else self.act.kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a redrive or a discard came to, or would come to."""

    by_code: Mapping[str, int] = field(default_factory=dict)
    """Settled records by error code."""
    left: Mapping[Left, int] = field(default_factory=dict)
    """Records that were meant but stay where they are."""
    ids: Sequence[QuarantineId] = ()
    """The settled records, in their order; empty when the command was a repetition."""
    following: QuarantineId | None = None
    """Where a next command goes on, when there is more to look at."""
    event: int | None = None
    """Sequence number of the ledger's event; None when nothing was done."""
    repeated: bool = False

    @property
    def count(self) -> int:
        """Settled records."""
        return sum(self.by_code.values())


class Pick:
    """Takes records in the order of their places; `full` tells when there is no use in more."""

    def __init__(self, asked: Asked, prepare: Prepare) -> None:
        self._filter = Filter(asked.code, asked.stage, asked.record_type)
        self._wanted = {quarantine_id(text) for text in asked.ids}
        self._last = max(self._wanted, default=None)
        self._limit = asked.limit
        self._prepare = prepare
        self._seen: dict[int, list[int]] = {}
        self._ids: list[QuarantineId] = []
        self._met: set[QuarantineId] = set()
        self._codes: Counter[str] = Counter()
        self._left: Counter[Left] = Counter()
        self._beside: list[Beside] = []
        self._bytes = 0
        self._reached: QuarantineId | None = None

    @property
    def full(self) -> bool:
        """Whether the bounds or the last named record are reached."""
        passed = self._last is not None and self._reached is not None and self._reached >= self._last
        return passed or len(self._ids) >= self._limit or self._bytes >= MOST_REDRIVEN_BYTES

    def take(self, seen: Seen) -> None:
        """Look at the next record."""
        entry = seen.entry
        self._reached = entry.id
        self._seen.setdefault(entry.id.partition, []).append(entry.id.offset)
        if self._wanted:
            if entry.id not in self._wanted:
                return
            self._met.add(entry.id)
            if seen.act is not None:
                self._left[Left.SETTLED] += 1
        if seen.act is None and self._filter.fits(entry):
            self._settle(entry)

    def _settle(self, entry: Quarantined) -> None:
        made = self._prepare(entry)
        if isinstance(made, Left):
            self._left[made] += 1
            return
        if made is not None:
            self._beside.append(made)
            self._bytes += entry.size
        self._ids.append(entry.id)
        self._codes[entry.code] += 1

    def check(self, following: QuarantineId | None) -> None:
        """Raises ExchangeError when a named record was not met: E_UNKNOWN_QUARANTINED, or E_REQUEST for one too far.

        following: where the walk stopped, when it did before the end of quarantine.
        """
        missing = min(self._wanted - self._met, default=None)
        if missing is None:
            return
        if following is not None and following < missing:
            raise ExchangeError("E_REQUEST", "the named records stand too far apart, or are too many, for one command")
        raise ExchangeError("E_UNKNOWN_QUARANTINED", f"nothing stands at {missing}")

    def chosen(self) -> Chosen:
        """What the command settles."""
        offsets: dict[int, list[int]] = {}
        for place in self._ids:
            offsets.setdefault(place.partition, []).append(place.offset)
        ranges = {number: compact(some, self._seen[number]) for number, some in offsets.items()}
        return Chosen(offsets, ranges, dict(self._codes), tuple(self._beside))

    def outcome(self, following: QuarantineId | None, event: int | None) -> Outcome:
        """What it came to."""
        return Outcome(dict(sorted(self._codes.items())), dict(self._left), tuple(self._ids), following, event)
