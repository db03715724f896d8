"""What the leader does because of the law or of time alone: automatic consents, notices of an end, ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.agreement import Offer, agree, agreement_data, check_joinable
from exchange.broker.demands.state import demand_state, is_unconditional
from exchange.broker.demands.terms import disclosed, record_schema
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import DemandEntry, DemandState, GrantEntry, LedgerState
from exchange.ledger.store.command import Draft

NOTICE_DAYS = (30, 7, 1)
"""How many days before its end a grant's end is announced."""
CONSENT_BY_PERSON = "person"
"""The value of a resource's detail `consent` that keeps demands for it from being granted automatically."""


@dataclass(frozen=True, slots=True)
class ConsentUnconditional:
    """Grant every waiting demand for what is shared without conditions (Order 809, art. 14), one command for all.

    A resource may ask for a person instead; what cannot be granted as it is asked waits for one. Nothing when no such
    demand waits.
    """

    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """A `demand-consented` with `automatic` for each."""
        draft = Draft(state)
        for demand in state.prompt.values():
            if grants_itself(state, demand, now):
                self._consent(draft, demand)
        return draft.events

    def _consent(self, draft: Draft, demand: DemandEntry) -> None:
        assert demand.provider is not None
        record = record_schema(self.schemas, demand.record_type)
        told = () if record is None else disclosed(record, demand.fields, demand.scope)
        if not is_unconditional(draft.state.resources.get(demand.resource or ""), told):
            return
        try:
            agreement = agree(draft.state, demand, demand.provider, Offer(), self.schemas)
            check_joinable(draft.state, demand.demander, agreement.terms)
        except ExchangeError:
            return  # a person sees why
        said = agreement_data(agreement)
        grant = f"g-{draft.seq}"
        draft.say("demand-consented", demand.demand, demand=demand.demand, grant=grant, automatic=True, **said)


def consents_wait(state: LedgerState, now: datetime) -> bool:
    """Whether a demand waits that the exchange may grant by itself."""
    return any(grants_itself(state, demand, now) for demand in state.prompt.values())


def grants_itself(state: LedgerState, demand: DemandEntry, now: datetime) -> bool:
    """Whether a demand waits for a reply that needs no person."""
    resource = state.resources.get(demand.resource or "")
    if resource is None or resource.details.get("consent") == CONSENT_BY_PERSON or demand.replied is not None:
        return False
    waits = demand_state(state, demand, now) is DemandState.SUBMITTED
    return waits and is_unconditional(resource, [*demand.fields, *(part.field for part in demand.scope)])


@dataclass(frozen=True, slots=True)
class AnnounceExpiry:
    """Say of each grant that its end is 30, 7, 1 days away, each once. Nothing when no notice is due."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """An `expiry-announced` for each notice."""
        draft = Draft(state)
        for grant in state.running.values():
            until = end_of(state, grant)
            days = None if until is None else _notice(grant, until - now)
            if until is not None and days is not None:
                draft.say("expiry-announced", grant.grant, grant=grant.grant, days=days, until=format_time(until))
        return draft.events


def _notice(grant: GrantEntry, left: timedelta) -> int | None:
    """The notice that is due with this much time left: of those that have begun the last, unless it was given."""
    begun = [days for days in NOTICE_DAYS if left <= timedelta(days=days)]
    return begun[-1] if begun and left > timedelta() and begun[-1] not in grant.announced else None


@dataclass(frozen=True, slots=True)
class EndExpired:
    """End every grant whose use period, or agreed time, is over. Nothing when there is none."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """A `grant-ended` with the reason `expired` for each."""
        draft = Draft(state)
        for grant in state.running.values():
            until = end_of(state, grant)
            if until is not None and until <= now:
                draft.say("grant-ended", grant.grant, grant=grant.grant, reason="expired")
        return draft.events


def end_of(state: LedgerState, grant: GrantEntry) -> datetime | None:
    """When time alone ends a grant: with the use period, or earlier, as agreed; None when nothing does."""
    ends = [end for end in (grant.until, state.demands[grant.demand].use_until) if end is not None]
    return min(ends, default=None)


def ends_within(state: LedgerState, grant: GrantEntry, moment: datetime) -> bool:
    """Whether time alone ends a grant that has not ended, at `moment` or before."""
    end = end_of(state, grant)
    return grant.ended is None and end is not None and end <= moment
