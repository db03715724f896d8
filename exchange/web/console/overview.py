"""What the first page counts: demands by state, duties overdue, open breaches, and what waits for who signed in.

All of it is of what the caller may see.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from exchange.broker.corrections.commands import correction_clock
from exchange.broker.demands.automatic import NOTICE_DAYS, end_of, ends_within
from exchange.broker.demands.clocks import COMPETENT, REVIEW, Clocks, StatutoryClock, clocks
from exchange.broker.demands.dispute import LEVELS
from exchange.broker.demands.state import acts_for, demand_state
from exchange.broker.departments.tokens import DEPARTMENT_ROLE
from exchange.broker.grants.freshness import CAUSES
from exchange.broker.grants.use import must_dispose
from exchange.broker.rate.companions import CORRECTION
from exchange.broker.tally import Read
from exchange.calendar import day_in_shanghai
from exchange.ledger.state.correction import CorrectionEntry
from exchange.ledger.state.ledger_state import DemandEntry, DemandState, GrantEntry, LedgerState
from exchange.names import CorrectionId, DemandId, Department
from exchange.web.access import Caller
from exchange.web.guard.rights import OPERATOR, SUPERVISOR

SHOWN: Final = 5
"""Of each group of what waits that has a list of its own."""
MOST_SHOWN: Final = 20
"""Of each other group."""
_PART: Final = 25
"""Entries that are looked at while the ledger is held: about a millisecond."""
_LISTS: Final = {
    "reply": "demands?state=submitted",
    "supplement": "demands?state=incomplete",
    "review": "demands?state=in-review",
    "extension": "demands?state=submitted",
    "disposal": "grants?must_dispose=true",
    "ending": "grants?ends_within_days=30",
    "answer": "corrections?state=submitted",
}
"""The list in which a group stands, where one does; of a department also with its side."""
_SIDES: Final = {"reply": "provider", "supplement": "demander", "disposal": "demander", "ending": "demander"}
_ORDER: Final = (
    "reply", "review", "extension", "supplement", "answer", "dispute", "disposal", "ending", "breach", "share"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits."""

    place: str
    """`demands`, `grants` or `corrections`."""
    id: str
    other: str | None
    """The department on the other side."""
    resource: str | None
    record_type: str
    due: date | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """What waits for one and the same step: the most urgent ones."""

    kind: str
    count: int
    first: list[Item]
    all: str
    """Address of the whole list; empty when all are shown, or no list shows just these."""
    more: int
    """How many are neither shown nor in a list."""


@dataclass(slots=True)
class Overview:
    """What the caller sees at first."""

    states: Counter[str] = field(default_factory=Counter)
    late: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Duties past their day and not met, by (department, clock)."""
    breaches: Counter[str] = field(default_factory=Counter)
    waiting: dict[str, list[Item]] = field(default_factory=dict)
    faulty: int = 0
    """Demands whose clocks cannot be told."""

    def note(self, some: Iterable[tuple[str, Item]]) -> None:
        """Things wait."""
        for kind, item in some:
            self.waiting.setdefault(kind, []).append(item)

    def groups(self, caller: Caller) -> list[Group]:
        """What waits, in the order of the page."""
        return [_group(kind, self.waiting[kind], caller) for kind in _ORDER if kind in self.waiting]


def overview(read: Read, caller: Caller, now: datetime) -> Overview:
    """What `caller` sees at `now`. `read` asks the ledger; it is asked for a few entries at a time."""
    found = Overview()

    def demands(state: LedgerState, part: Sequence[str]) -> None:
        for name in part:
            _look_at_demand(found, state, state.demands[DemandId(name)], (caller, now))

    def corrections(state: LedgerState, part: Sequence[str]) -> None:
        for name in part:
            _look_at_correction(found, state, state.corrections[CorrectionId(name)], (caller, now))

    _through(read, lambda state: list(state.demands), demands)
    _through(read, lambda state: list(state.corrections), corrections)
    return found


def _through(
    read: Read, ids: Callable[[LedgerState], Sequence[str]], look: Callable[[LedgerState, Sequence[str]], None]
) -> None:
    names = read(ids)
    for begin in range(0, len(names), _PART):
        part = names[begin : begin + _PART]
        read(lambda state, part=part: look(state, part))  # type: ignore[misc]


def waits_for_somebody(caller: Caller) -> bool:
    """Whether things wait for a caller of this role at all."""
    return caller.role in (DEPARTMENT_ROLE, SUPERVISOR, OPERATOR)


def causes(found: Overview) -> list[tuple[str, int]]:
    """Every cause of breaches with its number."""
    return [(cause, found.breaches[cause]) for cause in CAUSES]


def states(found: Overview) -> list[tuple[str, int]]:
    """Every state with its number of demands."""
    return [(one.value, found.states[one.value]) for one in DemandState]


def _look_at_demand(found: Overview, state: LedgerState, demand: DemandEntry, by: tuple[Caller, datetime]) -> None:
    """A demand and its grants."""
    caller, now = by
    if caller.concerned(state, demand.demander, demand.provider):
        current, running = demand_state(state, demand, now), clocks(state, demand, now)
        found.states[current.value] += 1
        found.faulty += running.faulty
        for name, clock in running.running:
            if clock.late:
                found.late[(COMPETENT if name == REVIEW else demand.provider or "", name)] += 1
        if caller.department is not None:
            found.note(_demand_for_department(state, caller.department, demand, (current, running)))
        elif caller.role == SUPERVISOR:
            found.note(_demand_for_supervisor(state, demand, (current, running)))
    for grant in (state.grants[name] for name in demand.grants):
        if grant.active and caller.concerned(state, demand.demander, grant.terms.provider):
            found.breaches.update(list(grant.breaches))
        if caller.department is not None:
            found.note(_grant_for_department(state, caller.department, grant, now))
        elif caller.role == OPERATOR:
            found.note(_grant_for_operator(state, grant))


def _look_at_correction(found: Overview, state: LedgerState, one: CorrectionEntry, by: tuple[Caller, datetime]) -> None:
    caller, now = by
    clock, asking = correction_clock(one, now), state.demands[one.demand].demander
    if clock.late and caller.concerned(state, asking, one.provider):
        found.late[(one.provider, CORRECTION)] += 1
    if caller.department is not None and one.answered is None and acts_for(state, caller.department, one.provider):
        item = Item("corrections", one.correction, asking, None, one.record_type, clock.due, clock.late)
        found.note([("answer", item)])


def _group(kind: str, items: list[Item], caller: Caller) -> Group:
    address = _LISTS.get(kind, "")
    shown = SHOWN if address else MOST_SHOWN
    first = sorted(items, key=lambda one: (one.due or date.max, len(one.id), one.id))[:shown]
    side = _SIDES.get(kind)
    if address and side is not None and caller.department is not None:
        address = f"{address}&{side}={caller.department}"
    rest = len(items) - len(first)
    return Group(kind, len(items), first, address if rest else "", 0 if address else rest)


def _demand_for_department(
    state: LedgerState, me: Department, demand: DemandEntry, judged: tuple[DemandState, Clocks]
) -> Iterator[tuple[str, Item]]:
    if demand.demand not in state.awaiting:
        return
    current, running = judged
    if current is DemandState.SUBMITTED and demand.provider and acts_for(state, me, demand.provider):
        yield "reply", _demand(demand, demand.demander, running.reply)
    wanted = any(one.answered is None for one in demand.supplements)
    if (current is DemandState.INCOMPLETE or wanted) and acts_for(state, me, demand.demander):
        yield "supplement", _demand(demand, demand.provider)


def _grant_for_department(
    state: LedgerState, me: Department, grant: GrantEntry, now: datetime
) -> Iterator[tuple[str, Item]]:
    holder = state.demands[grant.demand].demander
    if acts_for(state, me, holder):
        yield from _held(state, grant, now)
    elif acts_for(state, me, grant.terms.provider) and grant.active and "provider" in grant.breaches:
        yield "breach", _grant(state, grant, holder)


def _held(state: LedgerState, grant: GrantEntry, now: datetime) -> Iterator[tuple[str, Item]]:
    """What waits for the holder of a grant."""
    provider = grant.terms.provider
    if must_dispose(grant):
        yield "disposal", _grant(state, grant, provider)
    if ends_within(state, grant, now + timedelta(days=NOTICE_DAYS[0])):
        end = end_of(state, grant)
        yield "ending", _grant(state, grant, provider, None if end is None else day_in_shanghai(end))
    if grant.active and "grantee" in grant.breaches:
        yield "breach", _grant(state, grant, provider)


def _demand_for_supervisor(
    state: LedgerState, demand: DemandEntry, judged: tuple[DemandState, Clocks]
) -> Iterator[tuple[str, Item]]:
    current, running = judged
    if demand.demand in state.awaiting:
        if current is DemandState.IN_REVIEW:
            yield "review", _demand(demand, demand.demander, running.review)
        asked = demand.extension
        if asked is not None and asked.given is None and current is DemandState.SUBMITTED:
            yield "extension", _demand(demand, demand.provider, running.reply)
    dispute = demand.dispute
    if dispute is not None and dispute.settled is None and dispute.level != LEVELS[0]:
        yield "dispute", _demand(demand, dispute.by)


def _grant_for_operator(state: LedgerState, grant: GrantEntry) -> Iterator[tuple[str, Item]]:
    share = state.shares.get(grant.share) if grant.share is not None and grant.ended is None else None
    if share is not None and share.suspended is not None:
        yield "share", _grant(state, grant, state.demands[grant.demand].demander)


def _demand(demand: DemandEntry, other: Department | None, clock: StatutoryClock | None = None) -> Item:
    due, late = (None, False) if clock is None else (clock.due, clock.late)
    return Item("demands", demand.demand, other, demand.resource, demand.record_type, due, late)


def _grant(state: LedgerState, grant: GrantEntry, other: Department, due: date | None = None) -> Item:
    return Item("grants", grant.grant, other, state.demands[grant.demand].resource, grant.terms.record_type, due)
