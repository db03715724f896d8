"""Commands on demands: submit, consent, refuse, withdraw. Pure functions of the ledger's state and the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.broker.agreement import Offer, agree, agreement_data, check_joinable, resource_of
from exchange.broker.commands_terms import check_masks, check_scope, record_schema
from exchange.broker.demands import NOT_SHARED, acts_for, demand_of, demand_state, is_open
from exchange.calendar import day_in_shanghai
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.command import Draft
from exchange.ledger.events import NewEvent
from exchange.ledger.state import (
    Condition,
    DemandEntry,
    DemandState,
    LedgerState,
    ResourceEntry,
)
from exchange.ledger.terms import scope_of, scope_to_json
from exchange.names import DemandId, Department, RecordType, registry_of

_STATED = ("legal_basis", "scenario", "use_scope", "mode")
"""What a demand must state beside its fields (Order 809, art. 20)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitDemand:
    """A department demands fields of a resource, or of every resource of a record type (one demand for each).

    What no department offers becomes an unmatched demand; what art. 20 asks to state and is missing makes it
    incomplete. Entities of the result: the ids of the demands.
    Raises ExchangeError: E_UNKNOWN_DEPARTMENT, E_UNKNOWN_RESOURCE, E_UNKNOWN_FIELD, E_DEMAND_OWN, E_DEMAND_DUPLICATE,
    E_MASK, E_SCOPE, E_PERIOD, E_REQUEST.
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
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-submitted` of each demand."""
        _check_exists(state, self.demander, now)
        self._check_period(now)
        draft = Draft(state)
        for resource in self._resources(state):
            self._submit(draft, resource, now)
        return draft.events

    def _check_period(self, now: datetime) -> None:
        if self.use_until is not None and self.use_until <= max(now, self.use_from or now):
            raise ExchangeError("E_PERIOD", "the use period has no time in it")
        if self.freshness_seconds is not None and self.freshness_seconds <= 0:
            raise ExchangeError("E_REQUEST", "freshness is a positive number of seconds")

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
        record_type = names.record_type(self.record_type or "") if resource is None else resource.record_type
        fields = tuple(dict.fromkeys(self.fields))
        scope = scope_of(self.scope)
        if resource is not None:
            scope = self._check_offer(resource, fields)
        provider = None if resource is None else resource.provider
        self._check_duplicate(draft.state, (resource, record_type, fields, scope), now)
        details = {name: getattr(self, name).strip() for name in _STATED}
        if resource is None and self.provider is not None:
            details["provider"] = self.provider
        missing = [name for name in _STATED if not details[name]] + ([] if fields else ["fields"])
        demand = DemandId(f"d-{draft.seq}")
        draft.say(
            "demand-submitted",
            demand,
            demand=demand,
            request=self.request or f"r-{draft.state.seq + 1}",
            demander=self.demander,
            provider=provider,
            registry=registry_of(record_type),
            record_type=record_type,
            resource=None if resource is None else resource.resource,
            fields=list(fields),
            masks=dict(self.masks),
            scope=scope_to_json(scope),
            complete=not missing,
            missing=missing,
            use_from=None if self.use_from is None else format_time(self.use_from),
            use_until=None if self.use_until is None else format_time(self.use_until),
            freshness_seconds=self.freshness_seconds,
            details=details,
        )

    def _check_offer(self, resource: ResourceEntry, fields: tuple[str, ...]) -> tuple[Condition, ...]:
        """The scope in its normal form, when the resource has all that is asked."""
        record = record_schema(self.schemas, resource.record_type)
        if record is None:
            raise ExchangeError("E_UNKNOWN_RESOURCE", "the record type of this resource has no schema")
        known = {rule.name for rule in record.fields} & resource.fields.keys()
        unknown = [name for name in fields if name not in known]
        if unknown:
            raise ExchangeError("E_UNKNOWN_FIELD", f"{len(unknown)} of the asked fields are not offered")
        check_masks(record, fields, self.masks)
        return check_scope(record, self.scope)

    def _check_duplicate(
        self,
        state: LedgerState,
        asked: tuple[ResourceEntry | None, RecordType, tuple[str, ...], tuple[Condition, ...]],
        now: datetime,
    ) -> None:
        resource, record_type, fields, scope = asked
        code = None if resource is None else resource.resource
        for other in state.demands.values():
            same = (
                other.demander == self.demander
                and other.record_type == record_type
                and other.resource == code
                and (code is not None or other.details.get("provider") == self.provider)
                and set(other.fields) == set(fields)
                and other.scope == scope
            )
            if same and is_open(state, other, now):
                raise ExchangeError("E_DEMAND_DUPLICATE", f"{other.demand} is open")


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
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-consented`."""
        demand, provider = _awaiting(state, self.demand, self.by, now)
        offer = Offer(fields=self.fields, masks=self.masks, scope=self.scope, freshness_seconds=self.freshness_seconds)
        agreement = agree(state, demand, provider, offer, self.schemas)
        check_joinable(state, demand.demander, agreement.terms)
        draft = Draft(state)
        said = agreement_data(agreement)
        draft.say("demand-consented", demand.demand, demand=demand.demand, grant=f"g-{draft.seq}", **said)
        return draft.events


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseDemand:
    """The provider refuses, with a reason; for a resource that is not shared also with its legal basis.

    Entity of the result: the demand. Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_REFUSAL_REASON.
    """

    demand: str
    by: Department
    reason: str
    legal_basis: str = ""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-refused`."""
        demand, _ = _awaiting(state, self.demand, self.by, now)
        resource = resource_of(state, demand)
        closed = resource.sharing == NOT_SHARED or any(resource.fields.get(f) == NOT_SHARED for f in demand.fields)
        if not self.reason.strip() or (closed and not self.legal_basis.strip()):
            raise ExchangeError("E_REFUSAL_REASON")
        draft = Draft(state)
        draft.say(
            "demand-refused",
            demand.demand,
            demand=demand.demand,
            reason=self.reason.strip(),
            legal_basis=self.legal_basis.strip() or None,
        )
        return draft.events


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawDemand:
    """The demander takes its demand back, which ends its grants. The first entity of the result: the demand.

    Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE.
    """

    demand: str
    by: Department
    reason: str = ""

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `demand-withdrawn` and a `grant-ended` for each grant that had not ended."""
        demand = demand_of(state, self.demand)
        if not acts_for(state, self.by, demand.demander):
            raise ExchangeError("E_ROLE", "only the demander withdraws a demand")
        if demand.withdrawn is not None:
            raise ExchangeError("E_DEMAND_STATE", "the demand has been withdrawn")
        draft = Draft(state)
        draft.say("demand-withdrawn", demand.demand, demand=demand.demand, reason=self.reason.strip())
        for grant in demand.grants:
            if state.grants[grant].ended is None:
                draft.say("grant-ended", grant, grant=grant, reason="withdrawn")
        return draft.events


def _awaiting(state: LedgerState, demand: str, by: Department, now: datetime) -> tuple[DemandEntry, Department]:
    """The demand that waits for a reply of `by`, and the department in whose inbox its records come."""
    found = demand_of(state, demand)
    if found.provider is None:
        raise ExchangeError("E_DEMAND_STATE", "no department offers what this demand asks for")
    if not acts_for(state, by, found.provider):
        raise ExchangeError("E_ROLE", "only the provider replies to a demand")
    current = demand_state(state, found, now)
    if current not in (DemandState.SUBMITTED, DemandState.IN_REVIEW):
        raise ExchangeError("E_DEMAND_STATE", f"the demand is {current.value}")
    return found, found.provider


def _check_exists(state: LedgerState, department: Department, now: datetime) -> None:
    found = state.departments.get(department)
    if found is None:
        raise ExchangeError("E_UNKNOWN_DEPARTMENT")
    today = day_in_shanghai(now).isoformat()
    if today < found.valid_from or (found.valid_until is not None and found.valid_until <= today):
        raise ExchangeError("E_UNKNOWN_DEPARTMENT", "the department does not exist any more, or not yet")
