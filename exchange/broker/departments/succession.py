"""What becomes of what a department held that exists no more: one event says it all, for an outsider too.

- One successor (a merger, a new name): everything moves to it on the day, by itself. Rights change hands, groups,
  shares and offsets stay.
- Several successors (a split): which of them goes on with which demand is for people to say (`SucceedDepartment`).
  Until they do, its grants are suspended: shares are kept and go on being filled, offsets stay, nobody reads them.
  Nothing is lost, nothing reaches a department that may turn out to have no need of it, and no demand of it is
  satisfied meanwhile.
- No successor: nobody has the duty any more; its demands are withdrawn and its grants end.

A grant that the heir may not hold (of its own records, or pseudonyms beside clear keys) ends; its demand moves.
Keys follow by the same event: `exchange.ledger.state.ownership`. Grants that the department gave answer to its
successors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from exchange.broker.demands.agreement import unjoinable
from exchange.broker.demands.life import say_goes_on
from exchange.broker.demands.state import acts_for
from exchange.broker.departments.commands import department_entry
from exchange.calendar import day_in_shanghai
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.departments import SUCCEEDED
from exchange.ledger.fold.grants import AWAITED, EXCHANGE
from exchange.ledger.state.ledger_state import DemandEntry, DepartmentEntry, GrantEntry, LedgerState
from exchange.ledger.store.command import Draft
from exchange.names import Department

ENDED = "department-ended"
"""Why a grant ends whose department has no successor."""
MERGED = "department-merged"
"""Why a grant ends that the successor may not hold: its own records, or pseudonyms beside clear keys."""
VALIDITY = "validity-ended"
"""The reason of a succession that the catalogue's dates bring about."""


def has_ended(state: LedgerState, department: Department, now: datetime) -> bool:
    """Whether a department exists no more, by its last day in Asia/Shanghai."""
    entry = state.departments.get(department)
    if entry is None or entry.valid_until is None:
        return False
    return entry.valid_until <= day_in_shanghai(now).isoformat()


def heir_of(state: LedgerState, department: Department, now: datetime) -> Department | None:
    """The department that exists now and has taken over all of another one; None when there is no single one."""
    seen: set[Department] = set()
    while has_ended(state, department, now):
        successors = state.departments[department].successors
        if len(successors) != 1 or department in seen:
            return None
        seen.add(department)
        department = successors[0]
    return department if department in state.departments else None


def held(state: LedgerState, department: Department) -> list[DemandEntry]:
    """The demands of a department that it has not withdrawn."""
    return [one for one in state.demands.values() if one.demander == department and one.withdrawn is None]


def awaited(state: LedgerState, now: datetime) -> dict[Department, list[DemandEntry]]:
    """The demands that nobody goes on with, because a department was split and it was not said who does."""
    found = {entry.department: held(state, entry.department) for entry in undecided(state, now)}
    return {department: demands for department, demands in found.items() if demands}


def undecided(state: LedgerState, now: datetime) -> Iterator[DepartmentEntry]:
    """The departments that were split, and of which it was not said who goes on with what."""
    for entry in _unsettled(state, now):
        if entry.successors and heir_of(state, entry.department, now) is None:
            yield entry


def _named(state: LedgerState, department: Department) -> set[Department]:
    """All that are to follow a department, over any number of reforms, whether their day has come or not."""
    found: set[Department] = set()
    waiting = [department]
    while waiting:
        entry = state.departments.get(waiting.pop())
        new = [one for one in (entry.successors if entry else ()) if one not in found]
        found.update(new)
        waiting += new
    return found


def _living(state: LedgerState, entry: DepartmentEntry, now: datetime) -> set[Department]:
    """Those of its successors that exist, and in the place of those that have ended again, theirs."""
    found: set[Department] = set()
    seen = {entry.department}
    waiting = list(entry.successors)
    while waiting:
        one = waiting.pop()
        if not has_ended(state, one, now):
            found.add(one)
        elif one not in seen:
            seen.add(one)
            waiting += state.departments[one].successors
    return found


def _unsettled(state: LedgerState, now: datetime) -> Iterator[DepartmentEntry]:
    """Departments that exist no more and whose succession has not been told."""
    ended = (one for one in state.departments.values() if one.succeeded is None)
    return (one for one in ended if has_ended(state, one.department, now))


@dataclass(frozen=True, slots=True)
class SettleSuccession:
    """Move what departments held that exist no more to their one heir, or suspend it until its heirs are named.

    Nothing when there is nothing to do.
    """

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """A `department-succeeded` for each, `grant-suspended` for what waits, or the end when there is no heir."""
        settling = _Settling(Draft(state), now)
        for entry in _unsettled(state, now):
            demands = held(state, entry.department)
            heir = heir_of(state, entry.department, now)
            if heir is not None or (entry.successors and not demands):
                heirs = {} if heir is None else {str(one.demand): heir for one in demands}
                settling.succeed(entry, demands, heirs, VALIDITY)
            elif entry.successors:
                settling.wait(entry, demands)
            else:
                settling.end(demands)
        return settling.draft.events


@dataclass(frozen=True, slots=True, kw_only=True)
class SucceedDepartment:
    """People say who goes on with what a department held: it ends today, if it has not ended before.

    Raises ExchangeError: E_UNKNOWN_DEPARTMENT, E_NAME_INVALID, E_UNKNOWN_DEMAND, E_SUCCESSION.
    """

    department: str
    heirs: tuple[str, ...]
    """Its successors; one for a merger or a new name."""
    demands: Mapping[str, str] = field(default_factory=dict)
    """Which successor goes on with a demand."""
    default: str | None = None
    """Who goes on with every other demand; with one successor it is that one."""
    reason: str

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `department-succeeded`, and a `grant-resumed` for each grant that had waited for it."""
        entry = department_entry(state, self.department)
        heirs = self._checked_heirs(state, entry, now)
        demands = held(state, entry.department)
        given = self._given(demands, heirs)
        settling = _Settling(Draft(state), now)
        ended = has_ended(state, entry.department, now)
        # The catalogue's successors stay: who they are is more than who goes on with demands.
        told = replace(
            entry,
            successors=entry.successors or heirs,
            valid_until=entry.valid_until if ended else day_in_shanghai(now).isoformat(),
        )
        settling.succeed(told, demands, given, self.reason.strip())
        return settling.draft.events

    def _checked_heirs(self, state: LedgerState, entry: DepartmentEntry, now: datetime) -> tuple[Department, ...]:
        if entry.succeeded is not None:
            raise ExchangeError("E_SUCCESSION", "what this department held was given to its successors before")
        if not self.reason.strip():
            raise ExchangeError("E_SUCCESSION", "say why: on what decision the department ends")
        heirs = tuple(department_entry(state, heir).department for heir in dict.fromkeys(self.heirs))
        if not heirs or entry.department in heirs:
            raise ExchangeError("E_SUCCESSION", "name at least one successor, and not the department itself")
        if any(has_ended(state, heir, now) for heir in heirs):
            raise ExchangeError("E_SUCCESSION", "a successor exists no more")
        if any(entry.department in _named(state, heir) for heir in heirs):
            raise ExchangeError("E_SUCCESSION", "a successor is itself to be succeeded by this department")
        if entry.successors and not _living(state, entry, now).issuperset(heirs):
            raise ExchangeError("E_SUCCESSION", "the catalogue names other successors of this department")
        return heirs

    def _given(self, demands: list[DemandEntry], heirs: tuple[Department, ...]) -> dict[str, Department]:
        """The heir of every demand; what is missing is told all at once."""
        default = self.default if self.default is not None or len(heirs) > 1 else heirs[0]
        if not {*self.demands.values(), *([] if default is None else [default])} <= set(heirs):
            raise ExchangeError("E_SUCCESSION", "a demand can go to one of the named successors only")
        if not self.demands.keys() <= {one.demand for one in demands}:
            raise ExchangeError("E_UNKNOWN_DEMAND", "the department holds no such demand, or has withdrawn it")
        chosen = {str(one.demand): self.demands.get(one.demand, default) for one in demands}
        missing = [demand for demand, heir in chosen.items() if heir is None]
        if missing:
            raise ExchangeError("E_SUCCESSION", f"not said who goes on with {', '.join(missing)}")
        return {demand: Department(heir) for demand, heir in chosen.items() if heir is not None}


@dataclass(slots=True)
class _Settling:
    draft: Draft
    now: datetime
    moved: list[tuple[Department, GrantEntry]] = field(default_factory=list)
    """Grants that have moved by the events said so far."""

    def succeed(
        self, entry: DepartmentEntry, demands: list[DemandEntry], heirs: Mapping[str, Department], reason: str
    ) -> None:
        """Say one whole succession."""
        ended: dict[str, str] = {}
        for demand in demands:
            heir = heirs[demand.demand]
            for grant in self._running(demand):
                if self._may_hold(heir, grant):
                    self.moved.append((heir, grant))
                else:
                    ended[grant.grant] = MERGED
        self.draft.say(
            SUCCEEDED,
            entry.department,
            department=entry.department,
            successors=list(entry.successors),
            valid_until=entry.valid_until,
            transfers=dict(heirs),
            ended=ended,
            reason=reason,
        )
        for name, why in ended.items():  # for whoever recounts with the events of grants alone
            self.draft.say("grant-ended", name, grant=name, reason=why)
        for grant in (one for demand in demands for one in self._running(demand)):
            if EXCHANGE in grant.suspensions and grant.grant not in ended:
                say_goes_on(self.draft, grant, EXCHANGE, (EXCHANGE,))

    def wait(self, entry: DepartmentEntry, demands: list[DemandEntry]) -> None:
        """Say once that people have to decide, and suspend what nobody goes on with yet."""
        if not entry.followed:
            held_now = [one.demand for one in demands]
            about = {"department": entry.department, "successors": list(entry.successors), "demands": held_now}
            self.draft.say("succession-awaited", entry.department, **about)
        for grant in (one for demand in demands for one in self._running(demand) if EXCHANGE not in one.suspensions):
            self.draft.say("grant-suspended", grant.grant, grant=grant.grant, reason=AWAITED, by=EXCHANGE)

    def end(self, demands: list[DemandEntry]) -> None:
        """End what nobody goes on with any more."""
        for demand in demands:
            self.draft.say("demand-withdrawn", demand.demand, demand=demand.demand, reason=ENDED)
            for grant in self._running(demand):
                self.draft.say("grant-ended", grant.grant, grant=grant.grant, reason=ENDED)

    def _running(self, demand: DemandEntry) -> Iterator[GrantEntry]:
        grants = (self.draft.state.grants[grant] for grant in demand.grants)
        return (grant for grant in grants if grant.ended is None)

    def _may_hold(self, heir: Department, grant: GrantEntry) -> bool:
        state, terms = self.draft.state, grant.terms
        if acts_for(state, heir, terms.provider) or heir_of(state, terms.provider, self.now) == heir:
            return False
        beside = any(
            other == heir
            and moved.terms.record_type == terms.record_type
            and moved.terms.pseudonymous != terms.pseudonymous
            for other, moved in self.moved
        )
        return not beside and unjoinable(state, heir, terms) is None
