"""The shares of one unit and where they are: waiting, in a backfill, in the live flow, suspended, gone.

A share enters when the unit first sees it in the ledger. It is backfilled, then it joins the live flow in the
transaction that records the join. It leaves when the ledger has deleted it. It is suspended when Kafka refuses its
topic, its terms fit no record, or its secret is missing; when the ledger tells that it was mended, it is backfilled
from where it was suspended. Whatever happens to a share, the others go on.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from exchange.delivery.backfill import Cursor, Pass
from exchange.delivery.cut import Holdings
from exchange.delivery.cutter import Cutter
from exchange.delivery.cutting.order import Order
from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.ledger_shares import Shares
from exchange.delivery.permit import Inherited, Share
from exchange.delivery.state import Backfilling, Counts, Joined, Place, UnitState
from exchange.delivery.writers import Writers
from exchange.errors import ExchangeError
from exchange.kafka.line.unit import Output, UnitId
from exchange.ledger.state.ledger_state import ShareEntry
from exchange.ledger.state.ownership import owned_by
from exchange.names import ShareName, TopicName, share_topic

_log = structlog.get_logger("exchange.delivery")

Open = Callable[[int], Cursor]
"""Opens a second way into the unit's registry partition, from an offset on."""


class UnitShares:
    """Changes the places and the books in `state`; `moved` names the shares whose place is to be written."""

    def __init__(self, unit: UnitId, writers: Writers, master: MasterSecret, state: UnitState, open_: Open) -> None:
        self.moved: set[ShareName] = set()
        self.holdings = Holdings(state.held)
        self._unit = unit
        self._writers = writers
        self._master = master
        self._state = state
        self._open = open_
        self._waiting: list[Share] = []
        """Shares that have not joined, in a pass or waiting for the next one."""
        self._pass: Pass | None = None
        self.live = self._cutter([])
        """The shares that take records as they come; their books move with every record."""
        self.backfilled = self._cutter([])
        """The shares of the pass that is under way."""

    def adopt(self, wanted: Shares) -> None:
        """Let go of shares that the ledger has deleted, take in new ones, take up those that were mended.

        Raises ExchangeError(E_UNIT_REBUILT) when the unit's former owner knew more of the ledger than we do: we would
        miss records.
        """
        known = [*self._state.joins, *self._state.backfills]
        if any(share not in wanted for share in known):
            raise ExchangeError("E_UNIT_REBUILT", "the ledger has not been read as far as the unit's shares")
        for name in known:
            if wanted[name] is None:
                self._leave(name)
        entries = [entry for entry in wanted.values() if entry is not None]
        self._arrange([share for share in map(self._adopted, entries) if share is not None])

    def suspend_unwritable(self, writable: Callable[[TopicName], bool]) -> None:
        """Suspend the shares whose topics Kafka refuses."""
        shares = [*self.live.shares, *self._waiting]
        kept = [share for share in shares if writable(share_topic(share.share))]
        if len(kept) < len(shares):
            for share in shares:
                if share not in kept:
                    self._suspend(share.share, "E_SHARE_UNWRITABLE")
            self._arrange(kept)

    def ready(self) -> bool:
        """Whether a backfill can get on."""
        return self._pass is not None and self._pass.ready(self._state.totals.next)

    def backfill(self, output: Output, moved: Counts) -> None:
        """Take the next step of the pass that is under way, if there is one. `moved`: as of Cutter.take."""
        if self._pass is None:
            return
        sent = {share.share: self._state.counts[share.share].forwarded for share in self.backfilled.shares}
        joins = self._pass.step(self._state.totals.next, self.backfilled, output, moved)
        for share in self.backfilled.shares:
            self._move(share.share, self._state.counts[share.share].forwarded - sent[share.share])
        if joins:
            self._join(self.backfilled.shares)

    def _arrange(self, shares: Iterable[Share]) -> None:
        """Put the shares that may take records where their places say."""
        live: list[Share] = []
        self._waiting = []
        for share in shares:
            (live if share.share in self._state.joins else self._waiting).append(share)
        self.live = self._cutter(live)
        passing = {share.share for share in self.backfilled.shares}
        kept = [share for share in self._waiting if share.share in passing]
        self.backfilled = self._cutter(kept)
        if not kept:
            self._next_pass()

    def _next_pass(self) -> None:
        """Those that are furthest go first, so that a pass that was interrupted goes on with the same shares."""
        if self._pass is not None:
            self._pass.close()
            self._pass = None
        if not self._waiting:
            return
        positions = {share.share: self._state.backfills[share.share].position for share in self._waiting}
        furthest = max(positions.values())
        self.backfilled = self._cutter([share for share in self._waiting if positions[share.share] == furthest])
        self._pass = Pass(self._open(furthest), furthest)
        names = [share.share for share in self.backfilled.shares]
        _log.info("delivery.backfill_began", shares=names, partition=self._unit.partition, offset=furthest)

    def _move(self, name: ShareName, sent: int) -> None:
        assert self._pass is not None
        place = self._state.backfills[name]
        end = max(self._state.totals.next, self._pass.end or 0)
        moved = replace(place, position=self._pass.position, end=end, sent=place.sent + sent)
        if moved != place:
            self._put(name, moved)

    def _join(self, shares: Iterable[Share]) -> None:
        totals, joined = self._state.totals, []
        for share in shares:
            place, ahead = self._state.backfills[share.share], self._state.counts[share.share].taken
            now = Joined(totals.next, totals.taken - ahead, place.number, None, place.recoveries, place.sent)
            self._put(share.share, now)
            joined.append(self._unfollowed(replace(share, followed=False)))
            _log.info(
                "delivery.share_joined",
                share=share.share,
                partition=self._unit.partition,
                offset=totals.next,
                backfilled=place.sent,
            )
        names = {share.share for share in joined}
        self._arrange([*self.live.shares, *joined, *(share for share in self._waiting if share.share not in names)])

    def _unfollowed(self, share: Share) -> Share:
        """Forget who holds what of a share in the live flow that need not know."""
        if not share.tracked:
            self._state.held.pop(share.number, None)
        return share

    def _adopted(self, entry: ShareEntry) -> Share | None:
        """The share; None when it is suspended."""
        place = self._current(entry)
        if place.suspended is not None:
            return None
        try:
            share = self._share(entry, place)
        except ExchangeError as error:
            if error.code != "E_MASTER_SECRET":
                raise
            self._suspend(entry.share, error.code)
            return None
        if not self._writers.fit(share):
            self._suspend(entry.share, "E_SHARE_TERMS")
            return None
        return self._unfollowed(share)

    def _current(self, entry: ShareEntry) -> Place:
        """The place of a share, entered if it is new and taken up again if it was mended."""
        self._state.counts.setdefault(entry.share, Counts())
        place = self._state.place(entry.share)
        if place is None:
            self._state.totals = totals = replace(self._state.totals, numbers=self._state.totals.numbers + 1)
            return self._put(entry.share, Backfilling(totals.numbers, 0, totals.next, recoveries=entry.recoveries))
        if place.recoveries >= entry.recoveries:
            return place
        if isinstance(place, Joined) and place.suspended is not None:
            position = place.stopped if place.stopped is not None else place.joined
            end, sent = self._state.totals.next, place.backfilled
            place = Backfilling(place.number, position, end, sent, again=True)
            _log.info("delivery.share_taken_up", share=entry.share, partition=self._unit.partition, offset=position)
        return self._put(entry.share, replace(place, suspended=None, recoveries=entry.recoveries))

    def _suspend(self, name: ShareName, code: str) -> None:
        place = self._state.place(name)
        if isinstance(place, Joined):
            self._put(name, replace(place, suspended=code, stopped=self._state.totals.next))
        elif place is not None:
            self._put(name, replace(place, suspended=code))
        _log.error("delivery.share_suspended", share=name, partition=self._unit.partition, code=code)

    def _leave(self, name: ShareName) -> None:
        gone = self._state.place(name)
        if gone is not None:
            self._state.held.pop(gone.number, None)
        self._state.put(name, None)
        self.moved.add(name)
        _log.info("delivery.share_left", share=name, partition=self._unit.partition)

    def _put(self, name: ShareName, place: Place) -> Place:
        self._state.put(name, place)
        self.moved.add(name)
        return place

    def _share(self, entry: ShareEntry, place: Place) -> Share:
        personal, terms = self._writers.personal, entry.terms
        keyed = personal or terms.pseudonymous or "pseudonym" in dict(terms.masks).values()
        secret = self._master.of_share(entry.share, entry.master_version) if keyed else None
        followed = isinstance(place, Backfilling) and not place.again
        written = self._state.counts[entry.share]
        order = Order(written.forwarded + written.retracted, secret or b"")
        cut = (entry.schema_id, entry.schema, personal, secret, followed, order)
        return Share(entry.share, place.number, terms, *cut, self._inherited(entry))

    def _inherited(self, entry: ShareEntry) -> Inherited | None:
        if entry.heritage is None or self._writers.rules is None:
            return None
        return Inherited(entry.heritage.heirs, owned_by(self._writers.rules, [entry.heritage]))

    def _cutter(self, shares: Iterable[Share]) -> Cutter:
        return Cutter(shares, self._writers, self._state, self.holdings, self._unit.partition)
