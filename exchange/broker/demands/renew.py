"""The command that continues a demand beyond its use period."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.asked import Asked, asked_data, check_asked
from exchange.broker.demands.life import demand_for
from exchange.broker.demands.need import check_single, need_of
from exchange.broker.demands.parties import check_demander, check_exists
from exchange.broker.demands.state import demand_of
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import DemandEntry, LedgerState
from exchange.ledger.store.command import Draft
from exchange.names import DemandId, Department


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewDemand:
    """The demander asks for the time after the use period: a demand for the same, which begins when that ends.

    It is replied to like any other. The two periods do not overlap, so never do both count at one moment.
    Entity of the result: the new demand.
    Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_RENEWAL, E_PERIOD, and as SubmitDemand does for
    what is no longer offered.
    """

    demand: str
    by: Department
    use_until: datetime | None = None
    """The end of the new period; None leaves it open."""
    legal_basis: str = ""
    """Left out, it is that of the demand before."""
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-submitted` of the new demand."""
        check_demander(state, demand_of(state, self.demand), self.by)
        before = demand_for("renew", state, self.demand, now)
        check_exists(state, before.demander, now)
        begin = self._begin(state, before)
        asked = check_asked(_asked(state, before), self.schemas)
        need = replace(need_of(state, before), use_from=begin, use_until=self.use_until)
        check_single(state, need, now, [before.demand])
        draft = Draft(state)
        demand = DemandId(f"d-{draft.seq}")
        draft.say(
            "demand-submitted",
            demand,
            demand=demand,
            renews=before.demand,
            request=before.request,
            demander=before.demander,
            provider=before.provider,
            **asked_data(asked, self.schemas),
            complete=True,
            missing=[],
            use_from=format_time(begin),
            use_until=None if self.use_until is None else format_time(self.use_until),
            freshness_seconds=before.freshness_seconds,
            details={**before.details, **({"legal_basis": basis} if (basis := self.legal_basis.strip()) else {})},
        )
        return draft.events

    def _begin(self, state: LedgerState, before: DemandEntry) -> datetime:
        """When the new period begins: at the end of the present one."""
        if before.use_until is None:
            raise ExchangeError("E_RENEWAL", "its use period has no end")
        again = (state.demands[one] for one in state.renewals.get(before.demand, ()))
        if any(one.withdrawn is None and one.refused is None for one in again):
            raise ExchangeError("E_RENEWAL", "it has been renewed")
        if self.use_until is not None and self.use_until <= before.use_until:
            raise ExchangeError("E_PERIOD", "the use period has no time in it")
        return before.use_until


def _asked(state: LedgerState, before: DemandEntry) -> Asked:
    resource = state.resources.get(before.resource or "")
    if resource is None or resource.withdrawn:
        raise ExchangeError("E_UNKNOWN_RESOURCE")
    return Asked(before.demander, resource, before.record_type, before.fields, dict(before.masks), before.scope)
