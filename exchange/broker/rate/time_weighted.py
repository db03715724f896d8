"""The time-weighted satisfaction rate: Σ time satisfied (strictly) ÷ Σ time counted, over a period.

A breach counts from its `since` on, also when it was told later, when a leader was there again; and also when it was
told after the period. So the time in which grants satisfied a demand is kept, and taken back where a breach says so.

Exact, in whole microseconds. A demand's time changes its kind only at its own events, so every event costs what the
demands cost that it touches, not what all demands cost: a ledger of a million events is read once.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from exchange.broker.rate.satisfaction import Group, group_of, ratio, satisfying_strictly
from exchange.clock import parse_time
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.fold.apply import apply
from exchange.ledger.fold.departments import SUCCEEDED
from exchange.ledger.state.ledger_state import DemandEntry, LedgerState
from exchange.names import DemandId, GrantId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
BROKEN = "freshness-broken"
_SAME = frozenset(("use-recorded", "expiry-announced", "data-disposed", "share-created", "share-assigned"))
"""Frequent events that leave every demand as satisfied as it was."""


@dataclass(frozen=True, slots=True)
class TimeSums:
    """Time of some demands in a period, in microseconds. No time counted: the ratio does not exist."""

    counted: int = 0
    """Denominator: time in which a demand counted."""
    satisfied: int = 0
    """Numerator: time in which it was satisfied strictly."""

    @property
    def ratio(self) -> float | None:
        """Time satisfied ÷ time counted."""
        return ratio(self.satisfied, self.counted)

    def plus(self, other: "TimeSums") -> "TimeSums":
        """Both together."""
        return TimeSums(self.counted + other.counted, self.satisfied + other.satisfied)

    def as_json(self) -> dict[str, Any]:
        """Numerator and denominator in seconds, and the ratio; null when no time was counted."""
        return {
            "counted_seconds": self.counted / 1_000_000,
            "satisfied_seconds": self.satisfied / 1_000_000,
            "time_weighted": self.ratio,
        }


class _Stretch(NamedTuple):
    """What a demand is while nothing happens to it."""

    group: Group
    strictly: frozenset[GrantId]
    """The grants that satisfy it strictly."""
    use_from: datetime | None
    use_until: datetime | None


class Breach(NamedTuple):
    """A breach of a grant, and since when it counts."""

    demand: DemandId
    grant: GrantId
    since: datetime


class Timeline:
    """Adds up the time of demands while a ledger is folded. `after` follows every event, `close` ends it."""

    def __init__(self, cuts: Sequence[datetime]) -> None:
        """cuts: at least two rising moments; each two neighbours bound a period (its end is not part of it)."""
        self._cuts = tuple(cuts)
        self._open: dict[DemandId, tuple[datetime, _Stretch]] = {}
        self._sums: list[dict[Group, list[int]]] = [{} for _ in self._cuts[1:]]
        self._kinds: dict[_Stretch, int] = {}
        self._kind: list[_Stretch] = []
        self._satisfied: dict[DemandId, array[int]] = {}
        """The past stretches in which a demand was satisfied: start, end, and which kind of stretch, in order of time.
        """
        self._now = datetime.min.replace(tzinfo=UTC)

    def after(self, state: LedgerState, event: LedgerEvent) -> None:
        """Note what an event made of the demands it touches. `state` is the state after it."""
        self._now = max(self._now, event.moment)
        if event.event in _SAME:
            return
        for demand in touched(state, event):
            self._look(state, demand)
        if (breach := breach_of(state, event)) is not None:
            self._take_back(breach)

    def close(self, at: datetime, told_later: Iterable[Breach] = ()) -> "TimeTable":
        """The time up to `at`, from which on nothing is known but the breaches that were told later."""
        for demand, (since, stretch) in self._open.items():
            self._end(demand, stretch, since, at)
        self._open.clear()
        for breach in told_later:
            self._take_back(breach)
        return TimeTable([{group: TimeSums(*sums) for group, sums in period.items()} for period in self._sums])

    def _look(self, state: LedgerState, demand: DemandEntry) -> None:
        before, stretch = self._open.get(demand.demand), _stretch(state, demand)
        if before is not None:
            if before[1] == stretch:
                return
            self._end(demand.demand, before[1], before[0], self._now)
            del self._open[demand.demand]
        if stretch is not None:
            self._open[demand.demand] = (self._now, stretch)

    def _end(self, demand: DemandId, stretch: _Stretch, since: datetime, until: datetime) -> None:
        """A stretch is over."""
        self._add(stretch, since, until, 1, 1 if stretch.strictly else 0)
        start, end = max(since, self._cuts[0]), min(until, self._cuts[-1])
        if stretch.strictly and start < end:
            self._keep(demand, stretch, (start - _EPOCH) // _MICROSECOND, (end - _EPOCH) // _MICROSECOND)

    def _keep(self, demand: DemandId, stretch: _Stretch, start: int, end: int) -> None:
        kind = self._kinds.get(stretch)
        if kind is None:
            kind = self._kinds[stretch] = len(self._kind)
            self._kind.append(stretch)
        self._satisfied.setdefault(demand, array("q")).extend((start, end, kind))

    def _take_back(self, breach: Breach) -> None:
        """From its `since` on, a grant that is broken did not satisfy: another one may have, else nothing did."""
        kept = self._satisfied.get(breach.demand, array("q"))
        since, later = (breach.since - _EPOCH) // _MICROSECOND, []
        while kept and kept[-2] > since:
            later.append(tuple(kept[-3:]))
            del kept[-3:]
        for start, end, kind in reversed(later):
            stretch = self._kind[kind]
            broken = max(start, since) if breach.grant in stretch.strictly else end
            if start < broken:
                self._keep(breach.demand, stretch, start, broken)
            rest = stretch._replace(strictly=stretch.strictly - {breach.grant})
            if broken < end and rest.strictly:
                self._keep(breach.demand, rest, broken, end)
            elif broken < end:
                self._add(rest, _moment(broken), _moment(end), 0, -1)

    def _add(self, stretch: _Stretch, since: datetime, until: datetime, counted: int, satisfied: int) -> None:
        """Add the time of a stretch so many times to the time counted, and to the time satisfied."""
        start = since if stretch.use_from is None else max(since, stretch.use_from)
        end = until if stretch.use_until is None else min(until, stretch.use_until)
        start, end = max(start, self._cuts[0]), min(end, self._cuts[-1])
        number = bisect_right(self._cuts, start) - 1
        while start < end:
            cut = min(end, self._cuts[number + 1])
            time = (cut - start) // _MICROSECOND
            sums = self._sums[number].setdefault(stretch.group, [0, 0])
            sums[0] += counted * time
            sums[1] += satisfied * time
            start, number = cut, number + 1


class TimeTable:
    """The time of every group in every period."""

    def __init__(self, periods: Sequence[Mapping[Group, TimeSums]]) -> None:
        """periods: in order, what each group has in it."""
        self._periods = periods

    def period(self, number: int) -> TimeSums:
        """All time of one period."""
        return _sum(self._periods[number].values())

    def total(self) -> TimeSums:
        """All time of all periods."""
        return _sum(sums for period in self._periods for sums in period.values())

    def by(self, name: str) -> dict[str, TimeSums]:
        """The time of all periods by `registry`, `demander` or `provider`."""
        found: dict[str, TimeSums] = {}
        for period in self._periods:
            for group, sums in period.items():
                key = str(getattr(group, name))
                found[key] = found.get(key, TimeSums()).plus(sums)
        return found


def time_table(events: Iterable[LedgerEvent], start: datetime, end: datetime) -> TimeTable:
    """The time from `start` to before `end`, from a ledger's first event on. Raises ExchangeError(E_LEDGER_BROKEN)."""
    state, timeline = LedgerState(), Timeline((start, end))
    told_later: list[Breach] = []
    for event in events:
        if event.moment < end:
            apply(state, event)
            timeline.after(state, event)
        elif (breach := breach_of(state, event)) is not None and breach.since < end:
            told_later.append(breach)
    return timeline.close(end, told_later)


def time_weighted(events: Iterable[LedgerEvent], start: datetime, end: datetime) -> float | None:
    """Time satisfied strictly by time counted, over all demands, from `start` to before `end`; None when none counted.

    Raises ExchangeError(E_LEDGER_BROKEN).
    """
    return time_table(events, start, end).total().ratio


def breach_of(state: LedgerState, event: LedgerEvent) -> Breach | None:
    """The breach that an event tells of a grant that the state knows; None when it tells none."""
    if event.event != BROKEN:
        return None
    grant, since = state.grants.get(GrantId(str(event.data["grant"]))), event.data["since"]
    if grant is None:
        return None
    return Breach(grant.demand, grant.grant, event.moment if since is None else parse_time(str(since)))


def touched(state: LedgerState, event: LedgerEvent) -> Iterable[DemandEntry]:
    """The demands that an event is about: by their id, by that of a grant, or by a succession that names many."""
    data = event.data
    if event.event == SUCCEEDED:
        grants, demands = _named(data, "ended"), [*_named(data, "transfers")]
        demands += [state.grants[grant].demand for grant in grants if grant in state.grants]
        return [state.demands[demand] for demand in dict.fromkeys(demands) if demand in state.demands]
    grant, demand = data.get("grant"), data.get("demand")
    if isinstance(grant, str) and GrantId(grant) in state.grants:
        demand = state.grants[GrantId(grant)].demand
    found = state.demands.get(DemandId(demand)) if isinstance(demand, str) else None
    return () if found is None else (found,)


def _named(data: Mapping[str, Any], member: str) -> Iterable[Any]:
    """The ids that a succession names in a member of its data."""
    found = data.get(member)
    return found if isinstance(found, dict) else ()


def _stretch(state: LedgerState, demand: DemandEntry) -> _Stretch | None:
    """What the demand is from now on; None while it does not count, whatever its use period says."""
    if demand.complete is None or demand.withdrawn is not None:
        return None
    return _Stretch(group_of(demand), satisfying_strictly(state, demand), demand.use_from, demand.use_until)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _sum(some: Iterable[TimeSums]) -> TimeSums:
    found = list(some)
    return TimeSums(sum(one.counted for one in found), sum(one.satisfied for one in found))
