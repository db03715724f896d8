"""Who speaks for a demand: its demander, its provider, or who acts for them after a succession."""

from datetime import datetime

from exchange.broker.demands.state import acts_for
from exchange.calendar import day_in_shanghai
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import DemandEntry, LedgerState
from exchange.names import Department


def check_demander(state: LedgerState, demand: DemandEntry, by: Department) -> None:
    """Raise ExchangeError(E_ROLE) unless `by` made the demand, or speaks for who did."""
    if not acts_for(state, by, demand.demander):
        raise ExchangeError("E_ROLE", "only the demander does this")


def check_provider(state: LedgerState, demand: DemandEntry, by: Department) -> Department:
    """In whose inbox the records come that are asked for, when `by` speaks for it.

    Raises ExchangeError: E_DEMAND_STATE when nobody offers them, E_ROLE.
    """
    if demand.provider is None:
        raise ExchangeError("E_DEMAND_STATE", "no department offers what this demand asks for")
    if not acts_for(state, by, demand.provider):
        raise ExchangeError("E_ROLE", "only the provider does this")
    return demand.provider


def check_exists(state: LedgerState, department: Department, now: datetime) -> None:
    """Raise ExchangeError(E_UNKNOWN_DEPARTMENT) unless the department exists at `now`, in Asia/Shanghai."""
    found = state.departments.get(department)
    if found is None:
        raise ExchangeError("E_UNKNOWN_DEPARTMENT")
    today = day_in_shanghai(now).isoformat()
    if today < found.valid_from or (found.valid_until is not None and found.valid_until <= today):
        raise ExchangeError("E_UNKNOWN_DEPARTMENT", "the department does not exist any more, or not yet")
