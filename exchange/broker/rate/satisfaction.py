"""The shared-demand satisfaction rate at a moment, exactly: a pure function of the ledger's state.

A demand counts when it is complete, its use period includes the moment, and it is not withdrawn; refused and unmatched
demands count. It is satisfied when one of its grants is active, first delivered and not in breach. `strict` asks for a
grant with every asked field as asked, for all asked rows; `weighted` takes the share of fields granted as asked.

The rate is one of demands, so a need is demanded at once (`exchange.broker.demands.need`). Who invents needs would
raise it still: two more ratios of the same demands, which do not move then, stand beside it:

- by need: needs satisfied ÷ needs counted. A need is everything that one demander asks of one record type of one
  provider; it is satisfied when every counted demand of it is (strictly).
- by field: fields granted as asked to satisfied demands, by the best qualifying grant ÷ fields asked by counted
  demands (the items of domain.md §1.6). Splitting by fields does not move it; splitting by rows may.

Of the demands satisfied strictly two kinds are told apart, because the definition lets them pass: those that a provider
serves by a freshness laxer than wanted, and those whose share was empty at the first delivery and still is.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import takewhile
from typing import Any, NamedTuple

from exchange.broker.demands.agreement import grants_as_asked
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.fold.apply import apply
from exchange.ledger.state.ledger_state import DemandEntry, GrantEntry, LedgerState
from exchange.names import GrantId

NOBODY = ""


"""The provider of demands that no department's resource meets."""


class Group(NamedTuple):
    """Whose demand it is, in every way the rate is broken down."""

    registry: str
    demander: str
    provider: str
    """NOBODY while unmatched."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A counted demand and what it is at the moment."""

    demand: DemandEntry
    satisfied: bool
    """Whether a grant qualifies, whatever part of the fields it has."""
    strictly: bool
    asked: int
    """How many fields are asked."""
    granted: int
    """How many of them the best qualifying grant has as asked."""
    laxer: bool
    """Satisfied strictly, but every grant by which it is agreed to a freshness laxer than the demand wants."""
    empty: bool
    """Satisfied strictly, but the shares of these grants have held no record so far."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Sums over some demands. A ratio of no counted demand does not exist: it is None, never 0 or 1."""

    counted: int = 0
    """Denominator of `strict` and `weighted`."""
    satisfied: int = 0
    """Counted demands with a qualifying grant, whatever part of the fields it has."""
    satisfied_strictly: int = 0
    """Numerator of `strict`."""
    weight: Fraction = Fraction(0)
    """Numerator of `weighted`: sum of the parts of the asked fields that satisfied demands were granted as asked."""
    fields_asked: int = 0
    """Denominator of `by_field`."""
    fields_granted: int = 0
    """Numerator of `by_field`."""
    needs: int = 0
    """Denominator of `by_need`."""
    needs_satisfied: int = 0
    """Numerator of `by_need`."""
    laxer: int = 0
    """Of `satisfied_strictly`: by a freshness laxer than wanted."""
    empty: int = 0
    """Of `satisfied_strictly`: the share has held nothing so far."""

    @classmethod
    def of(cls, some: Iterable[Judged]) -> "Rate":
        """The sums over counted demands."""
        judged = list(some)
        needs: dict[tuple[str, str, str], bool] = {}
        granted: Counter[int] = Counter()
        for one in judged:
            need = (one.demand.demander, one.demand.record_type, one.demand.provider or NOBODY)
            needs[need] = needs.get(need, True) and one.strictly
            granted[one.asked] += one.granted
        return cls(
            counted=len(judged),
            satisfied=sum(one.satisfied for one in judged),
            satisfied_strictly=sum(one.strictly for one in judged),
            weight=sum((Fraction(fields, asked) for asked, fields in granted.items() if asked), Fraction(0))
            + sum(one.satisfied for one in judged if not one.asked),
            fields_asked=sum(one.asked for one in judged),
            fields_granted=granted.total(),
            needs=len(needs),
            needs_satisfied=sum(needs.values()),
            laxer=sum(one.laxer for one in judged),
            empty=sum(one.empty for one in judged),
        )

    @property
    def strict(self) -> float | None:
        """The headline: demands satisfied in full ÷ counted demands."""
        return ratio(self.satisfied_strictly, self.counted)

    @property
    def weighted(self) -> float | None:
        """Parts of demands that are satisfied ÷ counted demands."""
        return ratio(self.weight, self.counted)

    @property
    def by_need(self) -> float | None:
        """Needs satisfied in full ÷ needs counted."""
        return ratio(self.needs_satisfied, self.needs)

    @property
    def by_field(self) -> float | None:
        """Fields granted as asked, and served ÷ fields asked."""
        return ratio(self.fields_granted, self.fields_asked)

    def as_json(self) -> dict[str, Any]:
        """Numerators, denominators and ratios; ratios that do not exist are null. `weight` is an exact fraction."""
        return {
            "counted": self.counted,
            "satisfied": self.satisfied,
            "satisfied_strictly": self.satisfied_strictly,
            "satisfied_by_laxer_freshness": self.laxer,
            "satisfied_by_empty_share": self.empty,
            "weight": str(self.weight),
            "strict": self.strict,
            "weighted": self.weighted,
            "needs": self.needs,
            "needs_satisfied": self.needs_satisfied,
            "by_need": self.by_need,
            "fields_asked": self.fields_asked,
            "fields_granted": self.fields_granted,
            "by_field": self.by_field,
        }


Key = Callable[[DemandEntry], str]


BY: Mapping[str, Key] = {
    "registry": lambda demand: demand.registry,
    "demander": lambda demand: demand.demander,
    "provider": lambda demand: demand.provider or NOBODY,
}


"""What the rate can be broken down by."""


def group_of(demand: DemandEntry) -> Group:
    """The group of a demand in the state at hand."""
    return Group(demand.registry, demand.demander, demand.provider or NOBODY)


def ratio(numerator: int | Fraction, denominator: int) -> float | None:
    """The number nearest to the quotient; None over nothing."""
    return float(Fraction(numerator) / denominator) if denominator else None


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


def judge(state: LedgerState, demand: DemandEntry) -> Judged:
    """What a counted demand is in this state."""
    asked = set(demand.fields)
    satisfied, best, full = False, 0, []
    for name in demand.grants:
        grant = state.grants[name]
        if qualifies(grant):
            granted = len(asked.intersection(grant.granted))
            satisfied, best = True, max(best, granted)
            if granted == len(asked) and not grant.scope_narrowed:
                full.append(grant)
    wanted = demand.freshness_seconds
    return Judged(
        demand=demand,
        satisfied=satisfied,
        strictly=bool(full),
        asked=len(asked),
        granted=best,
        laxer=bool(full) and wanted is not None and min(grant.freshness_seconds for grant in full) > wanted,
        empty=bool(full) and all(grant.empty for grant in full),
    )


def judged(state: LedgerState, at: datetime) -> Iterator[Judged]:
    """Every demand that counts at `at`. `state` is the state after every event up to `at`."""
    return (judge(state, demand) for demand in state.demands.values() if counts(demand, at))


def rate(state: LedgerState, at: datetime) -> Rate:
    """The rate over all demands. `state` is the state after every event up to `at`."""
    return Rate.of(judged(state, at))


def rates(state: LedgerState, at: datetime, by: Key) -> dict[str, Rate]:
    """The rate of each group that has a counted demand; `by` is one of BY."""
    return grouped(judged(state, at), by)


def grouped(some: Iterable[Judged], by: Key) -> dict[str, Rate]:
    """The rate of each group of counted demands."""
    groups: dict[str, list[Judged]] = {}
    for one in some:
        groups.setdefault(by(one.demand), []).append(one)
    return {name: Rate.of(members) for name, members in groups.items()}


def satisfying_strictly(state: LedgerState, demand: DemandEntry) -> frozenset[GrantId]:
    """The qualifying grants that have every asked field as asked, for the asked scope: `judge`, for that alone."""
    grants = (state.grants[name] for name in demand.grants)
    return frozenset(one.grant for one in grants if qualifies(one) and grants_as_asked(demand, one))


def state_at(events: Iterable[LedgerEvent], at: datetime) -> LedgerState:
    """The state after all events up to and including `at`. Raises ExchangeError(E_LEDGER_BROKEN)."""
    state = LedgerState()
    for event in takewhile(lambda event: event.moment <= at, events):
        apply(state, event)
    return state
