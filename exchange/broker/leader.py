"""The leader says in the ledger where it takes commands, so that followers can send them on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import said


@dataclass(frozen=True, slots=True)
class AnnounceLeader:
    """Name the leader and its address. Nothing when the ledger names both: once per change, not per term."""

    worker: str
    url: str

    def __call__(self, state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        """The `leader-announced`."""
        if (state.leader_worker, state.leader_url) == (self.worker, self.url):
            return ()
        return said("leader-announced", self.worker, worker=self.worker, url=self.url)
