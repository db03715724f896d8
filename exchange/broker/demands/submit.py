"""Commands on demands: submit, consent, refuse, withdraw. Pure functions of the ledger's state and the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange import names
from exchange.avro.lock import SchemaRepository
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
from exchange.broker.demands.parties import check_demander, check_exists
from exchange.broker.demands.state import acts_for, demand_of, is_open
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import Condition, LedgerState, ResourceEntry
from exchange.ledger.store.command import Draft
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
            **asked_data(asked, self.schemas),
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
