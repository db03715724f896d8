"""The fold of events on demands: submitted, supplemented, matched, reviewed, replied to, withdrawn."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from exchange.clock import parse_time
from exchange.ledger.state import DemandEntry, GrantEntry, LedgerState, Terms
from exchange.ledger.terms import scope_from_json, terms_from_json
from exchange.names import DemandId, Department, GrantId, RecordType

_Data = Mapping[str, Any]


def _time(value: str | None) -> datetime | None:
    return None if value is None else parse_time(value)


def _demand_submitted(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = DemandId(data["demand"])
    if demand in state.demands:
        raise ValueError("a demand is submitted once")
    provider, resource = data["provider"], data.get("resource")
    state.demands[demand] = DemandEntry(
        demand=demand,
        request=data["request"],
        demander=Department(data["demander"]),
        provider=None if provider is None else Department(provider),
        registry=data["registry"],
        record_type=RecordType(data["record_type"]),
        resource=resource,
        fields=tuple(data["fields"]),
        masks=tuple(sorted(data.get("masks", {}).items())),
        scope=scope_from_json(data.get("scope", ())),
        complete=at if data["complete"] else None,
        use_from=_time(data["use_from"]),
        use_until=_time(data["use_until"]),
        freshness_seconds=data.get("freshness_seconds"),
        details=dict(data.get("details", {})),
        submitted=at,
        missing=tuple(data.get("missing", ())),
        matched=None if provider is None else at,
    )


def _demand_supplemented(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.details.update(data.get("details", {}))
    demand.missing = tuple(data.get("missing", ()))
    if data["complete"] and demand.complete is None:
        demand.complete = at


def _demand_matched(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.resource, demand.provider = data["resource"], Department(data["provider"])
    demand.matched = at


def _demand_reviewed(state: LedgerState, data: _Data, at: datetime) -> None:
    state.demands[DemandId(data["demand"])].reviewed = at


def _demand_consented(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    grant = GrantId(data["grant"])
    if grant in state.grants:
        raise ValueError("a grant is given once")
    granted, masked = tuple(data["fields"]), tuple(data["masked"])
    state.grants[grant] = GrantEntry(
        grant=grant,
        demand=demand.demand,
        terms=terms_from_json(data["terms"]) if "terms" in data else _plain_terms(demand, granted + masked),
        granted=granted,
        masked=masked,
        scope_narrowed=bool(data["scope_narrowed"]),
        freshness_seconds=data["freshness_seconds"],
        consented=at,
    )
    demand.grants.append(grant)
    demand.replied = demand.replied or at
    demand.refused = None


def _plain_terms(demand: DemandEntry, fields: tuple[str, ...]) -> Terms:
    """Terms of a ledger that holds only what the rate needs."""
    return Terms(demand.record_type, demand.provider or Department(""), fields)


def _demand_refused(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.refused = at
    demand.replied = demand.replied or at


def _demand_withdrawn(state: LedgerState, data: _Data, at: datetime) -> None:
    state.demands[DemandId(data["demand"])].withdrawn = at


def _demand_transferred(state: LedgerState, data: _Data, _at: datetime) -> None:
    state.demands[DemandId(data["demand"])].demander = Department(data["to"])


def _demand_noted(state: LedgerState, data: _Data, _at: datetime) -> None:
    state.demands[DemandId(data["demand"])]  # only its history tells it


DEMAND_HANDLERS: Mapping[str, Callable[[LedgerState, _Data, datetime], None]] = {
    "demand-submitted": _demand_submitted,
    "supplement-requested": _demand_noted,
    "demand-supplemented": _demand_supplemented,
    "demand-matched": _demand_matched,
    "demand-reviewed": _demand_reviewed,
    "reply-extended": _demand_noted,
    "demand-consented": _demand_consented,
    "demand-refused": _demand_refused,
    "demand-withdrawn": _demand_withdrawn,
    "demand-transferred": _demand_transferred,
    "dispute-opened": _demand_noted,
    "dispute-settled": _demand_noted,
}
"""How each event on demands changes the state."""
