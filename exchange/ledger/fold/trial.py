"""Folding an event that is about to be written: it is taken in as a whole, or the state is as it was.

Before the event is folded, everything that it may change is kept, and can be put back: by an error of any kind, or when
others shall not see the event before it is durable.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.fold.apply import apply_strictly
from exchange.ledger.fold.demands import asked_keys
from exchange.ledger.fold.grants import SHARE_REPLACED
from exchange.ledger.state.demand_history import DemandHistory
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.state.use_history import UseHistory
from exchange.names import DemandId, GrantId, ShareName

_SCALARS = ("seq", "head", "next_schema_id", "enforced", "leader_worker", "leader_url", "at", "unread")
_FIELDS: dict[type, tuple[str, ...]] = {}
"""Of the kinds of values that were met."""
_Step = Callable[[], object]


class StateLostError(Exception):
    """What an event changed could not be put back: the state is worthless."""


class Kept:
    """What one event may have changed, as it was before."""

    __slots__ = ("_steps",)

    def __init__(self, steps: list[_Step]) -> None:
        self._steps = steps

    def put_back(self) -> None:
        """Make the state what it was. Raises StateLostError when that fails."""
        try:
            for step in reversed(self._steps):
                step()
        except Exception as error:
            raise StateLostError(type(error).__name__) from error


def apply_new(state: LedgerState, event: LedgerEvent) -> Kept:
    """Change `state` by an event that is about to be written; what puts it back.

    Raises whatever the fold raises, ExchangeError(E_LEDGER_BROKEN) when it does not continue the chain, and KeyError
    for an event that the fold does not know: the state is as it was then.
    """
    kept = _kept(state, event)
    try:
        apply_strictly(state, event)
    except BaseException:
        kept.put_back()
        raise
    return kept


def _kept(state: LedgerState, event: LedgerEvent) -> Kept:
    steps: list[_Step] = [partial(_assign, state, [(name, getattr(state, name)) for name in _SCALARS])]
    data = event.data
    for name, entries in (
        ("department", state.departments),
        ("resource", state.resources),
        ("share", state.shares),
        ("token", state.tokens),
        ("digest", state.token_of_digest),
        ("correction", state.corrections),
        ("department", state.settled),
        ("renews", state.renewals),
        ("replaces", state.replacements),
    ):
        _keep_entry(entries, data.get(name), steps)
    grants = _grants(state, event)
    for grant in grants:
        _keep_entry(state.grants, grant, steps)
        _keep_entry(state.running, grant, steps, deeply=False)
    for demand in _demands(state, event, grants):
        _keep_entry(state.demands, demand, steps)
        _keep_entry(state.awaiting, demand, steps, deeply=False)
        _keep_entry(state.prompt, demand, steps, deeply=False)
        steps.append(_index_kept(state, DemandId(demand)))
    steps.append(state.written.kept(event.actor))
    if event.command_id is not None:
        steps.append(state.commands.kept((event.actor, event.command_id)))
    return Kept(steps)


def _grants(state: LedgerState, event: LedgerEvent) -> list[str]:
    found = [event.data.get("grant"), *_names(event.data.get("ended"))]
    if event.event == SHARE_REPLACED:
        share = ShareName(str(event.data.get("share")))
        found += [grant.grant for grant in state.grants.values() if grant.ended is None and share in grant.shares]
    return [one for one in found if isinstance(one, str)]


def _demands(state: LedgerState, event: LedgerEvent, grants: Iterable[str]) -> set[str]:
    found = {event.data.get("demand"), *_names(event.data.get("transfers"))} if _is_plain(event) else set()
    found |= {state.grants[GrantId(one)].demand for one in grants if one in state.grants}
    return {one for one in found if isinstance(one, str)}


def _is_plain(event: LedgerEvent) -> bool:
    """Whether the demand that the event names is named by a text: anything else has no entry."""
    return isinstance(event.data.get("demand"), str | None)


def _names(value: object) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _index_kept(state: LedgerState, demand: DemandId) -> _Step:
    entry = state.demands.get(demand)
    before = frozenset(() if entry is None else asked_keys(entry))

    def put_back() -> None:
        changed = state.demands.get(demand)
        if changed is not None:
            state.alike.forget(demand, *(frozenset(asked_keys(changed)) - before))

    return put_back


def _keep_entry(entries: dict[Any, Any], name: object, steps: list[_Step], *, deeply: bool = True) -> None:
    """Keep what stands under a name, or that nothing does."""
    if not isinstance(name, str):
        return
    if name not in entries:
        steps.append(partial(entries.pop, name, None))
        return
    steps.append(partial(entries.__setitem__, name, entries[name]))
    if deeply:
        _keep(entries[name], steps)


def _keep(value: Any, steps: list[_Step]) -> None:
    """Keep the content of a value that may be changed in place, and of everything in it that may."""
    if isinstance(value, DemandHistory | UseHistory):
        steps.append(partial(value.cut, len(value)))
    elif isinstance(value, dict):
        steps.append(partial(_refill, value, dict(value)))
        _keep_parts(value.values(), steps)
    elif isinstance(value, list):
        steps.append(partial(value.__setitem__, slice(None), list(value)))
        _keep_parts(value, steps)
    elif names := _changeable(type(value)):
        parts = [(name, getattr(value, name)) for name in names]
        steps.append(partial(_assign, value, parts))
        for _, part in parts:
            _keep(part, steps)


def _keep_parts(parts: Iterable[Any], steps: list[_Step]) -> None:
    """Of collections in collections only entries are changed in place, never the JSON of a schema."""
    for part in parts:
        if _changeable(type(part)):
            _keep(part, steps)


def _changeable(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass that is not frozen; of everything else none."""
    known = _FIELDS.get(kind)
    if known is None:
        frozen = not is_dataclass(kind) or kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        known = _FIELDS[kind] = () if frozen else tuple(one.name for one in fields(kind))
    return known


def _assign(entry: object, values: list[tuple[str, Any]]) -> None:
    for name, value in values:
        setattr(entry, name, value)


def _refill(entries: dict[Any, Any], before: dict[Any, Any]) -> None:
    entries.clear()
    entries.update(before)
