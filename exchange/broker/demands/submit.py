"""Commands on demands: submit, consent, refuse, withdraw. Pure functions of the ledger's state and the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.agreement import Offer, agree, agreement_data, check_joinable, resource_of
from exchange.broker.demands.asked import (
    STATED,
    Asked,
    asked_data,
    check_asked,
    check_period,
    code_of,
    missing_of,
)
from exchange.broker.demands.life import demand_for
from exchange.broker.demands.need import Need, check_single, replaced, say_withdrawn
from exchange.broker.demands.state import NOT_SHARED, acts_for, demand_of, is_open
from exchange.calendar import day_in_shanghai
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.grants import agreement_of
from exchange.ledger.state.ledger_state import Condition, DemandEntry, LedgerState, ResourceEntry
from exchange.ledger.store.command import Draft, said
from exchange.names import DemandId, Department, RecordType


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitDemand:
    """A department demands fields of a resource, or of every resource of a record type (one demand for each).

    What no department offers becomes an unmatched demand; what art. 20 asks to state and is missing makes it
    incomplete. Entities of the result: the ids of the demands.
    Raises ExchangeError: E_UNKNOWN_DEPARTMENT, E_UNKNOWN_RESOURCE, E_UNKNOWN_FIELD, E_DEMAND_OWN, E_DEMAND_DUPLICATE,
    E_DEMAND_SPLIT, E_REPLACEMENT, E_MASK, E_SCOPE, E_PERIOD, E_REQUEST.
    """

    demander: Department
    resource: str | None = None
    """The resource's code; else `record_type` says what is needed, and perhaps `provider` from whom."""
    record_type: RecordType | None = None
    provider: Department | None = None
    fields: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    scope: tuple[Condition, ...] = ()
    legal_basis: str = ""
    scenario: str = ""
    use_scope: str = ""
    mode: str = ""
    use_from: datetime | None = None
    use_until: datetime | None = None
    freshness_seconds: int | None = None
    """Wanted freshness; None leaves it to the resource's update cycle."""
    request: str | None = None
    """Common id of the demands of one request; made when there is none."""
    replaces: str | None = None
    """An open demand for the same resource, perhaps for less: withdrawn as soon as this one is served in full."""
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-submitted` of each demand."""
        check_exists(state, self.demander, now)
        check_period(self.use_from, self.use_until, now)
        if self.freshness_seconds is not None and self.freshness_seconds <= 0:
            raise ExchangeError("E_REQUEST", "freshness is a positive number of seconds")
        draft = Draft(state)
        for resource in self._resources(state):
            self._submit(draft, resource, now)
        return draft.events

    def _resources(self, state: LedgerState) -> Iterator[ResourceEntry | None]:
        """The resources that meet the demand; a single None when nobody offers what is asked."""
        if self.resource is not None:
            found = state.resources.get(self.resource)
            if found is None or found.withdrawn:
                raise ExchangeError("E_UNKNOWN_RESOURCE")
            if acts_for(state, self.demander, found.provider):
                raise ExchangeError("E_DEMAND_OWN")
            yield found
            return
        if self.record_type is None:
            raise ExchangeError("E_REQUEST", "a demand names a resource or a record type")
        wanted = names.record_type(self.record_type)
        if self.provider is not None and self.provider not in state.departments:
            raise ExchangeError("E_UNKNOWN_DEPARTMENT")
        offered = [one for one in state.resources.values() if one.record_type == wanted and not one.withdrawn]
        named = [one for one in offered if self.provider is None or one.provider == self.provider]
        others = [one for one in named if not acts_for(state, self.demander, one.provider)]
        if named and not others:
            raise ExchangeError("E_DEMAND_OWN")
        yield from others or (None,)

    def _submit(self, draft: Draft, resource: ResourceEntry | None, now: datetime) -> None:
        asked = check_asked(self._asked(resource), self.schemas)
        details = {name: getattr(self, name).strip() for name in STATED}
        need = Need(asked, details["scenario"], self.use_from, self.use_until)
        replaces = self._replaces(draft.state, asked, now)
        check_single(draft.state, need, now, [one.demand for one in replaced(draft.state, replaces)])
        if resource is None and self.provider is not None:
            details["provider"] = self.provider
        missing = missing_of(details, asked.fields)
        demand = DemandId(f"d-{draft.seq}")
        draft.say(
            "demand-submitted",
            demand,
            demand=demand,
            request=self.request or f"r-{draft.state.seq + 1}",
            demander=self.demander,
            provider=None if resource is None else resource.provider,
            **asked_data(asked),
            complete=not missing,
            missing=missing,
            use_from=None if self.use_from is None else format_time(self.use_from),
            use_until=None if self.use_until is None else format_time(self.use_until),
            freshness_seconds=self.freshness_seconds,
            **({} if replaces is None else {"replaces": replaces}),
            details=details,
        )

    def _replaces(self, state: LedgerState, asked: Asked, now: datetime) -> DemandId | None:
        """The demand whose place this one is to take."""
        if self.replaces is None:
            return None
        before = demand_of(state, self.replaces)
        check_demander(state, before, self.demander)
        if not is_open(state, before, now):
            raise ExchangeError("E_REPLACEMENT", "it is closed: nothing has to give way")
        if (before.record_type, before.resource) != (asked.record_type, code_of(asked)):
            raise ExchangeError("E_REPLACEMENT", "it asks for another resource")
        if any(is_open(state, state.demands[one], now) for one in state.replacements.get(before.demand, ())):
            raise ExchangeError("E_REPLACEMENT", "another demand is to take its place already")
        return before.demand

    def _asked(self, resource: ResourceEntry | None) -> Asked:
        record_type = names.record_type(self.record_type or "") if resource is None else resource.record_type
        fields = tuple(dict.fromkeys(self.fields))
        wanted = None if resource is not None else self.provider
        return Asked(self.demander, resource, record_type, fields, self.masks, self.scope, wanted)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawDemand:
    """The demander takes its demand back, which ends its grants. The first entity of the result: the demand.

    Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE.
    """

    demand: str
    by: Department
    reason: str = ""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-withdrawn` and a `grant-ended` for each grant that had not ended."""
        check_demander(state, demand_of(state, self.demand), self.by)
        demand = demand_for("withdraw", state, self.demand, now)
        draft = Draft(state)
        say_withdrawn(draft, demand, self.reason.strip())
        return draft.events


def catalogue_basis(resource: ResourceEntry, closed: Sequence[str]) -> str:
    """The laws by which the catalogue does not share these fields, or the whole resource; empty when it names none."""
    named = resource.details.get("not_shared_basis", {})
    wanted = ["*", *closed] if resource.sharing == NOT_SHARED else closed
    return "; ".join(dict.fromkeys(named[name] for name in wanted if name in named))


def check_demander(state: LedgerState, demand: DemandEntry, by: Department) -> None:
    """Raise ExchangeError(E_ROLE) unless `by` made the demand, or speaks for who did."""
    if not acts_for(state, by, demand.demander):
        raise ExchangeError("E_ROLE", "only the demander does this")


def check_provider(state: LedgerState, demand: DemandEntry, by: Department) -> Department:
    """In whose inbox the records come that are asked for, when `by` speaks for it.

    Raises ExchangeError: E_DEMAND_STATE when nobody offers them, E_ROLE.
    """
    if demand.provider is None:
        raise ExchangeError("E_DEMAND_STATE", "no department offers what this demand asks for")
    if not acts_for(state, by, demand.provider):
        raise ExchangeError("E_ROLE", "only the provider does this")
    return demand.provider


def _awaiting(
    step: str, state: LedgerState, demand: str, by: Department, now: datetime
) -> tuple[DemandEntry, Department]:
    """The demand that waits for a reply of `by`, and the department in whose inbox its records come."""
    provider = check_provider(state, demand_of(state, demand), by)
    return demand_for(step, state, demand, now), provider


def check_exists(state: LedgerState, department: Department, now: datetime) -> None:
    """Raise ExchangeError(E_UNKNOWN_DEPARTMENT) unless the department exists at `now`, in Asia/Shanghai."""
    found = state.departments.get(department)
    if found is None:
        raise ExchangeError("E_UNKNOWN_DEPARTMENT")
    today = day_in_shanghai(now).isoformat()
    if today < found.valid_from or (found.valid_until is not None and found.valid_until <= today):
        raise ExchangeError("E_UNKNOWN_DEPARTMENT", "the department does not exist any more, or not yet")
