"""Commands of a grantee on what it does with granted data: use recorded, purpose ended, data disposed of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.life import grant_for
from exchange.broker.demands.parties import check_demander
from exchange.broker.demands.state import grant_of
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import GrantEntry, LedgerState
from exchange.ledger.store.command import said
from exchange.names import Department

PURPOSE_ENDED = "purpose-ended"
"""Why a grant ends whose purpose is met, impossible, or no longer needed (Order 809, art. 27)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPurpose:
    """The grantee says that it needs the data no longer. The grant ends; the duty to dispose begins.

    Entity of the result: the grant. Raises ExchangeError: E_UNKNOWN_GRANT, E_ROLE, E_GRANT_STATE, E_REVOKE_REASON.
    """

    grant: str
    by: Department
    reason: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `grant-ended`."""
        check_grantee(state, self.grant, self.by)
        grant = grant_for("end-purpose", state, self.grant)
        if not self.reason.strip():
            raise ExchangeError("E_REVOKE_REASON")
        return said("grant-ended", grant.grant, grant=grant.grant, reason=PURPOSE_ENDED, words=self.reason.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDisposal:
    """The grantee confirms that what it had taken under an ended grant is disposed of. Nothing when it has.

    Entity of the result: the grant. Raises ExchangeError: E_UNKNOWN_GRANT, E_ROLE, E_GRANT_STATE, E_REQUEST.
    """

    grant: str
    by: Department
    how: str
    """How it was disposed of, as the provider demands."""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `data-disposed`."""
        check_grantee(state, self.grant, self.by)
        grant = grant_for("confirm-disposal", state, self.grant)
        if not self.how.strip():
            raise ExchangeError("E_REQUEST", "how the data were disposed of")
        if grant.disposed is not None:
            return ()
        return said("data-disposed", grant.grant, grant=grant.grant, how=self.how.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUse:
    """The grantee records how it used what was granted. The ledger keeps it for ever; the law asks for 3 years.

    Entity of the result: the grant. Raises ExchangeError: E_UNKNOWN_GRANT, E_ROLE, E_GRANT_STATE, E_REQUEST.
    """

    grant: str
    by: Department
    scenario: str
    process: str
    effect: str = ""
    storage: str = ""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `use-recorded` (Order 809, art. 29: scenario, process, effect, storage and destruction)."""
        check_grantee(state, self.grant, self.by)
        grant = grant_for("record-use", state, self.grant)
        told = {name: getattr(self, name).strip() for name in ("scenario", "process", "effect", "storage")}
        if not (told["scenario"] and told["process"]):
            raise ExchangeError("E_REQUEST", "a record of use names its scenario and its process")
        return said("use-recorded", grant.grant, grant=grant.grant, **told)


def must_dispose(grant: GrantEntry) -> bool:
    """Whether a grantee still has to dispose of what it took: the grant was active and has ended, nothing confirmed."""
    return grant.ended is not None and grant.activated is not None and grant.disposed is None


def check_grantee(state: LedgerState, grant: str, by: Department) -> None:
    """Raise ExchangeError: E_UNKNOWN_GRANT, or E_ROLE unless `by` holds the grant."""
    check_demander(state, state.demands[grant_of(state, grant).demand], by)
