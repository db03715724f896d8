"""What connectors have set aside, for the first page: a department sees its own alone, an operator sees all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from exchange.broker.demands.state import acts_for
from exchange.broker.evidence.said import Said
from exchange.intake.report import SourceState
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import Department, RecordType
from exchange.web.access import Caller
from exchange.web.guard.rights import OPERATOR


@dataclass(frozen=True, slots=True)
class Waiting:
    """One connector that has set something aside, or that does not work."""

    side: str
    """`source` or `sink`."""
    department: Department
    name: str
    """The connector of a source; of a sink its grant."""
    record_type: RecordType
    count: int
    of: int
    since: datetime | None
    """Since when the oldest waits, where that is told."""
    state: str
    """Of a source, `working`, `away` or `stopped`; of a sink `working`."""


def waiting(said: Said | None, state: LedgerState, caller: Caller) -> list[Waiting]:
    """What waits for the caller, the most first. said: None where it is not looked at."""
    if said is None:
        return []
    found = [one for one in _all(said, state) if _concerns(state, caller, one.department)]
    return sorted(found, key=lambda one: (-one.count, one.department, one.name))


def _all(said: Said, state: LedgerState) -> Iterator[Waiting]:
    for record_type, sources in said.sources.items():
        for one in sources:
            told = one.report
            if told.set_aside or told.state is not SourceState.WORKING:
                counts = (told.set_aside, told.rows, told.set_aside_since)
                yield Waiting("source", one.department, told.connector, record_type, *counts, told.state.value)
    for grant, sink in said.sinks.items():
        entry = state.grants.get(grant)
        if sink.set_aside and entry is not None:
            holder, working = state.demands[entry.demand].demander, SourceState.WORKING.value
            counts = (sink.set_aside, sink.taken, None)
            yield Waiting("sink", holder, grant, entry.terms.record_type, *counts, working)


def _concerns(state: LedgerState, caller: Caller, owner: Department) -> bool:
    if caller.department is not None:
        return acts_for(state, caller.department, owner)
    return caller.role == OPERATOR
