"""The fold: the state after a sequence of events. Pure; everything that is read from the ledger comes from here.

The chain is checked at every event. An event of an unknown kind is carried over and counted: a newer broker may have
written it. Of the events that the satisfaction rate needs, the promised data must be there.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from exchange.clock import parse_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent, event_of
from exchange.ledger.fold.corrections import CORRECTION_HANDLERS
from exchange.ledger.fold.demands import DEMAND_HANDLERS
from exchange.ledger.fold.departments import DEPARTMENT_HANDLERS, SUCCEEDED
from exchange.ledger.fold.grants import GRANT_HANDLERS
from exchange.ledger.state.ledger_state import (
    LedgerState,
    ResourceEntry,
)
from exchange.ledger.state.settled_quarantine import DISCARDED, REDRIVEN, Act, SettledRecords
from exchange.ledger.state.token import TokenEntry
from exchange.names import DemandId, Department, GrantId, RecordType

COMMAND_DIGEST = "command"
"""The member of an event's data that says what a command with an idempotency key asked for."""
CALLER = "caller"
"""The member of every event's data that says who spoke for the actor of a command: an audit's answer to "which person".

It stands in the data, as the digest does, and not beside the actor: so services of before it read on while they are
replaced one by one.
"""

_BREACHES = ("freshness-broken", "freshness-restored")
_WORD = re.compile(r"[a-z-]{1,32}")
_Data = Mapping[str, Any]
_Handler = Callable[[LedgerState, _Data, datetime], None]


def fold(events: Iterable[LedgerEvent | Mapping[str, Any]]) -> LedgerState:
    """The state after `events`, from the first one on: LedgerEvent or the JSON objects of an export.

    Raises ExchangeError(E_LEDGER_BROKEN) at the first event that does not continue the chain.
    """
    state = LedgerState()
    for event in events:
        apply(state, event if isinstance(event, LedgerEvent) else event_of(event))
    return state


def apply(state: LedgerState, event: LedgerEvent) -> None:
    """Change `state` by the next event.

    Raises ExchangeError(E_LEDGER_BROKEN), and leaves the chain where it was, when the sequence or the hash does not
    continue it or when promised data is missing.
    """
    moment = _continued(state, event)
    handler = _HANDLERS.get(event.event)
    if handler is None:
        state.unread += 1
    else:
        try:
            handler(state, event.data, moment)
        except MemoryError:
            raise  # says nothing of the event
        except Exception:
            if event.event in _RATED:
                raise ExchangeError("E_LEDGER_BROKEN", f"event {event.seq} lacks data of a {event.event}") from None
            state.unread += 1
    _advance(state, event, moment)


def apply_strictly(state: LedgerState, event: LedgerEvent) -> None:
    """Change `state` by an event that is not in the ledger yet.

    Raises ExchangeError(E_LEDGER_BROKEN) when it does not continue the chain, KeyError when the fold does not know it,
    and whatever its fold raises; a part of it may have been folded then.
    """
    moment = _continued(state, event)
    _HANDLERS[event.event](state, event.data, moment)
    _advance(state, event, moment)


def _continued(state: LedgerState, event: LedgerEvent) -> datetime:
    """The moment of an event that continues the chain."""
    if event.seq != state.seq + 1:
        raise ExchangeError("E_LEDGER_BROKEN", f"event {event.seq} follows event {state.seq}")
    if event.prev_hash != state.head:
        raise ExchangeError("E_LEDGER_BROKEN", f"event {event.seq} does not continue the hash of event {state.seq}")
    return event.moment


def _advance(state: LedgerState, event: LedgerEvent, moment: datetime) -> None:
    _remember(state, event, moment)
    state.written.note(event.actor, moment)
    if event.event not in _UNENFORCED:
        state.enforced = event.seq
    state.seq, state.head, state.at = event.seq, event.hash, moment


def _remember(state: LedgerState, event: LedgerEvent, moment: datetime) -> None:
    """Note the event in the history of its demand and under the idempotency key of its command."""
    name = event.data.get("grant")
    grant = state.grants.get(GrantId(name)) if isinstance(name, str) else None
    if grant is not None:
        demand = state.demands.get(grant.demand)
    else:
        name = event.data.get("demand")
        demand = state.demands.get(DemandId(name)) if isinstance(name, str) else None
    if demand is not None:
        demand.history.add(event.seq, event.event, moment, event.actor, _about(event))
    elif event.event == SUCCEEDED:
        for moved in event.data.get("transfers", ()):
            state.demands[DemandId(moved)].history.add(event.seq, SUCCEEDED, moment, event.actor)
    if event.command_id is None:
        return
    digest = str(event.data.get(COMMAND_DIGEST, ""))
    state.commands.note((event.actor, event.command_id), digest, event.seq, event.entity, moment)


def _about(event: LedgerEvent) -> str:
    """What the history of a demand says of an event beside its name: the cause of a breach, and its reason."""
    if event.event not in _BREACHES:
        return ""
    said = (event.data.get("cause"), event.data.get("reason"))
    return " ".join(one for one in said if isinstance(one, str) and _WORD.fullmatch(one))


# resources, tokens


def resource_of(data: _Data) -> ResourceEntry:
    """The resource that the data of a `resource-published` describes."""
    return ResourceEntry(
        resource=data["resource"],
        record_type=RecordType(data["record_type"]),
        provider=Department(data["provider"]),
        name=data.get("name", ""),
        name_en=data.get("name_en", ""),
        sharing=data["sharing"],
        fields=dict(data["fields"]),
        update_cycle_seconds=data["update_cycle_seconds"],
        details=dict(data.get("details", {})),
    )


def _resource_published(state: LedgerState, data: _Data, _at: datetime) -> None:
    entry = resource_of(data)
    state.resources[entry.resource] = entry


def _resource_withdrawn(state: LedgerState, data: _Data, _at: datetime) -> None:
    state.resources[data["resource"]].withdrawn = True


def _token_issued(state: LedgerState, data: _Data, at: datetime) -> None:
    department, expires = data.get("department"), data.get("expires_at")
    token = TokenEntry(
        token=data["token"],
        digest=data["digest"],
        role=data["role"],
        department=None if department is None else Department(department),
        expires=None if expires is None else parse_time(expires),
        label=str(data.get("label", "")),
        issued=at,
        issuer=str(data.get(CALLER, "")),
    )
    state.tokens[token.token] = token
    state.token_of_digest[token.digest] = token.token


def _token_revoked(state: LedgerState, data: _Data, _at: datetime) -> None:
    state.tokens[data["token"]].revoked = True


# quarantine


def _settled(kind: str) -> _Handler:
    """What a redrive or a discard does: the records at these places wait no longer."""

    def handle(state: LedgerState, data: _Data, at: datetime) -> None:
        department = Department(data["department"])
        by_code = {str(code): int(count) for code, count in data["codes"].items()}
        act = Act(state.seq + 1, kind, at, str(data["by"]), by_code, data.get("reason"))
        ranges = {int(number): [(int(one), int(end)) for one, end in some] for number, some in data["ranges"].items()}
        state.settled.setdefault(department, SettledRecords()).add(act, ranges)

    return handle


def _leader_announced(state: LedgerState, data: _Data, _at: datetime) -> None:
    state.leader_worker, state.leader_url = str(data["worker"]), str(data["url"])


def _nothing(_state: LedgerState, _data: _Data, _at: datetime) -> None:
    """An event that is a record of what was done and changes nothing here."""


_HANDLERS: dict[str, _Handler] = {
    "resource-published": _resource_published,
    "resource-withdrawn": _resource_withdrawn,
    "token-issued": _token_issued,
    "token-revoked": _token_revoked,
    "leader-announced": _leader_announced,
    "secret-rotated": _nothing,
    "quarantine-redriven": _settled(REDRIVEN),
    "quarantine-discarded": _settled(DISCARDED),
    **DEPARTMENT_HANDLERS,
    **DEMAND_HANDLERS,
    **GRANT_HANDLERS,
    **CORRECTION_HANDLERS,
}

_UNENFORCED = frozenset(
    (
        "demand-submitted",
        "supplement-requested",
        "demand-supplemented",
        "demand-reviewed",
        "extension-requested",
        "reply-extended",
        "demand-refused",
        "dispute-opened",
        "dispute-escalated",
        "dispute-settled",
        "share-filled",
        "freshness-broken",
        "freshness-restored",
        "use-recorded",
        "token-issued",
        "token-revoked",
    )
)
"""The frequent events that change nothing that Kafka should hold. Of every other one, also a new one, it may."""

_RATED = frozenset(
    (
        "demand-submitted",
        "demand-supplemented",
        "demand-matched",
        "demand-consented",
        "demand-refused",
        "demand-withdrawn",
        "grant-activated",
        "first-delivered",
        "share-filled",
        "freshness-broken",
        "freshness-restored",
        "grant-suspended",
        "grant-resumed",
        "grant-amended",
        "share-switched",
        "demand-transferred",
        SUCCEEDED,
        "grant-ended",
    )
)
"""The events without which the satisfaction rate would be wrong."""
