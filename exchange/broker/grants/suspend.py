"""A grant is suspended, resumed or revoked by its provider, an operator or a supervisor. Harmless when repeated.

The provider and the overseers (operators and supervisors) suspend beside each other, and the grant goes on when nobody
suspends it any more. An overseer ends only what overseers began: it does not give what the owner holds back. The owner
of the records decides who reads them, and may let go on what an overseer has stopped. What the exchange has suspended
waits for the decision on a succession.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from exchange.broker.demands.life import grant_for, say_goes_on
from exchange.broker.demands.state import acts_for
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.grants import OVERSEER, PROVIDER
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.store.command import Draft, said
from exchange.names import Department


@dataclass(frozen=True, slots=True)
class SuspendGrant:
    """Stop a grant for a while: its grantee's rights go, its share stays. Nothing when the same party has suspended it.

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
        party = party_of(self.by)
        if party in grant.suspensions:
            return ()
        return said("grant-suspended", grant.grant, grant=grant.grant, reason=reason, by=party)


@dataclass(frozen=True, slots=True)
class ResumeGrant:
    """End a suspension. Nothing when the grant is not suspended.

    Raises as SuspendGrant does, E_ROLE too when every suspension of the grant is another's to end.
    """

    grant: str
    by: Department | None

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `grant-resumed`; a `suspension-lifted` for each that ends while another one stays."""
        grant = grant_for("resume", state, self.grant)
        provider_says(state, grant, self.by, "resumed")
        if not grant.suspended:
            return ()
        party = party_of(self.by)
        if not _ENDS[party] & grant.suspensions.keys():
            raise ExchangeError("E_ROLE", f"it is suspended by the {' and the '.join(grant.suspensions)}")
        draft = Draft(state)
        say_goes_on(draft, grant, party, _ENDS[party])
        return draft.events


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


_ENDS: Final[Mapping[str, frozenset[str]]] = {
    PROVIDER: frozenset({PROVIDER, OVERSEER}),
    OVERSEER: frozenset({OVERSEER}),
}
"""Whose suspensions each party ends."""


def party_of(by: Department | None) -> str:
    """Whom the ledger names for a command: the provider (or who speaks for it), or None for an overseer."""
    return OVERSEER if by is None else PROVIDER


def provider_says(state: LedgerState, grant: GrantEntry, by: Department | None, reason: str) -> str:
    """The reason, when `by` may act on the grant. Raises ExchangeError: E_ROLE, E_REVOKE_REASON without a reason."""
    if by is not None and not acts_for(state, by, grant.terms.provider):
        raise ExchangeError("E_ROLE", "only the provider acts on its grants")
    if not reason.strip():
        raise ExchangeError("E_REVOKE_REASON")
    return reason.strip()
