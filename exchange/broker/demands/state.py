"""Views of a demand: its state, and whom its provider's rights belong to."""

from collections.abc import Iterable
from datetime import datetime

from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import DemandEntry, DemandState, GrantEntry, LedgerState, ResourceEntry
from exchange.names import DemandId, Department, GrantId

UNCONDITIONAL = "unconditional"
NOT_SHARED = "not-shared"

_BEST_FIRST = (
    DemandState.SERVING,
    DemandState.BREACHED,
    DemandState.ACTIVATING,
    DemandState.CONSENTED,
    DemandState.SUSPENDED,
    DemandState.ENDED,
)
_CLOSED = (DemandState.REFUSED, DemandState.ENDED, DemandState.WITHDRAWN)


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
    return DemandState.IN_REVIEW if demand.review and demand.reviewed is None else DemandState.SUBMITTED


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


def is_unconditional(resource: ResourceEntry | None, fields: Iterable[str]) -> bool:
    """Whether all these fields of a resource are shared without conditions; what it does not offer is not shared."""
    if resource is None or resource.sharing != UNCONDITIONAL:
        return False
    return all(resource.fields.get(name) == UNCONDITIONAL for name in fields)


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
            waiting.extend(entry.heirs if entry else ())
    return False
