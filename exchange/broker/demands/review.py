"""Commands of the competent department: the review before the reply, and the extension of the reply."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.clocks import LONGEST_EXTENSION_DAYS, clocks
from exchange.broker.demands.life import demand_for
from exchange.broker.demands.parties import check_provider
from exchange.broker.demands.state import demand_of
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Draft, said
from exchange.names import Department


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDemand:
    """The competent department passes a demand on to its provider, or sends it back for what is missing.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_DEMAND_STATE, E_REQUEST when it is sent
    back without naming what is missing.
    """

    demand: str
    passed: bool = True
    missing: tuple[str, ...] = ()
    """What it lacks, all at once, when it is sent back."""
    note: str = ""
    pauses: bool = False
    """As of a request for a supplement."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-reviewed`, and a `supplement-requested` when it is sent back."""
        demand = demand_for("review", state, self.demand, now)
        missing = [text for one in self.missing if (text := one.strip())]
        if self.passed == bool(missing):
            raise ExchangeError("E_REQUEST", "what passes lacks nothing; what is sent back lacks what is named")
        draft = Draft(state)
        draft.say(
            "demand-reviewed", demand.demand, demand=demand.demand, passed=self.passed, note=self.note.strip() or None
        )
        if not self.passed:
            draft.say("supplement-requested", demand.demand, demand=demand.demand, missing=missing, pauses=self.pauses)
        return draft.events


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestExtension:
    """The provider asks the competent department for more time: once, before the reply is due, by at most 10 days.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_EXTENSION.
    """

    demand: str
    by: Department
    days: int
    """Working days."""
    reason: str

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `extension-requested`."""
        check_provider(state, demand_of(state, self.demand), self.by)
        demand = demand_for("extend", state, self.demand, now)
        if demand.extension is not None:
            raise ExchangeError("E_EXTENSION", "it was asked for before")
        reason = _checked(state, self.demand, self.days, self.reason, now)
        return said("extension-requested", demand.demand, demand=demand.demand, days=self.days, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendReply:
    """The competent department lets the reply take longer, as asked by the provider or for another number of days.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_DEMAND_STATE, E_EXTENSION.
    """

    demand: str
    days: int | None = None
    """Working days; None gives what was asked for."""
    reason: str = ""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `reply-extended`."""
        demand = demand_for("extend", state, self.demand, now)
        asked = demand.extension
        if asked is not None and asked.given is not None:
            raise ExchangeError("E_EXTENSION", "it was extended before")
        if asked is None and self.days is None:
            raise ExchangeError("E_EXTENSION", "nobody asked for it, so it needs a number of days")
        days = self.days if self.days is not None or asked is None else asked.days
        reason = _checked(state, self.demand, days or 0, self.reason or ("as asked" if asked else ""), now)
        return said("reply-extended", demand.demand, demand=demand.demand, days=days, reason=reason)


def _checked(state: LedgerState, demand: str, days: int, reason: str, now: datetime) -> str:
    """The reason. Raises ExchangeError(E_EXTENSION) for what the law does not allow."""
    if not 1 <= days <= LONGEST_EXTENSION_DAYS:
        raise ExchangeError("E_EXTENSION", f"a reply is extended by 1 to {LONGEST_EXTENSION_DAYS} working days")
    if not reason.strip():
        raise ExchangeError("E_EXTENSION", "an extension has a reason, which the demander is told")
    reply = clocks(state, demand_of(state, demand), now).reply
    if reply is None or reply.overdue:
        raise ExchangeError("E_EXTENSION", "the reply is overdue: that is not healed by an extension")
    return reason.strip()
