"""Commands on shares: given to grants, suspended by the line, mended or replaced, and deleted. Pure, and repeatable."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.state import running
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState, ShareEntry
from exchange.ledger.store.command import Draft, said
from exchange.names import ShareName

LOST = "E_SHARE_LOST"


"""The code of a share whose topic is gone: it is replaced, never made again under its name."""


@dataclass(frozen=True, slots=True)
class SuspendShare:
    """Say that the exchange does not deliver a share, and why. Nothing when that is said, or when it is lost."""

    share: str
    code: str
    """Of the error table."""
    since: datetime

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `share-suspended`. Raises ExchangeError(E_UNKNOWN_SHARE)."""
        found = _share(state, self.share)
        if found.deleted or found.replaced or found.suspended in (self.code, LOST):
            return ()
        since = format_time(self.since)
        return said("share-suspended", found.share, share=found.share, code=self.code, since=since)


@dataclass(frozen=True, slots=True)
class OrderRecovery:
    """Order that the suspended share of a grant be mended, or replaced when its topic is lost.

    Nothing when that is ordered. Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when none of the shares that the
    grant reads is suspended.
    """

    grant: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """A `share-recovery-ordered` for each suspended share."""
        grant = running(state, self.grant)
        ill = [state.shares[share] for share in grant.shares if state.shares[share].suspended is not None]
        if not ill:
            raise ExchangeError("E_GRANT_STATE", "no share of this grant is suspended")
        draft = Draft(state)
        for share in ill:
            if not (share.recovery_ordered or share.replaced):
                draft.say("share-recovery-ordered", share.share, share=share.share, grant=grant.grant)
        return draft.events


@dataclass(frozen=True, slots=True)
class RecoverShare:
    """Say that a share's topic is as it should be again: the line takes the share up, from the beginning.

    Nothing unless a recovery is ordered. Raises ExchangeError(E_UNKNOWN_SHARE).
    """

    share: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `share-recovered`."""
        found = _share(state, self.share)
        if not found.recovery_ordered:
            return ()
        return said("share-recovered", found.share, share=found.share, number=found.recoveries + 1)


@dataclass(frozen=True, slots=True)
class ReplaceShare:
    """Say that a share is lost for good: its grants get another one with the same terms.

    Nothing unless a recovery is ordered. Raises ExchangeError(E_UNKNOWN_SHARE).
    """

    share: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `share-replaced`."""
        found = _share(state, self.share)
        if not found.recovery_ordered:
            return ()
        return said("share-replaced", found.share, share=found.share)


@dataclass(frozen=True, slots=True)
class DeleteShare:
    """Say that nobody may read a share any more. Nothing when that is said; its name is never given again.

    Raises ExchangeError: E_UNKNOWN_SHARE, E_GRANT_STATE while a running grant reads it.
    """

    share: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `share-deleted`."""
        found = _share(state, self.share)
        if found.deleted:
            return ()
        if any(found.share in grant.shares for grant in state.running.values()):
            raise ExchangeError("E_GRANT_STATE", "a grant that reads this share has not ended")
        return said("share-deleted", found.share, share=found.share)


def _share(state: LedgerState, share: str) -> ShareEntry:
    found = state.shares.get(ShareName(share))
    if found is None:
        raise ExchangeError("E_UNKNOWN_SHARE")
    return found
