"""A grant becomes active: what enforcement says when topic and rights are there. Pure, harmless when repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.state import running
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.store.command import said


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


def has_begun(state: LedgerState, grant: GrantEntry, now: datetime) -> bool:
    """Whether the use period of a grant's demand has begun: before that it must not be active."""
    begin = state.demands[grant.demand].use_from
    return begin is None or begin <= now
