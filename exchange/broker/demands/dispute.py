"""Commands on disputes: opened, taken one level up, settled (Order 809, art. 28). They are recorded; people decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.life import demand_for
from exchange.broker.demands.need import check_single, in_line, need_of
from exchange.broker.demands.parties import check_demander, check_provider
from exchange.broker.demands.state import acts_for, demand_of
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.demands import REPLY_AGAIN
from exchange.ledger.state.ledger_state import DemandEntry, Dispute, LedgerState
from exchange.ledger.store.command import said
from exchange.names import Department

LEVELS = ("negotiation", "competent-department", "government")
"""Where a dispute is: between the parties, before the competent department, before that level's government."""
OUTCOMES = ("upheld", "agreed", REPLY_AGAIN)
"""The provider's act stands; the parties agreed; the provider replies again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDispute:
    """The demander or the provider disputes a reply, its absence, or how a grant is served or used.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_DISPUTE.
    """

    demand: str
    by: Department
    grounds: str

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `dispute-opened`."""
        _check_party(state, demand_of(state, self.demand), self.by)
        demand = demand_for("dispute", state, self.demand, now)
        if demand.dispute is not None and demand.dispute.settled is None:
            raise ExchangeError("E_DISPUTE", "one is open")
        if not self.grounds.strip():
            raise ExchangeError("E_DISPUTE", "a dispute has grounds")
        named = {"by": self.by, "level": LEVELS[0], "grounds": self.grounds.strip()}
        return said("dispute-opened", demand.demand, demand=demand.demand, **named)


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalateDispute:
    """Take the open dispute one level up. `by` is a party, or None for the competent department.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_DISPUTE.
    """

    demand: str
    by: Department | None
    reason: str

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `dispute-escalated`."""
        if self.by is not None:
            _check_party(state, demand_of(state, self.demand), self.by)
        demand = demand_for("escalate", state, self.demand, now)
        dispute = _open(demand)
        if dispute.level == LEVELS[-1]:
            raise ExchangeError("E_DISPUTE", "it is before the government: there is no higher level")
        if not self.reason.strip():
            raise ExchangeError("E_DISPUTE", "that negotiation failed has a reason")
        level = LEVELS[LEVELS.index(dispute.level) + 1]
        return said("dispute-escalated", demand.demand, demand=demand.demand, level=level, reason=self.reason.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDispute:
    """The competent department records how the open dispute ended. After `reply-again` a refused demand waits again.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_DEMAND_STATE, E_DISPUTE; and, when it
    would wait again beside another one of the same need, E_DEMAND_DUPLICATE, E_DEMAND_SPLIT.
    """

    demand: str
    outcome: str
    """One of OUTCOMES."""
    reason: str

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `dispute-settled`."""
        demand = demand_for("settle", state, self.demand, now)
        level = _open(demand).level
        if self.outcome not in OUTCOMES or not self.reason.strip():
            raise ExchangeError("E_DISPUTE", f"it has a reason, and one of the outcomes {', '.join(OUTCOMES)}")
        if self.outcome == REPLY_AGAIN and demand.refused is not None:
            check_single(state, need_of(state, demand), now, in_line(state, demand.demand))
        named = {"outcome": self.outcome, "level": level, "reason": self.reason.strip()}
        return said("dispute-settled", demand.demand, demand=demand.demand, **named)


def _check_party(state: LedgerState, demand: DemandEntry, by: Department) -> None:
    if acts_for(state, by, demand.demander):
        check_demander(state, demand, by)
    else:
        check_provider(state, demand, by)


def _open(demand: DemandEntry) -> Dispute:
    if demand.dispute is None or demand.dispute.settled is not None:
        raise ExchangeError("E_DISPUTE", "none is open")
    return demand.dispute
