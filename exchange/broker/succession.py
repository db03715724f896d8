"""What becomes of the demands of a department that exists no more.

Merged into one department, they move to it with their grants: rights change hands, groups and shares stay. Where no
single department takes over the duty, nobody can tell whose the grants are, and they end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange.broker.agreement import unjoinable
from exchange.broker.demands import acts_for
from exchange.calendar import day_in_shanghai
from exchange.ledger.command import Draft
from exchange.ledger.events import NewEvent
from exchange.ledger.state import DemandEntry, GrantEntry, LedgerState
from exchange.names import Department

ENDED = "department-ended"
"""Why a grant ends whose department has no single successor."""
MERGED = "department-merged"
"""Why a grant ends that the successor may not hold: its own records, or pseudonyms beside clear keys."""


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


@dataclass(frozen=True, slots=True)
class SettleSuccession:
    """Move or end what departments held that exist no more. Nothing when there is none."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """`demand-transferred` or `demand-withdrawn` for each demand, `grant-ended` for each grant that cannot move."""
        heirs: dict[Department, Department | None] = {}
        settling = _Settling(Draft(state))
        for demand in state.demands.values():
            owner = demand.demander
            if demand.withdrawn is not None or not has_ended(state, owner, now):
                continue
            if owner not in heirs:
                heirs[owner] = heir_of(state, owner, now)
            settling.settle(demand, heirs[owner])
        return settling.draft.events


@dataclass(slots=True)
class _Settling:
    draft: Draft
    moved: list[tuple[Department, GrantEntry]] = field(default_factory=list)

    def settle(self, demand: DemandEntry, heir: Department | None) -> None:
        if heir is None:
            self.draft.say("demand-withdrawn", demand.demand, demand=demand.demand, reason=ENDED)
            for grant in self._running(demand):
                self.draft.say("grant-ended", grant.grant, grant=grant.grant, reason=ENDED)
            return
        said = {"demand": demand.demand, "from": demand.demander, "to": heir}
        self.draft.say("demand-transferred", demand.demand, **said)
        for grant in self._running(demand):
            if self._may_hold(heir, grant):
                self.moved.append((heir, grant))
            else:
                self.draft.say("grant-ended", grant.grant, grant=grant.grant, reason=MERGED)

    def _running(self, demand: DemandEntry) -> Iterator[GrantEntry]:
        grants = (self.draft.state.grants[grant] for grant in demand.grants)
        return (grant for grant in grants if grant.ended is None)

    def _may_hold(self, heir: Department, grant: GrantEntry) -> bool:
        state, terms = self.draft.state, grant.terms
        if acts_for(state, heir, terms.provider):
            return False
        beside = any(
            other == heir
            and moved.terms.record_type == terms.record_type
            and moved.terms.pseudonymous != terms.pseudonymous
            for other, moved in self.moved
        )
        return not beside and unjoinable(state, heir, terms) is None
