"""The fold of events on demands: submitted, supplemented, matched, reviewed, replied to, withdrawn."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from exchange.clock import parse_time
from exchange.ledger.state.demand_index import same, same_end
from exchange.ledger.state.interning import interned, interned_texts
from exchange.ledger.state.ledger_state import (
    DemandEntry,
    Dispute,
    Extension,
    GrantEntry,
    LedgerState,
    SupplementRequest,
    Terms,
)
from exchange.ledger.state.share_terms import scope_from_json, terms_from_json
from exchange.names import DemandId, Department, GrantId, RecordType

REPLY_AGAIN = "reply-again"
"""The outcome of a dispute that asks the provider for another reply."""

PROMPT_DAYS = 1
"""The working days of a reply on what is shared without conditions."""

_Data = Mapping[str, Any]


def _time(value: str | None) -> datetime | None:
    return None if value is None else parse_time(value)


def asked_keys(demand: DemandEntry) -> list[int]:
    """By which keys of the index a demand is found: what it asks for, and for which end."""
    kind, resource = demand.record_type, demand.resource
    scenario = demand.details.get("scenario", "")
    asked = same(kind, resource, demand.fields, demand.scope)
    return [asked, same_end(kind, resource, scenario)] if scenario else [asked]


def note_asked(state: LedgerState, demand: DemandEntry) -> None:
    """Let a demand be found by what it asks for now."""
    state.alike.note(demand.demand, *asked_keys(demand))


def _await(state: LedgerState, demand: DemandEntry) -> None:
    """It waits for a reply; without conditions, for one that the exchange may give by itself."""
    if demand.withdrawn is not None or demand.grants:
        return
    state.awaiting[demand.demand] = demand
    if demand.reply_days == PROMPT_DAYS and demand.replied is None:
        state.prompt[demand.demand] = demand
    else:
        state.prompt.pop(demand.demand, None)


def _await_no_more(state: LedgerState, demand: DemandEntry) -> None:
    state.awaiting.pop(demand.demand, None)
    state.prompt.pop(demand.demand, None)


def _demand_submitted(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = DemandId(data["demand"])
    if demand in state.demands:
        raise ValueError("a demand is submitted once")
    provider, resource = data["provider"], data.get("resource")
    entry = DemandEntry(
        demand=demand,
        request=data["request"],
        demander=Department(interned(data["demander"])),
        provider=None if provider is None else Department(interned(provider)),
        registry=interned(data["registry"]),
        record_type=RecordType(interned(data["record_type"])),
        resource=interned(resource),
        fields=interned(tuple(data["fields"])),
        masks=interned(tuple(sorted(data.get("masks", {}).items()))),
        scope=interned(scope_from_json(data.get("scope", ()))),
        complete=at if data["complete"] else None,
        use_from=_time(data["use_from"]),
        use_until=_time(data["use_until"]),
        freshness_seconds=data.get("freshness_seconds"),
        details=interned_texts(data.get("details", {})),
        submitted=at,
        missing=tuple(data.get("missing", ())),
        matched=None if provider is None else at,
        renews=None if data.get("renews") is None else DemandId(data["renews"]),
        replaces=None if data.get("replaces") is None else DemandId(data["replaces"]),
        review=bool(data.get("review")),
        reply_days=data.get("reply_days"),
    )
    state.demands[demand] = entry
    note_asked(state, entry)
    if entry.renews is not None:
        state.renewals[entry.renews] = (*state.renewals.get(entry.renews, ()), demand)
    if entry.replaces is not None:
        state.replacements[entry.replaces] = (*state.replacements.get(entry.replaces, ()), demand)
    _await(state, entry)


def _supplement_requested(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    if all(request.answered is not None for request in demand.supplements):
        in_review = demand.review and demand.reviewed is None
        demand.supplements.append(SupplementRequest(at, bool(data.get("pauses")), in_review=in_review))


def _demand_supplemented(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.details.update(interned_texts(data.get("details", {})))
    demand.missing = tuple(data.get("missing", ()))
    if "fields" in data:
        demand.fields = interned(tuple(data["fields"]))
        demand.masks = tuple(sorted(data.get("masks", {}).items()))
        demand.scope = scope_from_json(data.get("scope", ()))
        demand.reply_days = data.get("reply_days", demand.reply_days)
        _await(state, demand)
    note_asked(state, demand)
    for request in demand.supplements:
        request.answered = request.answered or at
    if data["complete"] and demand.complete is None:
        demand.complete = at


def _demand_matched(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.resource, demand.provider = data["resource"], Department(data["provider"])
    demand.matched = at
    note_asked(state, demand)
    demand.review, demand.reply_days = bool(data.get("review")), data.get("reply_days")
    _await(state, demand)


def _demand_reviewed(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.reviewed = at if data.get("passed", True) else None


def _extension_requested(state: LedgerState, data: _Data, at: datetime) -> None:
    state.demands[DemandId(data["demand"])].extension = Extension(int(data["days"]), at)


def _reply_extended(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    asked = demand.extension.asked if demand.extension is not None else at
    demand.extension = Extension(int(data["days"]), asked, at) if "days" in data else demand.extension


def _demand_consented(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    grant = GrantId(data["grant"])
    if grant in state.grants:
        raise ValueError("a grant is given once")
    granted, masked = interned(tuple(data["fields"])), interned(tuple(data["masked"]))
    state.grants[grant] = GrantEntry(
        grant=grant,
        demand=demand.demand,
        terms=terms_from_json(data["terms"]) if "terms" in data else _plain_terms(demand, granted + masked),
        granted=granted,
        masked=masked,
        scope_narrowed=bool(data["scope_narrowed"]),
        freshness_seconds=data["freshness_seconds"],
        consented=at,
        until=_time(data.get("until")),
        conditions=interned(data.get("conditions", "")),
        automatic=bool(data.get("automatic")),
    )
    state.running[grant] = state.grants[grant]
    _await_no_more(state, demand)
    demand.grants.append(grant)
    demand.replied = demand.replied or at
    demand.refused = None


def _plain_terms(demand: DemandEntry, fields: tuple[str, ...]) -> Terms:
    """Terms of a ledger that holds only what the rate needs."""
    return Terms(demand.record_type, demand.provider or Department(""), fields)


def _demand_refused(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.refused = at
    demand.refusal_reason, demand.refusal_basis = data.get("reason"), data.get("legal_basis")
    demand.replied = demand.replied or at
    _await_no_more(state, demand)


def _demand_withdrawn(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.withdrawn = at
    _await_no_more(state, demand)


def _demand_transferred(state: LedgerState, data: _Data, _at: datetime) -> None:
    state.demands[DemandId(data["demand"])].demander = Department(data["to"])


def _dispute_opened(state: LedgerState, data: _Data, at: datetime) -> None:
    demand = state.demands[DemandId(data["demand"])]
    demand.dispute = Dispute(at, Department(data.get("by", "")), data.get("level", "negotiation"))


def _dispute_escalated(state: LedgerState, data: _Data, _at: datetime) -> None:
    dispute = state.demands[DemandId(data["demand"])].dispute
    if dispute is not None:
        dispute.level = data["level"]


def _dispute_settled(state: LedgerState, data: _Data, at: datetime) -> None:
    """A settlement that asks for another reply puts a refused demand before its provider again."""
    demand = state.demands[DemandId(data["demand"])]
    if demand.dispute is not None:
        demand.dispute.settled, demand.dispute.outcome = at, data.get("outcome")
    if data.get("outcome") == REPLY_AGAIN and demand.refused is not None:
        demand.refused = None
        _await(state, demand)


DEMAND_HANDLERS: Mapping[str, Callable[[LedgerState, _Data, datetime], None]] = {
    "demand-submitted": _demand_submitted,
    "supplement-requested": _supplement_requested,
    "demand-supplemented": _demand_supplemented,
    "demand-matched": _demand_matched,
    "demand-reviewed": _demand_reviewed,
    "extension-requested": _extension_requested,
    "reply-extended": _reply_extended,
    "demand-consented": _demand_consented,
    "demand-refused": _demand_refused,
    "demand-withdrawn": _demand_withdrawn,
    "demand-transferred": _demand_transferred,
    "dispute-opened": _dispute_opened,
    "dispute-escalated": _dispute_escalated,
    "dispute-settled": _dispute_settled,
}
"""How each event on demands changes the state."""
