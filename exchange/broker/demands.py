"""Views of a demand: its state, its statutory clocks, and whom its provider's rights belong to."""

from dataclasses import dataclass
from datetime import date, datetime

from exchange.calendar import add_working_days, day_in_shanghai
from exchange.errors import ExchangeError
from exchange.ledger.state import DemandEntry, DemandState, GrantEntry, LedgerState
from exchange.names import DemandId, Department, GrantId

UNCONDITIONAL = "unconditional"
NOT_SHARED = "not-shared"
REPLY_DAYS_UNCONDITIONAL = 1
"""Working days for a reply on data shared without conditions (Order 809, art. 21)."""
REPLY_DAYS_CONDITIONAL = 10
"""Working days for a reply on data shared on conditions (Order 809, art. 21)."""
DELIVERY_DAYS = 20
"""Working days from the consent to the activation (Order 809, art. 22)."""

_BEST_FIRST = (
    DemandState.SERVING,
    DemandState.BREACHED,
    DemandState.ACTIVATING,
    DemandState.CONSENTED,
    DemandState.SUSPENDED,
    DemandState.ENDED,
)
_CLOSED = (DemandState.REFUSED, DemandState.ENDED, DemandState.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class StatutoryClock:
    """One statutory deadline, in days of Asia/Shanghai."""

    due: date
    provisional: bool
    """Whether the calendar of a year not yet announced was used."""
    done: date | None
    """When the duty was met."""
    overdue: bool
    """Met too late, or not met and the day is past."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The statutory clocks of a demand; None while one does not run."""

    reply: StatutoryClock | None
    delivery: StatutoryClock | None


def demand_of(state: LedgerState, demand: str) -> DemandEntry:
    """The demand with this id. Raises ExchangeError(E_UNKNOWN_DEMAND)."""
    found = state.demands.get(DemandId(demand))
    if found is None:
        raise ExchangeError("E_UNKNOWN_DEMAND")
    return found


def grant_of(state: LedgerState, grant: str) -> GrantEntry:
    """The grant with this id. Raises ExchangeError(E_UNKNOWN_GRANT)."""
    found = state.grants.get(GrantId(grant))
    if found is None:
        raise ExchangeError("E_UNKNOWN_GRANT")
    return found


def running(state: LedgerState, grant: str) -> GrantEntry:
    """The grant with this id, which has not ended. Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE."""
    found = grant_of(state, grant)
    if found.ended is not None:
        raise ExchangeError("E_GRANT_STATE", "the grant has ended")
    return found


def demand_state(state: LedgerState, demand: DemandEntry, now: datetime) -> DemandState:
    """The state of a demand as users see it. With several grants, that of the grant that serves best."""
    over = demand.use_until is not None and demand.use_until <= now
    for holds, found in (
        (demand.withdrawn is not None, DemandState.WITHDRAWN),
        (demand.complete is None, DemandState.INCOMPLETE),
        (demand.refused is not None, DemandState.REFUSED),
        (over, DemandState.ENDED),
    ):
        if holds:
            return found
    if demand.grants:
        states = {grant_state(state.grants[grant]) for grant in demand.grants}
        return next(candidate for candidate in _BEST_FIRST if candidate in states)
    if demand.provider is None:
        return DemandState.UNMATCHED
    return DemandState.SUBMITTED if demand.reviewed is None else DemandState.IN_REVIEW


def grant_state(grant: GrantEntry) -> DemandState:
    """What a grant contributes to the state of its demand."""
    if grant.ended is not None:
        return DemandState.ENDED
    if grant.suspended:
        return DemandState.SUSPENDED
    if grant.activated is None:
        return DemandState.CONSENTED if grant.share is None else DemandState.ACTIVATING
    if grant.breaches:
        return DemandState.BREACHED
    return DemandState.ACTIVATING if grant.first_delivered is None else DemandState.SERVING


def is_open(state: LedgerState, demand: DemandEntry, now: datetime) -> bool:
    """Whether a demand is still before a reply or being served."""
    return demand_state(state, demand, now) not in _CLOSED


def clocks(state: LedgerState, demand: DemandEntry, now: datetime) -> Clocks:
    """The statutory clocks of a demand at `now`."""
    return Clocks(_reply_clock(state, demand, now), _delivery_clock(state, demand, now))


def _reply_clock(state: LedgerState, demand: DemandEntry, now: datetime) -> StatutoryClock | None:
    unanswered = demand.replied is None
    if demand.complete is None or demand.matched is None or (unanswered and demand.withdrawn is not None):
        return None
    days = REPLY_DAYS_UNCONDITIONAL if is_unconditional(state, demand) else REPLY_DAYS_CONDITIONAL
    return _clock(max(demand.complete, demand.matched), days, demand.replied, now)


def _delivery_clock(state: LedgerState, demand: DemandEntry, now: datetime) -> StatutoryClock | None:
    if not demand.grants:
        return None
    grant = state.grants[demand.grants[-1]]
    if grant.activated is None and grant.ended is not None:
        return None
    return _clock(grant.consented, DELIVERY_DAYS, grant.activated, now)


def _clock(start: datetime, days: int, done: datetime | None, now: datetime) -> StatutoryClock:
    deadline = add_working_days(day_in_shanghai(start), days)
    met = None if done is None else day_in_shanghai(done)
    return StatutoryClock(deadline.date, deadline.provisional, met, (met or day_in_shanghai(now)) > deadline.date)


def is_unconditional(state: LedgerState, demand: DemandEntry) -> bool:
    """Whether everything that is asked is shared without conditions."""
    resource = state.resources.get(demand.resource or "")
    if resource is None or resource.sharing != UNCONDITIONAL:
        return False
    return all(resource.fields.get(name, resource.sharing) == UNCONDITIONAL for name in demand.fields)


def acts_for(state: LedgerState, by: Department, owner: Department) -> bool:
    """Whether `by` is `owner` or, through any number of mergers, one of its successors."""
    seen: set[Department] = set()
    waiting = [owner]
    while waiting:
        candidate = waiting.pop()
        if candidate == by:
            return True
        if candidate not in seen:
            seen.add(candidate)
            entry = state.departments.get(candidate)
            waiting.extend(entry.successors if entry else ())
    return False
