"""What the ledger wants delivered, as the line reads it between batches."""

from collections.abc import Mapping
from dataclasses import replace

from exchange.ledger.state.ledger_state import Heritage, LedgerState, ShareEntry
from exchange.ledger.state.ownership import heirs
from exchange.ledger.store.follower import LedgerFollower
from exchange.names import RecordType, ShareName

Shares = Mapping[ShareName, ShareEntry | None]
"""Every share that the ledger ever had of a record type; None = deleted."""
_NOTHING: Shares = {}


class LedgerShares:
    """The shares of the ledger by record type. Units read it in other threads."""

    def __init__(self, follower: LedgerFollower) -> None:
        self._follower = follower
        self._shares: dict[RecordType, Shares] = {}
        self._record_types: frozenset[RecordType] = frozenset()
        self._take_in()

    def poll(self) -> None:
        """Take in what is new in the ledger. Raises ExchangeError when it cannot be read or its chain does not hold."""
        if self._follower.poll():
            self._take_in()

    def record_types(self) -> frozenset[RecordType]:
        """Every record type that a department offers or that has a share."""
        return self._record_types

    def shares(self, record_type: RecordType) -> Shares:
        """The shares of a record type: the same object as long as none has come or gone."""
        return self._shares.get(record_type, _NOTHING)

    def _take_in(self) -> None:
        state = self._follower.state
        found: dict[RecordType, dict[ShareName, ShareEntry | None]] = {}
        for name, entry in state.shares.items():
            found.setdefault(entry.terms.record_type, {})[name] = None if entry.deleted else _inherited(entry, state)
        for record_type, shares in found.items():
            if shares != self.shares(record_type):
                self._shares[record_type] = shares
        offered = {resource.record_type for resource in state.resources.values()}
        self._record_types = frozenset(offered | self._shares.keys())


def _inherited(entry: ShareEntry, state: LedgerState) -> ShareEntry:
    """The share, with those who speak for its provider when that was merged into others."""
    successors = heirs(entry.terms.provider, state)
    if not successors:
        return entry
    provider = state.departments[entry.terms.provider]
    return replace(entry, heritage=Heritage(successors, provider.credit_code, provider.owns))
