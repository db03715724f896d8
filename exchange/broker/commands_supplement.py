"""Commands on what a demand lacks: the request for more, all at once, and the answer to it (Order 809, art. 21)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exchange.avro.lock import SchemaRepository
from exchange.broker.commands import check_demander, check_provider
from exchange.broker.commands_asked import STATED, Asked, asked_data, check_asked, check_single, missing_of
from exchange.broker.demands import demand_of, demand_state
from exchange.broker.life import IN_REVIEW, demand_for
from exchange.errors import ExchangeError
from exchange.ledger.command import said
from exchange.ledger.events import NewEvent
from exchange.ledger.state import Condition, DemandEntry, LedgerState
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
        asked = self._asked(state, demand, now)
        fields = demand.fields if asked is None else asked["fields"]
        missing = missing_of({**demand.details, **details}, fields)
        if not details and asked is None:
            raise ExchangeError("E_REQUEST", "a supplement adds something")
        return said(
            "demand-supplemented",
            demand.demand,
            demand=demand.demand,
            complete=not missing,
            missing=missing,
            details=details,
            **(asked or {}),
        )

    def _asked(self, state: LedgerState, demand: DemandEntry, now: datetime) -> dict[str, Any] | None:
        """What is asked for from now on, as event data; None when that is left as it is."""
        if self.fields is None:
            return None
        if demand.complete is not None:
            raise ExchangeError("E_DEMAND_STATE", "what is asked for cannot change any more: make another demand")
        resource = state.resources.get(demand.resource or "")
        fields = tuple(dict.fromkeys(self.fields))
        wanted = demand.details.get("provider")
        asked = Asked(demand.demander, resource, demand.record_type, fields, self.masks, self.scope, wanted)
        asked = check_asked(asked, self.schemas)
        check_single(state, asked, now, beside=demand.demand)
        data = asked_data(asked)
        return {name: data[name] for name in ("fields", "masks", "scope", "reply_days")}


def _check_turn(state: LedgerState, demand: DemandEntry, by: Department | None, now: datetime) -> None:
    """Who has the demand before it may ask: in review the competent department, afterwards the provider."""
    in_review = demand_state(state, demand, now) is IN_REVIEW
    if by is not None:
        check_provider(state, demand, by)
    if in_review != (by is None):
        raise ExchangeError("E_ROLE", "in review the competent department asks, afterwards the provider")
