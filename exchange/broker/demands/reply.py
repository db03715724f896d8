"""The reply to a demand: the provider consents, in full or in part, or refuses. Pure functions of state and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.agreement import Offer, agree, agreement_data, check_joinable, resource_of
from exchange.broker.demands.life import demand_for
from exchange.broker.demands.parties import check_provider
from exchange.broker.demands.state import NOT_SHARED, demand_of
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.grants import agreement_of
from exchange.ledger.state.ledger_state import Condition, DemandEntry, LedgerState, ResourceEntry
from exchange.ledger.store.command import Draft, said
from exchange.names import Department


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentDemand:
    """The provider grants all or some of the asked fields, perhaps masked more, perhaps for fewer rows.

    Entity of the result: the demand; its newest grant is the given one.
    Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_CONSENT, E_MASK, E_SCOPE, E_UNKNOWN_FIELD,
    E_PSEUDONYM_BESIDE_CLEAR.
    """

    demand: str
    by: Department
    fields: tuple[str, ...] | None = None
    """Fields to grant; None grants all that is asked."""
    masks: Mapping[str, str] = field(default_factory=dict)
    """Masks that hide more than asked."""
    scope: tuple[Condition, ...] = ()
    """Conditions that rows must meet beside the asked scope."""
    freshness_seconds: int | None = None
    """Agreed freshness; None agrees to what is wanted, or else to the update cycle."""
    conditions: str = ""
    """In words, under which the grantee may use what it gets."""
    until: datetime | None = None
    """When the grant ends, before the use period does; None lets it last as long as that."""
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-consented`; nothing when the exchange has granted it by itself, as it is consented to now."""
        if self._granted_so(state):
            return ()
        demand, provider = _awaiting("consent", state, self.demand, self.by, now)
        if self.until is not None and not (demand.use_from or now) < self.until:
            raise ExchangeError("E_PERIOD", "the grant would end before it begins")
        if self.until is not None and demand.use_until is not None and self.until > demand.use_until:
            raise ExchangeError("E_PERIOD", "the grant would end after the use period that was asked for")
        offer = Offer(fields=self.fields, masks=self.masks, scope=self.scope, freshness_seconds=self.freshness_seconds)
        agreement = agree(state, demand, provider, offer, self.schemas)
        check_joinable(state, demand.demander, agreement.terms)
        draft = Draft(state)
        said = agreement_data(agreement)
        more: dict[str, Any] = {"conditions": self.conditions.strip()} if self.conditions.strip() else {}
        if self.until is not None:
            more["until"] = format_time(self.until)
        draft.say("demand-consented", demand.demand, demand=demand.demand, grant=f"g-{draft.seq}", **said, **more)
        return draft.events

    def _granted_so(self, state: LedgerState) -> bool:
        """Whether a running grant was given automatically, and this consent would give the same."""
        demand = demand_of(state, self.demand)
        provider = check_provider(state, demand, self.by)
        grant = next((state.grants[one] for one in demand.grants if one in state.running), None)
        if grant is None or not grant.automatic or self.conditions.strip() or self.until is not None:
            return False
        offer = Offer(fields=self.fields, masks=self.masks, scope=self.scope, freshness_seconds=self.freshness_seconds)
        return agree(state, demand, provider, offer, self.schemas) == agreement_of(grant)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseDemand:
    """The provider refuses, with a reason; for a resource that is not shared also with its legal basis.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_REFUSAL_REASON.
    """

    demand: str
    by: Department
    reason: str
    legal_basis: str = ""
    """Left out, it is the one that the catalogue gives for what is not shared."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-refused`."""
        demand, _ = _awaiting("refuse", state, self.demand, self.by, now)
        resource = resource_of(state, demand)
        closed = [name for name in demand.fields if resource.fields.get(name) == NOT_SHARED]
        basis = self.legal_basis.strip() or catalogue_basis(resource, closed)
        if not self.reason.strip() or ((closed or resource.sharing == NOT_SHARED) and not basis):
            raise ExchangeError("E_REFUSAL_REASON")
        return said(
            "demand-refused", demand.demand, demand=demand.demand, reason=self.reason.strip(), legal_basis=basis or None
        )


def catalogue_basis(resource: ResourceEntry, closed: Sequence[str]) -> str:
    """The laws by which the catalogue does not share these fields, or the whole resource; empty when it names none."""
    named = resource.details.get("not_shared_basis", {})
    wanted = ["*", *closed] if resource.sharing == NOT_SHARED else closed
    return "; ".join(dict.fromkeys(named[name] for name in wanted if name in named))


def _awaiting(
    step: str, state: LedgerState, demand: str, by: Department, now: datetime
) -> tuple[DemandEntry, Department]:
    """The demand that waits for a reply of `by`, and the department in whose inbox its records come."""
    provider = check_provider(state, demand_of(state, demand), by)
    return demand_for(step, state, demand, now), provider
