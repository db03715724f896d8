"""Commands on what a demand lacks: the request for more, all at once, and the answer to it (Order 809, art. 21)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.asked import STATED, asked_data, check_asked, missing_of
from exchange.broker.demands.life import IN_REVIEW, demand_for
from exchange.broker.demands.need import Need, check_single, in_line, need_of
from exchange.broker.demands.parties import check_demander, check_provider
from exchange.broker.demands.state import demand_of, demand_state
from exchange.errors import ExchangeError
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import Condition, DemandEntry, LedgerState
from exchange.ledger.store.command import said
from exchange.names import Department


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSupplement:
    """The provider, or while it reviews the competent department, asks for more: everything that is missing, at once.

    The demand stays complete, so it goes on to count. Entity of the result: the demand.
    Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, E_REQUEST when nothing is named.
    """

    demand: str
    by: Department | None
    """The provider; None for the competent department."""
    missing: tuple[str, ...]
    """What is asked for, an item each."""
    pauses: bool = False
    """Whether the reply's clock stands still until the answer: a policy of the province; the law does not say so."""

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `supplement-requested`."""
        _check_turn(state, demand_of(state, self.demand), self.by, now)
        demand = demand_for("request-supplement", state, self.demand, now)
        missing = [text for one in self.missing if (text := one.strip())]
        if not missing:
            raise ExchangeError("E_REQUEST", "a request for more names what is missing")
        return said("supplement-requested", demand.demand, demand=demand.demand, missing=missing, pauses=self.pauses)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplementDemand:
    """The demander adds what is missing or was asked for.

    What is stated replaces what was stated; what is asked for (fields, masks, rows) can only be named while the demand
    is incomplete. Entity of the result: the demand.
    Raises ExchangeError: E_UNKNOWN_DEMAND, E_ROLE, E_DEMAND_STATE, and for what is asked as SubmitDemand does.
    """

    demand: str
    by: Department
    stated: Mapping[str, str] = field(default_factory=dict)
    """By name of STATED."""
    answer: str = ""
    """In words, what was asked for."""
    fields: tuple[str, ...] | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    scope: tuple[Condition, ...] = ()
    schemas: SchemaRepository = field(compare=False, repr=False)

    def __call__(self, state: LedgerState, now: datetime) -> Sequence[NewEvent]:
        """The `demand-supplemented`."""
        check_demander(state, demand_of(state, self.demand), self.by)
        demand = demand_for("supplement", state, self.demand, now)
        if not set(self.stated) <= set(STATED):
            raise ExchangeError("E_REQUEST", f"a demand states {', '.join(STATED)}")
        details = {name: text.strip() for name, text in self.stated.items() if text.strip()}
        if self.answer.strip():
            details["answer"] = self.answer.strip()
        if not details and self.fields is None:
            raise ExchangeError("E_REQUEST", "a supplement adds something")
        need = self._need(state, demand)
        if self.fields is not None or "scenario" in details:
            check_single(state, need, now, in_line(state, demand.demand))
        missing = missing_of({**demand.details, **details}, need.asked.fields)
        data = {} if self.fields is None else asked_data(need.asked, self.schemas)
        return said(
            "demand-supplemented",
            demand.demand,
            demand=demand.demand,
            complete=not missing,
            missing=missing,
            details=details,
            **{name: data[name] for name in ("fields", "masks", "scope", "reply_days") if name in data},
        )

    def _need(self, state: LedgerState, demand: DemandEntry) -> Need:
        """What is asked for from now on."""
        before = need_of(state, demand)
        need = replace(before, scenario=self.stated.get("scenario", "").strip() or before.scenario)
        if self.fields is None:
            return need
        if demand.complete is not None:
            raise ExchangeError("E_DEMAND_STATE", "what is asked for cannot change any more: make another demand")
        fields = tuple(dict.fromkeys(self.fields))
        asked = replace(before.asked, fields=fields, masks=self.masks, scope=self.scope)
        return replace(need, asked=check_asked(asked, self.schemas))


def _check_turn(state: LedgerState, demand: DemandEntry, by: Department | None, now: datetime) -> None:
    """Who has the demand before it may ask: in review the competent department, afterwards the provider."""
    in_review = demand_state(state, demand, now) is IN_REVIEW
    if by is not None:
        check_provider(state, demand, by)
    if in_review != (by is None):
        raise ExchangeError("E_ROLE", "in review the competent department asks, afterwards the provider")
