"""The live flow of one unit: which shares it delivers to, and the cuts compiled for them.

A share joins when the unit first sees it in the ledger, at the next offset to take; what stood in the registry before
is not offered to it. It leaves when the ledger has deleted it, or is suspended when Kafka refuses its topic or its
terms fit no record; either way the others go on.
"""

from collections.abc import Iterable
from dataclasses import replace

import structlog

from exchange.delivery.cut import Cut, Holdings, compile_cut
from exchange.delivery.permit import Share
from exchange.delivery.pseudonym import MasterSecret
from exchange.delivery.retract import Retractor
from exchange.delivery.state import Counts, Joined, UnitState
from exchange.delivery.wanted import Shares
from exchange.delivery.writers import Writers
from exchange.errors import ExchangeError
from exchange.kafka.unit import UnitId
from exchange.ledger.state import ShareEntry
from exchange.names import SchemaId, ShareName

_log = structlog.get_logger("exchange.delivery")


class Flow:
    """Changes `state.joins` and `state.counts`; `moved` names the shares whose place is to be written."""

    def __init__(self, unit: UnitId, writers: Writers, master: MasterSecret, state: UnitState) -> None:
        self.live: list[Share] = []
        """The shares that take records, in the order of their numbers; their books move with every record."""
        self.moved: set[ShareName] = set()
        self.holdings = Holdings(state.held)
        self._unit = unit
        self._writers = writers
        self._master = master
        self._state = state
        self._cuts: dict[SchemaId, Cut] = {}
        self._retractor: Retractor | None = None

    def adopt(self, wanted: Shares) -> None:
        """Let go of shares that the ledger has deleted, then let new ones join.

        Raises ExchangeError: E_MASTER_SECRET when a share needs the master secret and this process has none;
        E_UNIT_REBUILT when the unit's former owner knew more of the ledger than we do: it would miss records.
        """
        if not self._state.joins.keys() <= wanted.keys():
            raise ExchangeError("E_UNIT_REBUILT", "the ledger has not been read as far as the unit's shares")
        for share in [share for share in self._state.joins if wanted[share] is None]:
            self._leave(share)
        entries = [entry for entry in wanted.values() if entry is not None]
        live = [share for share in map(self._adopted, entries) if share is not None]
        self.live = sorted(live, key=lambda share: share.number)
        self._compile_again()

    def suspend(self, shares: Iterable[ShareName], code: str) -> None:
        """Leave shares out for good: they would miss records if they came back."""
        for name in shares:
            self._state.joins[name] = replace(self._state.joins[name], suspended=code)
            self.moved.add(name)
            _log.error("delivery.share_suspended", share=name, partition=self._unit.partition, code=code)
        self.live = [share for share in self.live if self._state.joins[share.share].suspended is None]
        self._compile_again()

    def cut(self, schema_id: SchemaId) -> Cut:
        """The cut for records of one version. Raises ExchangeError(E_REGISTRY_DAMAGED) for an unknown version."""
        cut = self._cuts.get(schema_id)
        if cut is None:
            schema = self._writers.schema(schema_id)
            cut = compile_cut(schema_id, schema, self.live, self.holdings, self._unit.partition)
            self._cuts[schema_id] = cut
        return cut

    @property
    def retractor(self) -> Retractor:
        """What sends tombstones to the live shares."""
        if self._retractor is None:
            self._retractor = Retractor(self.live, self.holdings, self._unit.partition)
        return self._retractor

    def _compile_again(self) -> None:
        self._cuts = {}
        self._retractor = None

    def _adopted(self, entry: ShareEntry) -> Share | None:
        """The share in the flow; None when it is suspended or its terms fit no record."""
        joined = self._state.joins.get(entry.share)
        if joined is not None and joined.suspended is not None:
            return None
        share = self._share(entry, joined.number if joined is not None else self._state.totals.numbers + 1)
        if not self._writers.fit(share):
            _log.error("delivery.share_unfit", share=share.share, partition=self._unit.partition, code="E_SHARE_TERMS")
            if joined is not None:
                self.suspend([share.share], "E_SHARE_TERMS")
            return None
        if joined is None:
            self._join(share)
        return share

    def _join(self, share: Share) -> None:
        totals = replace(self._state.totals, numbers=share.number)
        self._state.totals = totals
        self._state.joins[share.share] = Joined(totals.next, totals.taken, share.number)
        self._state.counts[share.share] = Counts()
        self.moved.add(share.share)
        _log.info("delivery.share_joined", share=share.share, partition=self._unit.partition, offset=totals.next)

    def _leave(self, share: ShareName) -> None:
        gone = self._state.joins.pop(share)
        self._state.held.pop(gone.number, None)
        self.moved.add(share)
        _log.info("delivery.share_left", share=share, partition=self._unit.partition)

    def _share(self, entry: ShareEntry, number: int) -> Share:
        personal = self._writers.personal
        keyed = personal or entry.terms.pseudonymous or "pseudonym" in dict(entry.terms.masks).values()
        secret = self._master.of_share(entry.share, entry.master_version) if keyed else None
        return Share(entry.share, number, entry.terms, entry.schema_id, entry.schema, personal, secret)
