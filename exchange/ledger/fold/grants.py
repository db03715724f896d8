"""The fold of events on shares and grants: placed, activated, served, amended, suspended, ended."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from exchange.clock import parse_time
from exchange.ledger.state.interning import interned, interned_schema
from exchange.ledger.state.ledger_state import (
    Agreement,
    Amendment,
    Breach,
    FormerShare,
    GrantEntry,
    LedgerState,
    ShareEntry,
)
from exchange.ledger.state.share_terms import terms_from_json
from exchange.names import GrantId, SchemaId, ShareName

SHARE_REPLACED = "share-replaced"
"""The event that changes every grant of a share."""

PROVIDER, OVERSEER, EXCHANGE = "provider", "overseer", "exchange"
"""Who suspends a grant: whose records it gives, an operator or supervisor, or the exchange while a succession waits."""
AWAITED = "succession-awaited"
"""Why the exchange suspends the grants of a department of which nobody has said who goes on with them."""
NEXT = "next"
"""The role, in a `share-assigned`, of a share that a grant reads after an amendment."""

_Data = Mapping[str, Any]


def _grant(state: LedgerState, data: _Data) -> GrantEntry:
    return state.grants[GrantId(data["grant"])]


# shares


def _share_created(state: LedgerState, data: _Data, at: datetime) -> None:
    schema_id = SchemaId(data["schema_id"])
    share = ShareName(data["share"])
    state.shares[share] = ShareEntry(
        share=share,
        terms=terms_from_json(data["terms"]),
        schema_id=schema_id,
        schema=interned_schema(data["schema"]),
        master_version=data["master_version"],
        created=at,
    )
    state.next_schema_id = max(state.next_schema_id, schema_id + 1)


def _share_assigned(state: LedgerState, data: _Data, _at: datetime) -> None:
    grant, share = _grant(state, data), ShareName(data["share"])
    if data.get("role") != NEXT:
        grant.share = share
    elif grant.next is not None:
        grant.next.share = share


def _changed(state: LedgerState, data: _Data, **changes: Any) -> ShareEntry:
    """Put another entry in the place of a share's: who compares entries sees that it changed."""
    share = ShareName(data["share"])
    state.shares[share] = replace(state.shares[share], **changes)
    return state.shares[share]


def _share_suspended(state: LedgerState, data: _Data, _at: datetime) -> None:
    since = parse_time(data["since"])
    _changed(state, data, suspended=str(data["code"]), suspended_since=since)


def _recovery_ordered(state: LedgerState, data: _Data, _at: datetime) -> None:
    _changed(state, data, recovery_ordered=True)


def _share_recovered(state: LedgerState, data: _Data, _at: datetime) -> None:
    _changed(state, data, suspended=None, recovery_ordered=False, recoveries=int(data["number"]))


def _share_replaced(state: LedgerState, data: _Data, _at: datetime) -> None:
    """Its grants wait for another share with the same terms, or go on with an amendment that had begun."""
    share = _changed(state, data, recovery_ordered=False, replaced=True).share
    for grant in state.grants.values():
        if grant.ended is not None:
            continue
        grant.former = tuple(one for one in grant.former if one.share != share)
        if grant.next is not None and grant.next.share == share:
            grant.next.share = None
        elif grant.next is None and grant.share == share:
            grant.next = Amendment(agreement_of(grant), overlap_seconds=0)


def _share_deleted(state: LedgerState, data: _Data, _at: datetime) -> None:
    state.shares[ShareName(data["share"])].deleted = True


# grants


def agreement_of(grant: GrantEntry) -> Agreement:
    """What was agreed for the share that a grant reads now."""
    return Agreement(grant.terms, grant.granted, grant.masked, grant.scope_narrowed, grant.freshness_seconds)


def _agreed(data: _Data) -> Agreement:
    return Agreement(
        terms=terms_from_json(data["terms"]),
        granted=interned(tuple(data["fields"])),
        masked=interned(tuple(data["masked"])),
        scope_narrowed=bool(data["scope_narrowed"]),
        freshness_seconds=data["freshness_seconds"],
    )


def _agree(grant: GrantEntry, agreement: Agreement) -> None:
    grant.terms = agreement.terms
    grant.granted, grant.masked = agreement.granted, agreement.masked
    grant.scope_narrowed = agreement.scope_narrowed
    grant.freshness_seconds = agreement.freshness_seconds


def _grant_activated(state: LedgerState, data: _Data, at: datetime) -> None:
    grant = _grant(state, data)
    grant.share = ShareName(data["share"])
    grant.activated = at


def _first_delivered(state: LedgerState, data: _Data, at: datetime) -> None:
    grant = _grant(state, data)
    grant.empty = bool(data["empty"])
    grant.first_delivered = grant.first_delivered or at


def _share_filled(state: LedgerState, data: _Data, _at: datetime) -> None:
    _grant(state, data).empty = False


def _freshness_broken(state: LedgerState, data: _Data, at: datetime) -> None:
    since = data["since"]
    moment = at if since is None else parse_time(since)
    cause = interned(data["cause"])
    _grant(state, data).breaches[cause] = Breach(cause, moment, interned(data.get("reason", "")))


def _freshness_restored(state: LedgerState, data: _Data, _at: datetime) -> None:
    _grant(state, data).breaches.pop(data["cause"], None)


def _grant_suspended(state: LedgerState, data: _Data, _at: datetime) -> None:
    """An event that does not say who suspends is taken as the provider's: no overseer lets such a grant go on."""
    suspensions, reason = _grant(state, data).suspensions, str(data.get("reason") or "")
    by = str(data.get("by", EXCHANGE if reason == AWAITED else PROVIDER))
    suspensions.pop(by, None)
    suspensions[by] = reason


def _grant_resumed(state: LedgerState, data: _Data, _at: datetime) -> None:
    """It goes on: every suspension has ended."""
    _grant(state, data).suspensions.clear()


def _suspension_lifted(state: LedgerState, data: _Data, _at: datetime) -> None:
    """One of several has ended it; the others still suspend it."""
    _grant(state, data).suspensions.pop(str(data["of"]), None)


def _grant_amended(state: LedgerState, data: _Data, _at: datetime) -> None:
    """The newest amendment holds. What needs no other share holds at once."""
    grant = _grant(state, data)
    if "terms" not in data:
        return  # a ledger that holds only what the rate needs
    agreement = _agreed(data)
    if grant.share is None or agreement.terms == grant.terms:
        _agree(grant, agreement)
        grant.next = None
    else:
        grant.next = Amendment(agreement, int(data["overlap_seconds"]))


def _share_switched(state: LedgerState, data: _Data, at: datetime) -> None:
    """What stands in the new share has to be delivered first, as after the activation."""
    grant = _grant(state, data)
    until = data["readable_until"]
    kept = tuple(one for one in grant.former if one.share != data["share"])
    if until is not None:
        kept = (*kept, FormerShare(ShareName(data["previous"]), parse_time(until)))
    grant.former, grant.share, grant.next = kept, ShareName(data["share"]), None
    _agree(grant, _agreed(data))
    grant.switched, grant.first_delivered, grant.empty = at, None, False


def _share_left(state: LedgerState, data: _Data, _at: datetime) -> None:
    grant = _grant(state, data)
    grant.former = tuple(one for one in grant.former if one.share != data["share"])


def _grant_ended(state: LedgerState, data: _Data, at: datetime) -> None:
    grant = _grant(state, data)
    if grant.ended is None:
        grant.ended, grant.end_reason = at, data["reason"]
        state.running.pop(grant.grant, None)


def _expiry_announced(state: LedgerState, data: _Data, _at: datetime) -> None:
    grant = _grant(state, data)
    grant.announced = (*grant.announced, int(data["days"]))


def _data_disposed(state: LedgerState, data: _Data, at: datetime) -> None:
    _grant(state, data).disposed = at


def _use_recorded(state: LedgerState, data: _Data, at: datetime) -> None:
    scenario, process, effect, storage = (
        interned(str(data[name])) for name in ("scenario", "process", "effect", "storage")
    )
    _grant(state, data).uses.add(at, interned((scenario, process, effect, storage)))


GRANT_HANDLERS: Mapping[str, Callable[[LedgerState, _Data, datetime], None]] = {
    "share-created": _share_created,
    "share-assigned": _share_assigned,
    "share-suspended": _share_suspended,
    "share-recovery-ordered": _recovery_ordered,
    "share-recovered": _share_recovered,
    SHARE_REPLACED: _share_replaced,
    "share-deleted": _share_deleted,
    "grant-activated": _grant_activated,
    "first-delivered": _first_delivered,
    "share-filled": _share_filled,
    "freshness-broken": _freshness_broken,
    "freshness-restored": _freshness_restored,
    "grant-suspended": _grant_suspended,
    "grant-resumed": _grant_resumed,
    "suspension-lifted": _suspension_lifted,
    "grant-amended": _grant_amended,
    "share-switched": _share_switched,
    "share-left": _share_left,
    "grant-ended": _grant_ended,
    "expiry-announced": _expiry_announced,
    "data-disposed": _data_disposed,
    "use-recorded": _use_recorded,
}
"""How each event on shares and grants changes the state."""
