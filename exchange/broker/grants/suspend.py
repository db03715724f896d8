"""A grant is suspended, resumed or revoked by its provider, an operator or a supervisor. Harmless when repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.life import grant_for
from exchange.broker.demands.state import acts_for
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.store.command import said
from exchange.names import Department


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


def provider_says(state: LedgerState, grant: GrantEntry, by: Department | None, reason: str) -> str:
    """The reason, when `by` may act on the grant. Raises ExchangeError: E_ROLE, E_REVOKE_REASON without a reason."""
    if by is not None and not acts_for(state, by, grant.terms.provider):
        raise ExchangeError("E_ROLE", "only the provider acts on its grants")
    if not reason.strip():
        raise ExchangeError("E_REVOKE_REASON")
    return reason.strip()
