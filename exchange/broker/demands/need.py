"""One need is one demand: what a department needs of a resource for one scenario, it demands at once.

The satisfaction rate counts demands. Were a need demanded in parts (some fields, some rows, twice), the parts that are
easily served would count as if they were needs of their own.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.asked import Asked, code_of
from exchange.broker.demands.state import is_open
from exchange.errors import ExchangeError
from exchange.ledger.state.demand_index import plain, same, same_end
from exchange.ledger.state.ledger_state import DemandEntry, LedgerState
from exchange.ledger.store.command import Draft
from exchange.names import DemandId


@dataclass(frozen=True, slots=True)
class Need:
    """What is asked for, for which scenario and time."""

    asked: Asked
    scenario: str
    use_from: datetime | None
    use_until: datetime | None


def check_single(state: LedgerState, need: Need, now: datetime, beside: Collection[DemandId] = ()) -> None:
    """Raise ExchangeError when the department has an open demand for the same, or for the same need at the same time.

    beside: the demands that do not count here, as they are this one, or give way to it.
    Raises ExchangeError: E_DEMAND_DUPLICATE for the same fields and rows, E_DEMAND_SPLIT for the same scenario.
    """
    asked, code = need.asked, code_of(need.asked)
    for other in _open(state, same(asked.record_type, code, asked.fields, asked.scope), asked, now):
        if other.demand not in beside and _same(other, asked):
            raise ExchangeError("E_DEMAND_DUPLICATE", f"{other.demand} is open")
    if not need.scenario:
        return  # it is incomplete, and waits for one
    for other in _open(state, same_end(asked.record_type, code, need.scenario), asked, now):
        if other.demand not in beside and _same_end(other, need) and _meet(other, need):
            raise ExchangeError("E_DEMAND_SPLIT", f"{other.demand} is open for the same scenario")


def replaced(state: LedgerState, demand: DemandId | None) -> Iterator[DemandEntry]:
    """The demand, and all whose place it was to take."""
    while demand is not None:
        entry = state.demands[demand]
        yield entry
        demand = entry.replaces


def in_line(state: LedgerState, demand: DemandId) -> frozenset[DemandId]:
    """The demand, those whose place it was to take, and those that are to take its place: at most one is served."""
    found = {one.demand for one in replaced(state, demand)}
    later = [demand]
    while later:
        following = state.replacements.get(later.pop(), ())
        found.update(following)
        later.extend(following)
    return frozenset(found)


def need_of(state: LedgerState, demand: DemandEntry) -> Need:
    """What a demand asks for as it stands."""
    resource, wanted = state.resources.get(demand.resource or ""), demand.details.get("provider")
    masks = dict(demand.masks)
    asked = Asked(demand.demander, resource, demand.record_type, demand.fields, masks, demand.scope, wanted)
    return Need(asked, demand.details.get("scenario", ""), demand.use_from, demand.use_until)


def say_withdrawn(draft: Draft, demand: DemandEntry, reason: str) -> None:
    """Say that a demand is withdrawn, and that each of its grants ends."""
    draft.say("demand-withdrawn", demand.demand, demand=demand.demand, reason=reason)
    for grant in demand.grants:
        if draft.state.grants[grant].ended is None:
            draft.say("grant-ended", grant, grant=grant, reason="withdrawn")


def _open(state: LedgerState, key: int, asked: Asked, now: datetime) -> Iterator[DemandEntry]:
    """The demander's open demands by a key of `exchange.ledger.state.demand_index`."""
    for other in (state.demands[one] for one in state.alike.of(key)):
        if (
            other.demander == asked.demander
            and other.record_type == asked.record_type
            and other.resource == code_of(asked)
            and is_open(state, other, now)
        ):
            yield other


def _same(other: DemandEntry, asked: Asked) -> bool:
    return (
        (asked.resource is not None or other.details.get("provider") == asked.wanted_provider)
        and set(other.fields) == set(asked.fields)
        and other.scope == asked.scope
    )


def _same_end(other: DemandEntry, need: Need) -> bool:
    """Whether both are for one scenario, and of one provider: nobody in particular may turn out to be any."""
    wanted = {other.details.get("provider"), need.asked.wanted_provider}
    from_one = need.asked.resource is not None or len(wanted) == 1 or None in wanted
    return from_one and plain(other.details.get("scenario", "")) == plain(need.scenario)


def _meet(other: DemandEntry, need: Need) -> bool:
    """Whether there is a time at which both count."""
    return _begins_before(need.use_from, other.use_until) and _begins_before(other.use_from, need.use_until)


def _begins_before(begin: datetime | None, end: datetime | None) -> bool:
    return begin is None or end is None or begin < end
