"""Commands that amend a grant: other fields, masks, rows or freshness, within what was asked.

An amendment changes what it names; the rest stays as it was agreed last. The provider alone gives more: an overseer may
take away fields and rows and hide more, and leaves the agreed freshness alone.

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
from exchange.broker.demands.terms import strength
from exchange.broker.grants.suspend import provider_says
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.grants import agreement_of
from exchange.ledger.state.ledger_state import Agreement, Condition, DemandEntry, LedgerState
from exchange.ledger.state.share_terms import implied
from exchange.ledger.store.command import FIRST_FORM, Draft
from exchange.names import Department

OVERLAP_SECONDS = 7 * 86_400
"""How long both shares are readable when nothing else is agreed."""
LONGEST_OVERLAP_SECONDS = 366 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendGrant:
    """Change what a grant gives, within its demand as asked. The newest amendment holds; the present terms end it.

    `by` is the provider, or None for an operator or supervisor. Nothing when the grant is so already.
    Raises ExchangeError: E_UNKNOWN_GRANT, E_GRANT_STATE when it has ended, E_ROLE when it is not the caller's to amend
    like this, E_REVOKE_REASON without a reason, E_CONSENT, E_MASK, E_SCOPE, E_SCOPE_PERSONAL, E_SCOPE_HIDDEN,
    E_UNKNOWN_FIELD, E_REQUEST, and E_PSEUDONYM_BESIDE_CLEAR when keys would become pseudonyms, or the other way round.
    """

    grant: str
    by: Department | None
    reason: str
    """Recorded: nobody changes a grant without one (Order 809, art. 27)."""
    fields: tuple[str, ...] | None = None
    """Fields to grant; None keeps those that were agreed last."""
    masks: Mapping[str, str | None] | None = field(default=None, metadata={FIRST_FORM: {}})
    """Masks of fields, None for a field that is to be given as asked; a field that is not named keeps its mask."""
    scope: tuple[Condition, ...] | None = field(default=None, metadata={FIRST_FORM: ()})
    """Conditions that rows must meet beside the asked scope; None keeps those that were agreed last."""
    freshness_seconds: int | None = None
    """Agreed freshness; None keeps the one that was agreed last."""
    overlap_seconds: int | None = field(default=None, metadata={FIRST_FORM: OVERLAP_SECONDS})
    """How long the present share stays readable after the switch; None keeps what was agreed last, or a week."""
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `grant-amended`."""
        grant = grant_for("amend", state, self.grant)
        reason = provider_says(state, grant, self.by, self.reason)
        usual = OVERLAP_SECONDS if grant.next is None else grant.next.overlap_seconds
        overlap = usual if self.overlap_seconds is None else self.overlap_seconds
        if not 0 <= overlap <= LONGEST_OVERLAP_SECONDS:
            raise ExchangeError("E_REQUEST", f"an overlap has 0 to {LONGEST_OVERLAP_SECONDS} seconds")
        coming = grant.next.agreement if grant.next is not None else agreement_of(grant)
        demand = demand_of(state, grant.demand)
        agreement = agree(state, demand, grant.terms.provider, self._offer(coming, demand), self.schemas)
        if self.by is None and not (_narrower(agreement, coming) and overlap <= usual):
            raise ExchangeError("E_ROLE", "an overseer takes away fields or rows and hides more; the provider gives")
        if agreement.terms.pseudonymous != grant.terms.pseudonymous:
            # For a while it would hold both, and could tell which pseudonym is whose.
            raise ExchangeError("E_PSEUDONYM_BESIDE_CLEAR", f"end {grant.grant}, then let its demand be made again")
        if agreement == coming:
            return ()
        draft = Draft(state)
        said = agreement_data(agreement)
        draft.say("grant-amended", grant.grant, grant=grant.grant, overlap_seconds=overlap, reason=reason, **said)
        return draft.events

    def _offer(self, coming: Agreement, demand: DemandEntry) -> Offer:
        """What the provider is to give: what was agreed last, but for what this amendment names."""
        terms, asked = coming.terms, dict(demand.masks)
        fields = terms.fields if self.fields is None else self.fields
        masks = {name: mask for name, mask in terms.masks if name in fields}
        for name, mask in (self.masks or {}).items():
            named = asked.get(name) if mask is None else mask
            masks.pop(name, None)
            if named is not None:
                masks[name] = named
        return Offer(
            fields=fields,
            masks=masks,
            scope=terms.scope if self.scope is None else self.scope,
            freshness_seconds=coming.freshness_seconds if self.freshness_seconds is None else self.freshness_seconds,
        )


def _narrower(agreement: Agreement, coming: Agreement) -> bool:
    """Whether an agreement gives nothing that another one does not give, as far as the conditions of rows show."""
    terms, given = agreement.terms, coming.terms
    masks = dict(terms.masks)
    return (
        set(terms.fields) <= set(given.fields)
        and all(strength(masks.get(name)) >= strength(mask) for name, mask in given.masks if name in terms.fields)
        and all(implied(terms.scope, part) for part in given.scope)
        and agreement.freshness_seconds == coming.freshness_seconds
    )


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
