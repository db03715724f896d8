"""A breach of the agreed freshness opens and closes, cause by cause: what evidence says. Harmless when repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.state import running
from exchange.clock import format_time
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import said

GRANTEE = "grantee"
EXCHANGE_CAUSE = "exchange"
PROVIDER = "provider"
CAUSES = (GRANTEE, EXCHANGE_CAUSE, PROVIDER)
"""Why a grant can be in breach."""
SET_ASIDE = "set-aside"
"""Reason of a breach: a connector has set aside more than is tolerated. Other breaches state none."""


@dataclass(frozen=True, slots=True)
class BreakFreshness:
    """Open one cause of a breach. Nothing while that cause is open."""

    grant: str
    cause: str
    """One of CAUSES."""
    since: datetime
    """When the agreed freshness was passed."""
    reason: str = ""
    """SET_ASIDE, when that alone is why."""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `freshness-broken`. Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended."""
        grant = running(state, self.grant)
        if self.cause not in CAUSES:
            raise ValueError("no cause of a breach")
        if self.cause in grant.breaches:
            return ()
        more = {"reason": self.reason} if self.reason else {}
        since = format_time(self.since)
        return said("freshness-broken", grant.grant, grant=grant.grant, cause=self.cause, since=since, **more)


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
