"""Commands that amend a grant: other fields, masks, rows or freshness, within what was asked.

Order of an amendment: agreed, placed (the next share exists), switched (it has joined on all partitions, and is the one
to read), and after the overlap left (only the new share may be read). What needs no other share holds at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.agreement import Offer, agree, agreement_data
from exchange.broker.demands.life import grant_for
from exchange.broker.demands.state import demand_of, running
from exchange.broker.grants.suspend import provider_says
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.grants import agreement_of
from exchange.ledger.state.ledger_state import Condition, LedgerState
from exchange.ledger.store.command import Draft
from exchange.names import Department

OVERLAP_SECONDS = 7 * 86_400
"""How long both shares are readable when nothing else is agreed."""
LONGEST_OVERLAP_SECONDS = 366 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendGrant:
    """Change what a grant gives, within its demand as asked. The newest amendment holds; the present terms end it.

    `by` is the provider, or None for an operator or supervisor. Nothing when the grant is so already.
    Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended, E_ROLE, E_REVOKE_REASON without a reason,
    E_CONSENT, E_MASK, E_SCOPE, E_UNKNOWN_FIELD, E_REQUEST, and E_PSEUDONYM_BESIDE_CLEAR when keys would become
    pseudonyms, or the other way round.
    """

    grant: str
    by: Department | None
    reason: str
    """Recorded: nobody changes a grant without one (Order 809, art. 27)."""
    fields: tuple[str, ...] | None = None
    """Fields to grant; None grants all that is asked."""
    masks: Mapping[str, str] = field(default_factory=dict)
    """Masks that hide more than asked."""
    scope: tuple[Condition, ...] = ()
    """Conditions that rows must meet beside the asked scope."""
    freshness_seconds: int | None = None
    """Agreed freshness; None keeps the present one."""
    overlap_seconds: int = OVERLAP_SECONDS
    """How long the present share stays readable after the switch."""
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `grant-amended`."""
        grant = grant_for("amend", state, self.grant)
        reason = provider_says(state, grant, self.by, self.reason)
        if not 0 <= self.overlap_seconds <= LONGEST_OVERLAP_SECONDS:
            raise ExchangeError("E_REQUEST", f"an overlap has 0 to {LONGEST_OVERLAP_SECONDS} seconds")
        offer = Offer(
            fields=self.fields,
            masks=self.masks,
            scope=self.scope,
            freshness_seconds=self.freshness_seconds or grant.freshness_seconds,
        )
        agreement = agree(state, demand_of(state, grant.demand), grant.terms.provider, offer, self.schemas)
        if agreement.terms.pseudonymous != grant.terms.pseudonymous:
            # For a while it would hold both, and could tell which pseudonym is whose.
            raise ExchangeError("E_PSEUDONYM_BESIDE_CLEAR", f"end {grant.grant} and consent to its demand anew")
        coming = grant.next.agreement if grant.next is not None else agreement_of(grant)
        if agreement == coming:
            return ()
        draft = Draft(state)
        said = agreement_data(agreement)
        draft.say(
            "grant-amended", grant.grant, grant=grant.grant, overlap_seconds=self.overlap_seconds, reason=reason, **said
        )
        return draft.events


@dataclass(frozen=True, slots=True)
class SwitchShare:
    """Let a grant read its next share from now on. Nothing when it has none.

    Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended.
    """

    grant: str

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `share-switched`."""
        grant = running(state, self.grant)
        if grant.next is None or grant.next.share is None or grant.share is None:
            return ()
        overlap = timedelta(seconds=grant.next.overlap_seconds)
        draft = Draft(state)
        draft.say(
            "share-switched",
            grant.grant,
            grant=grant.grant,
            share=grant.next.share,
            previous=grant.share,
            readable_until=format_time(now + overlap) if overlap else None,
            **agreement_data(grant.next.agreement),
        )
        return draft.events


@dataclass(frozen=True, slots=True)
class EndOverlaps:
    """Take away the shares of the time before amendments whose overlap is over. Nothing when there is none."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """A `share-left` for each."""
        draft = Draft(state)
        for grant in state.running.values():
            for former in grant.former:
                if former.until <= now:
                    draft.say("share-left", grant.grant, grant=grant.grant, share=former.share)
        return draft.events
