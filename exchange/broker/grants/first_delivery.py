"""A grant is first delivered: what evidence says when all that stood in its share was taken. Harmless when repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.agreement import grants_as_asked
from exchange.broker.demands.need import replaced, say_withdrawn
from exchange.broker.demands.state import running
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Draft, said


@dataclass(frozen=True, slots=True)
class MarkFilled:
    """Say that a share that was empty at the first delivery has held something since. Nothing when that is known."""

    grant: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `share-filled`. Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended."""
        grant = running(state, self.grant)
        return said("share-filled", grant.grant, grant=grant.grant) if grant.empty else ()


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
