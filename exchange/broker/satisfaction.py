"""The shared-demand satisfaction rate, exactly: a pure function of the ledger's state and a moment.

A demand counts when it is complete, its use period includes the moment, and it is not withdrawn; refused and unmatched
demands count. It is satisfied when one of its grants is active, first delivered and not in breach. `strict` asks for a
grant with every asked field as asked, for all asked rows; `weighted` takes the share of fields granted as asked.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import takewhile
from typing import Any

from exchange.ledger.events import LedgerEvent
from exchange.ledger.fold import apply
from exchange.ledger.state import DemandEntry, GrantEntry, LedgerState

NOBODY = ""
"""The provider of demands that no department's resource meets."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Sums over some demands. A ratio of no counted demand does not exist: it is None, never 0 or 1."""

    counted: int = 0
    satisfied: int = 0
    """Counted demands with a qualifying grant, whatever part of the fields it has."""
    satisfied_strictly: int = 0
    weight: Fraction = Fraction(0)
    """Sum of the parts of the asked fields that satisfied demands were granted as asked."""

    @property
    def strict(self) -> float | None:
        """The headline: demands satisfied in full by counted demands."""
        return self.satisfied_strictly / self.counted if self.counted else None

    @property
    def weighted(self) -> float | None:
        """Parts of demands that are satisfied by counted demands."""
        return float(self.weight / self.counted) if self.counted else None

    def plus(self, satisfied: bool, strictly: bool, weight: Fraction) -> "Rate":
        """This and one more counted demand."""
        return Rate(
            self.counted + 1, self.satisfied + satisfied, self.satisfied_strictly + strictly, self.weight + weight
        )

    def as_json(self) -> dict[str, Any]:
        """Numerators, denominator and ratios; ratios that do not exist are null."""
        return {
            "counted": self.counted,
            "satisfied": self.satisfied,
            "satisfied_strictly": self.satisfied_strictly,
            "strict": self.strict,
            "weighted": self.weighted,
        }


Key = Callable[[DemandEntry], str]
BY: Mapping[str, Key] = {
    "registry": lambda demand: demand.registry,
    "demander": lambda demand: demand.demander,
    "provider": lambda demand: demand.provider or NOBODY,
}
"""What the rate can be broken down by."""


def counts(demand: DemandEntry, at: datetime) -> bool:
    """Whether a demand counts at `at`, in the state at that moment."""
    return (
        demand.complete is not None
        and demand.complete <= at
        and (demand.withdrawn is None or demand.withdrawn > at)
        and (demand.use_from is None or demand.use_from <= at)
        and (demand.use_until is None or at < demand.use_until)
    )


def qualifies(grant: GrantEntry) -> bool:
    """Whether a grant is really being served: active, first delivered, not in breach."""
    return grant.active and grant.first_delivered is not None and not grant.breaches


def granted_part(demand: DemandEntry, grant: GrantEntry) -> Fraction:
    """The part of the asked fields that a grant has as asked."""
    asked = set(demand.fields)
    return Fraction(len(asked.intersection(grant.granted)), len(asked)) if asked else Fraction(1)


def rate(state: LedgerState, at: datetime) -> Rate:
    """The rate over all demands. `state` is the state after every event up to `at`."""
    total = Rate()
    for demand in state.demands.values():
        if counts(demand, at):
            total = total.plus(*_judged(state, demand))
    return total


def rates(state: LedgerState, at: datetime, by: Key) -> dict[str, Rate]:
    """The rate of each group that has a counted demand; `by` is one of BY."""
    groups: dict[str, Rate] = {}
    for demand in state.demands.values():
        if counts(demand, at):
            group = by(demand)
            groups[group] = groups.get(group, Rate()).plus(*_judged(state, demand))
    return groups


def satisfied_strictly(state: LedgerState, demand: DemandEntry) -> bool:
    """Whether one qualifying grant has every asked field as asked, for the asked scope."""
    return _judged(state, demand)[1]


def _judged(state: LedgerState, demand: DemandEntry) -> tuple[bool, bool, Fraction]:
    """(satisfied, strictly, part of the fields by the best qualifying grant)."""
    grants = [state.grants[grant] for grant in demand.grants]
    parts = [(granted_part(demand, grant), grant) for grant in grants if qualifies(grant)]
    strictly = any(part == 1 and not grant.scope_narrowed for part, grant in parts)
    return bool(parts), strictly, max((part for part, _ in parts), default=Fraction(0))


def state_at(events: Iterable[LedgerEvent], at: datetime) -> LedgerState:
    """The state after all events up to and including `at`. Raises ExchangeError(E_LEDGER_BROKEN)."""
    state = LedgerState()
    for event in takewhile(lambda event: event.moment <= at, events):
        apply(state, event)
    return state


def time_weighted(events: Iterable[LedgerEvent], start: datetime, end: datetime) -> float | None:
    """Time satisfied strictly by time counted, over all demands, from `start` to before `end`; None when none counted.

    Raises ExchangeError(E_LEDGER_BROKEN).
    """
    state = LedgerState()
    counted, satisfied = 0.0, 0.0
    since = start
    for event in events:
        moment = min(max(event.moment, start), end)
        if moment > since:
            more = _time_between(state, since, moment)
            counted, satisfied, since = counted + more[0], satisfied + more[1], moment
        if event.moment >= end:
            break
        apply(state, event)
    more = _time_between(state, since, end)
    counted, satisfied = counted + more[0], satisfied + more[1]
    return satisfied / counted if counted else None


def _time_between(state: LedgerState, start: datetime, end: datetime) -> tuple[float, float]:
    """Seconds (counted, satisfied strictly) between two moments with no event between them."""
    counted, satisfied = 0.0, 0.0
    for demand in state.demands.values():
        if demand.complete is None or demand.withdrawn is not None:
            continue
        begin = max(start, demand.use_from or start)
        seconds = (min(end, demand.use_until or end) - begin).total_seconds()
        if seconds > 0:
            counted += seconds
            satisfied += seconds if satisfied_strictly(state, demand) else 0.0
    return counted, satisfied
