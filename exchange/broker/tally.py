"""What is counted of the ledger's entries, kept up to date: only what may have changed is judged again.

An entry is judged again when it has events that were not seen, or when a moment comes at which time alone changes what
it counts as (the next day in Asia/Shanghai, an end, a notice). So a look costs what has happened since the last one,
however many entries there are. A look takes the ledger in small parts: whoever waits for it waits for one part. What
cannot be judged of an entry is left out and counted as faulty, and takes no other entry with it.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

from exchange.broker.corrections.commands import correction_clock
from exchange.broker.demands.automatic import NOTICE_DAYS, end_of
from exchange.broker.demands.clocks import COMPETENT, REVIEW, clocks
from exchange.broker.demands.state import demand_state
from exchange.broker.grants.use import must_dispose
from exchange.broker.rate import satisfaction
from exchange.calendar import ZONE
from exchange.ledger.state.ledger_state import DemandEntry, GrantEntry, LedgerState
from exchange.names import CorrectionId, DemandId

T = TypeVar("T")
Counted = tuple[str, ...]
"""What is counted: the name of the count, then its labels."""
Aspect = Callable[[LedgerState, str, datetime], Iterator[tuple[Counted, int]]]
"""A part of what an entry counts as. Whatever it raises is a fault of the entry."""

FAULTY: Final = "faulty"
STATE: Final = "state"
LATE: Final = "late"
COUNTED: Final = "counted"
STRICT: Final = "strict"
WEIGHT: Final = "weight"
BREACH: Final = "breach"
EXPIRING: Final = "expiring"
DISPOSAL: Final = "disposal"
HELD: Final = "held"
ALL: Final = "all"
"""The label of the counts COUNTED, STRICT and WEIGHT over everything; else the dimension and its value."""
DEMAND: Final = "demand"
CORRECTION: Final = "correction"
_PART: Final = 40
"""Entries that are judged while the ledger is held: about a millisecond."""
_LOOKED_UP: Final = 500
"""Entries of which is looked up whether they may have changed while the ledger is held: less than a millisecond."""
_PAUSE_SECONDS: Final = 0.001
"""Between two parts: whoever waits for the ledger, or for the interpreter, has it then."""
_DAY: Final = timedelta(days=1)


class Read(Protocol):
    """Asks the ledger's state; nothing changes meanwhile."""

    def __call__(self, question: Callable[[LedgerState], T], /) -> T:
        """What `question` says of the state."""
        ...


class _Judged(NamedTuple):
    """What an entry counts as."""

    seen: Hashable
    """What it was judged by: when this is another one, the entry may have changed."""
    until: datetime
    """When time alone changes it."""
    counts: Mapping[Counted, int]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of entries, and how they are judged."""

    name: str
    ids: Callable[[LedgerState], Sequence[str]]
    seen: Callable[[LedgerState, str], Hashable]
    moments: Callable[[LedgerState, str], Iterator[datetime]]
    """When time changes an entry, beside midnight."""
    aspects: tuple[Aspect, ...]


class Tally:
    """The counts of demands with their grants, and of corrections. For one thread."""

    def __init__(self) -> None:
        self.counts: Counter[Counted] = Counter()
        """Everything that is counted, as of the last look; nothing is counted 0 times."""
        self.judgements = 0
        """How many entries were judged so far, each as often as it was."""
        self._known: dict[str, dict[str, _Judged]] = {}
        self._state: LedgerState | None = None
        self._seq = 0
        self._at = self._next = datetime.min.replace(tzinfo=UTC)

    def look(self, read: Read, now: datetime) -> None:
        """Bring the counts up to date, as of `now`."""
        state, seq = read(lambda state: (state, state.seq))
        if state is not self._state or now < self._at:
            self.counts.clear()
            self._known = {kind.name: {} for kind in _KINDS}
        elif seq == self._seq and now < self._next:
            return
        self._state, self._seq, self._at = state, seq, now
        for kind in _KINDS:
            known = self._known[kind.name]
            for some in _parts(read(kind.ids), _LOOKED_UP):
                for part in _parts(read(partial(_changed, kind, known, some, now)), _PART):
                    self._note(known, read(partial(_judge, kind, part, now)))
                    time.sleep(_PAUSE_SECONDS)
        untils = (judged.until for known in self._known.values() for judged in known.values())
        self._next = min(untils, default=now)

    def of(self, name: str) -> dict[Counted, int]:
        """One count by its labels."""
        return {what[1:]: count for what, count in self.counts.items() if what[0] == name}

    def _note(self, known: dict[str, _Judged], found: Mapping[str, _Judged]) -> None:
        for name, judged in found.items():
            before = known.get(name)
            known[name] = judged
            self.judgements += 1
            self.counts.update(judged.counts)
            if before is not None:
                self.counts.subtract(before.counts)
                for what in [what for what in before.counts if not self.counts[what]]:
                    del self.counts[what]


def _parts(some: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (some[begin : begin + size] for begin in range(0, len(some), size))


def _changed(
    kind: _Kind, known: Mapping[str, _Judged], some: Sequence[str], now: datetime, state: LedgerState
) -> list[str]:
    """Those that may count as something else than they were known to."""
    return [
        name
        for name in some
        if (last := known.get(name)) is None or last.until <= now or last.seen != kind.seen(state, name)
    ]


def _judge(kind: _Kind, part: Sequence[str], now: datetime, state: LedgerState) -> dict[str, _Judged]:
    midnight = (now.astimezone(ZONE) + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    found: dict[str, _Judged] = {}
    for name in part:
        counts: dict[Counted, int] = {}
        until = midnight
        try:
            until = min((moment for moment in kind.moments(state, name) if now < moment < midnight), default=midnight)
        except Exception:
            counts |= _fault(kind)
        for aspect in kind.aspects:
            try:
                counts |= dict(aspect(state, name, now))
            except Exception:  # of one entry, whatever it is: the others are counted, and what else is known of it
                counts |= _fault(kind)
        found[name] = _Judged(kind.seen(state, name), until, counts)
    return found


def _fault(kind: _Kind) -> dict[Counted, int]:
    return {(FAULTY, kind.name): 1}


# demands, with their grants


def _demand_seen(state: LedgerState, name: str) -> Hashable:
    """Every event of a demand and of its grants stands in its history; old ones are judged by their resource too."""
    demand = state.demands[DemandId(name)]
    if demand.reply_days is not None:
        return len(demand.history)
    return len(demand.history), id(state.resources.get(demand.resource or ""))


def _demand_moments(state: LedgerState, name: str) -> Iterator[datetime]:
    demand = state.demands[DemandId(name)]
    for moment in (demand.complete, demand.withdrawn, demand.use_from, demand.use_until):
        if moment is not None:
            yield moment
    for grant in _grants(state, demand):
        end = end_of(state, grant)
        if end is not None:
            yield from (end - days * _DAY for days in NOTICE_DAYS)


def _grants(state: LedgerState, demand: DemandEntry) -> Iterator[GrantEntry]:
    return (state.grants[name] for name in demand.grants)


def _state(state: LedgerState, name: str, now: datetime) -> Iterator[tuple[Counted, int]]:
    demand = state.demands[DemandId(name)]
    if demand.withdrawn is None:
        yield (HELD, demand.demander), 1
    yield (STATE, demand_state(state, demand, now).value), 1


def _rate(state: LedgerState, name: str, now: datetime) -> Iterator[tuple[Counted, int]]:
    """What a demand is in the satisfaction rate, over everything and in each breakdown."""
    demand = state.demands[DemandId(name)]
    if not satisfaction.counts(demand, now):
        return
    judged = satisfaction.judge(state, demand)
    groups = [(ALL, ""), *((by, key(demand)) for by, key in satisfaction.BY.items())]
    for dimension, group in groups:
        yield (COUNTED, dimension, group), 1
        if judged.strictly:
            yield (STRICT, dimension, group), 1
    if judged.satisfied:
        part, asked = (judged.granted, judged.asked) if judged.asked else (1, 1)
        yield (WEIGHT, str(asked)), part


def _late(state: LedgerState, name: str, now: datetime) -> Iterator[tuple[Counted, int]]:
    """Duties that are past their day and not met, of providers and of the competent department."""
    demand = state.demands[DemandId(name)]
    found = clocks(state, demand, now)
    if found.faulty:
        yield (FAULTY, DEMAND), 1
    for clock_name, clock in found.running:
        if clock.late:
            yield (LATE, clock_name, COMPETENT if clock_name == REVIEW else demand.provider or ""), 1


def _of_grants(state: LedgerState, name: str, now: datetime) -> Iterator[tuple[Counted, int]]:
    """Open breaches, coming ends by the narrowest notice that they have come within, disposals to be confirmed."""
    demand = state.demands[DemandId(name)]
    found: Counter[Counted] = Counter()
    for grant in _grants(state, demand):
        found.update((BREACH, cause) for cause in grant.breaches if grant.active)
        end = end_of(state, grant) if grant.ended is None else None
        within = [] if end is None else [days for days in NOTICE_DAYS if end - now <= days * _DAY]
        if within:
            found[(EXPIRING, demand.demander, str(within[-1]))] += 1
        if must_dispose(grant):
            found[(DISPOSAL, demand.demander)] += 1
    yield from found.items()


# corrections


def _correction_seen(state: LedgerState, name: str) -> Hashable:
    return state.corrections[CorrectionId(name)].answered


def _nothing(_state: LedgerState, _name: str) -> Iterator[datetime]:
    return iter(())


def _late_correction(state: LedgerState, name: str, now: datetime) -> Iterator[tuple[Counted, int]]:
    correction = state.corrections[CorrectionId(name)]
    if correction_clock(correction, now).late:
        yield (LATE, CORRECTION, correction.provider), 1


_KINDS: Final = (
    _Kind(
        DEMAND,
        lambda state: list(state.demands),
        _demand_seen,
        _demand_moments,
        (_state, _rate, _late, _of_grants),
    ),
    _Kind(CORRECTION, lambda state: list(state.corrections), _correction_seen, _nothing, (_late_correction,)),
)
