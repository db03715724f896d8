"""The rate at the present: a demand is judged again when something has happened to it, so asking costs little."""

import threading
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Protocol, TypeVar

from exchange.broker.rate.satisfaction import Judged, counts, judge
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import DemandId

T = TypeVar("T")
_PART = 200
"""Demands that are judged for the first time while the ledger is held: about a millisecond."""


class Read(Protocol):
    """Asks the ledger's state; nothing changes meanwhile."""

    def __call__(self, question: Callable[[LedgerState], T], /) -> T:
        """What `question` says of the state."""
        ...


class Present:
    """What every demand that counts is, in the newest state. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: LedgerState | None = None
        self._known: dict[DemandId, tuple[int, Judged]] = {}
        """What a demand was judged to be, and how many events it had then: with its grants' and shares', all it has."""

    def judged(self, read: Read, at: datetime) -> list[Judged]:
        """As `satisfaction.judged`, of one moment of the ledger."""
        with self._lock:
            while read(self._learn):
                pass  # the ledger is held for a part of it at a time
            return read(lambda state: [self._judge(state, name) for name in _counting(state, at)])

    def _learn(self, state: LedgerState) -> bool:
        """Judge some demands that were not judged before; whether there were any."""
        if state is not self._state:
            self._state, self._known = state, {}
        if len(self._known) >= len(state.demands):
            return False
        new = list(islice(state.demands, len(self._known), len(self._known) + _PART))
        for name in new:
            self._judge(state, name)
        return bool(new)

    def _judge(self, state: LedgerState, name: DemandId) -> Judged:
        demand = state.demands[name]
        events = len(demand.history)
        known = self._known.get(name)
        if known is None or known[0] != events:
            known = self._known[name] = (events, judge(state, demand))
        return known[1]


def _counting(state: LedgerState, at: datetime) -> list[DemandId]:
    return [name for name, demand in state.demands.items() if counts(demand, at)]
