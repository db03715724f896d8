"""Commands on grants: what enforcement, evidence and the provider say. Pure, and harmless when repeated.

Order of a grant's life: placed (it has its share), activated (topic and rights are there), first delivered, and ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.life import grant_for
from exchange.broker.demands.need import replaced, say_withdrawn
from exchange.broker.demands.state import acts_for, running
from exchange.broker.rate.satisfaction import grants_as_asked
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.store.command import Draft, said
from exchange.names import Department

CAUSES = ("grantee", "exchange", "provider")
"""Why a grant can be in breach."""


@dataclass(frozen=True, slots=True)
class ActivateGrant:
    """Say that topic and rights of a grant are there. Nothing when that is said already.

    Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended, has no share, or its period has not begun.
    """

    grant: str

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `grant-activated`."""
        grant = running(state, self.grant)
        if grant.activated is not None:
            return ()
        if grant.share is None or not has_begun(state, grant, now):
            raise ExchangeError("E_GRANT_STATE", "the grant has no share yet, or its use period has not begun")
        return said("grant-activated", grant.grant, grant=grant.grant, demand=grant.demand, share=grant.share)


@dataclass(frozen=True, slots=True)
class MarkFirstDelivered:
    """Say that the grantee has taken all that stood in its share when it had joined. Nothing when that is said.

    When its demand replaces another and is granted in full, that other one is withdrawn in the same moment.
    """

    grant: str
    empty: bool
    """Whether nothing stood there."""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `first-delivered`, and a `demand-withdrawn` for each demand whose place is taken.

        Raises ExchangeError(E_GRANT_STATE) for a grant that is not active.
        """
        grant = running(state, self.grant)
        if grant.first_delivered is not None:
            return ()
        if grant.activated is None:
            raise ExchangeError("E_GRANT_STATE", "the grant is not active")
        draft = Draft(state)
        draft.say("first-delivered", grant.grant, grant=grant.grant, empty=self.empty)
        demand = state.demands[grant.demand]
        if grants_as_asked(demand, grant):
            for before in replaced(state, demand.replaces):
                if before.withdrawn is None:
                    say_withdrawn(draft, before, f"replaced by {demand.demand}")
        return draft.events


@dataclass(frozen=True, slots=True)
class BreakFreshness:
    """Open one cause of a breach. Nothing while that cause is open."""

    grant: str
    cause: str
    """One of CAUSES."""
    since: datetime
    """When the agreed freshness was passed."""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `freshness-broken`. Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended."""
        grant = running(state, self.grant)
        if self.cause not in CAUSES:
            raise ValueError("no cause of a breach")
        if self.cause in grant.breaches:
            return ()
        since = format_time(self.since)
        return said("freshness-broken", grant.grant, grant=grant.grant, cause=self.cause, since=since)


@dataclass(frozen=True, slots=True)
class RestoreFreshness:
    """Close one cause of a breach. Nothing when it is not open."""

    grant: str
    cause: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `freshness-restored`. Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended."""
        grant = running(state, self.grant)
        breach = grant.breaches.get(self.cause)
        if breach is None:
            return ()
        since = format_time(breach.since)
        return said("freshness-restored", grant.grant, grant=grant.grant, cause=self.cause, since=since)


@dataclass(frozen=True, slots=True)
class SuspendGrant:
    """Stop a grant for a while: its grantee's rights go, its share stays. Nothing when it is suspended.

    `by` is the provider, or None for an operator or supervisor.
    Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE, E_ROLE, E_REVOKE_REASON.
    """

    grant: str
    by: Department | None
    reason: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `grant-suspended`."""
        grant = grant_for("suspend", state, self.grant)
        reason = provider_says(state, grant, self.by, self.reason)
        if grant.suspended:
            return ()
        return said("grant-suspended", grant.grant, grant=grant.grant, reason=reason)


@dataclass(frozen=True, slots=True)
class ResumeGrant:
    """Let a suspended grant go on. Nothing when it is not suspended. Raises as SuspendGrant does."""

    grant: str
    by: Department | None

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `grant-resumed`."""
        grant = grant_for("resume", state, self.grant)
        provider_says(state, grant, self.by, "resumed")
        if not grant.suspended:
            return ()
        return said("grant-resumed", grant.grant, grant=grant.grant)


@dataclass(frozen=True, slots=True)
class RevokeGrant:
    """End a grant for good. `by` is the provider, or None for an operator or supervisor.

    Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended, E_ROLE, E_REVOKE_REASON.
    """

    grant: str
    by: Department | None
    reason: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `grant-ended`."""
        grant = grant_for("revoke", state, self.grant)
        reason = provider_says(state, grant, self.by, self.reason)
        return said("grant-ended", grant.grant, grant=grant.grant, reason="revoked", words=reason)


def has_begun(state: LedgerState, grant: GrantEntry, now: datetime) -> bool:
    """Whether the use period of a grant's demand has begun: before that it must not be active."""
    begin = state.demands[grant.demand].use_from
    return begin is None or begin <= now


def provider_says(state: LedgerState, grant: GrantEntry, by: Department | None, reason: str) -> str:
    """The reason, when `by` may act on the grant. Raises ExchangeError: E_ROLE, E_REVOKE_REASON without a reason."""
    if by is not None and not acts_for(state, by, grant.terms.provider):
        raise ExchangeError("E_ROLE", "only the provider acts on its grants")
    if not reason.strip():
        raise ExchangeError("E_REVOKE_REASON")
    return reason.strip()
