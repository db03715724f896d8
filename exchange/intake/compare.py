"""The comparison: a whole reading held against the memory. What is missing or changed is sent, what is gone withdrawn.

Nothing is withdrawn by a reading that broke off, by one that does not bring all, and, unless somebody confirms it, by
one that would withdraw more than the settings allow or that brought no row at all. Memory is flat: a bit for each row
that the memory knows (1.25 MB for 10 million rows), and 8 bytes for each row that is gone.
"""

import threading
from array import array
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import structlog

from exchange.clock import Clock, Deadline
from exchange.connect.reading import Cursor
from exchange.intake.collect import Collector
from exchange.intake.memory.known import Seen
from exchange.intake.memory.memory import Changes, Compared, Memory, Versions
from exchange.intake.page import Reading
from exchange.intake.take import Taker
from exchange.observe import metrics
from exchange.stages import Stage

_AT_ONCE = 5_000
"""Rows that are withdrawn together."""
_SETTLED_SECONDS = 60.0
"""After so long every row that was not settled when the whole reading began has come along the cursor, if ever."""
_log = structlog.get_logger("exchange.intake")


@dataclass(frozen=True, slots=True)
class Order:
    """What a whole reading is to do beyond comparing."""

    confirmed: bool = False
    """Whether it may withdraw as much as is gone."""
    since: int | None = None
    """Rows with this sequence and greater ones are sent again."""
    again: frozenset[str] = frozenset()
    """Row or natural keys that are sent again."""
    afresh: bool = False
    """Whether each row is mapped, also one that is as it was."""
    replayed: frozenset[str] = frozenset()
    """Items of the faults log that are announced again when they still wait, or `all`."""


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a comparison acts."""

    part: float
    """Part of the rows that it withdraws without asking."""
    rows: int
    """Rows that it withdraws without asking, whatever part they are."""
    poll_seconds: float
    record_type: str
    mapping: str
    """Version of mapping and schema: what changes with it was not missed by the cursor."""


class Comparer:
    """Compares one source with its memory."""

    def __init__(
        self, connector: str, collector: Collector, taker: Taker, memory: Memory, terms: Terms, clock: Clock
    ) -> None:
        self._connector = connector
        self._collector = collector
        self._taker = taker
        self._memory = memory
        self._terms = terms
        self._clock = clock

    def compare(self, order: Order, follows: bool, stop: threading.Event, alive: Callable[[], None]) -> bool:
        """Make a whole reading and act on it. False when `stop` came first.

        follows: whether the source has a cursor, so that what is found was missed by it. alive: called between pages.
        Raises ExchangeError as the reader does: what was sent until then stays sent, and nothing is withdrawn.
        """
        memory, reader = self._memory, self._collector.reader
        versions = Versions(reader.fingerprint, self._terms.mapping)
        judged = follows and memory.whole and memory.cursor is not None and memory.versions.leads_on(versions)
        live, most = memory.known.count_live(), memory.known.most
        number = memory.begin_reading()
        reading = Reading(Seen(most), once=reader.brings_all)
        reading.since, reading.again, reading.replayed = order.since, order.again, order.replayed
        reading.afresh, reading.number = order.afresh, number
        cursor = self._read(reading, stop, alive)
        if cursor is None:
            return False
        compared = Compared(self._clock.now(), reading.rows, reading.equal)
        if reader.brings_all:
            gone = memory.known.not_in(reading.seen, most)
            self._judge(compared, gone, live, reading, order)
            if not self._withdraw(gone if not compared.held else array("q"), stop) or not self._settle(number, stop):
                return False
        if judged and not self._follow(reading, stop):
            return False
        compared.missing, compared.changed = reading.count(missing=True), reading.count(missing=False)
        if judged and memory.versions == versions:
            for kind in ("missing", "changed", "gone"):
                metrics.count_missed(self._connector, self._terms.record_type, kind, getattr(compared, kind))
        memory.end_reading(compared, versions)
        if not judged:
            memory.book(Changes(), cursor)
        self._tell(compared)
        return True

    def _read(self, reading: Reading, stop: threading.Event, alive: Callable[[], None]) -> Cursor | None:
        """Take all pages; the cursor of the last one, or None when `stop` came first."""
        cursor = None
        with closing(self._collector.whole(stop)) as pages:
            for page in pages:
                given = page.rows or page.cursor  # neither while the reader waits for something
                if stop.is_set() or (given and not self._taker.take(page.rows, stop, reading)):
                    return None
                cursor = page.cursor
                alive()
        return cursor

    def _judge(self, compared: Compared, gone: "array[int]", live: int, reading: Reading, order: Order) -> None:
        """Whether what is gone is withdrawn, or held and why."""
        compared.gone = len(gone)
        most = max(self._terms.rows, int(self._terms.part * live))
        if not gone:
            return
        if reading.unknown_faulty:
            why = f"{reading.unknown_faulty:,} rows cannot be read and have no key: what is gone may be among them"
            compared.held, compared.why = len(gone), why
        elif not order.confirmed and (reading.rows == 0 or len(gone) > most):
            compared.held, compared.asks = len(gone), True
            compared.why = f"of {live:,} rows {len(gone):,} are gone, more than {most:,}"

    def _withdraw(self, gone: "array[int]", stop: threading.Event) -> bool:
        some = (gone[at : at + _AT_ONCE].tolist() for at in range(0, len(gone), _AT_ONCE))
        return all(not stop.is_set() and self._taker.withdraw(ids, stop) for ids in some)

    def _settle(self, number: int, stop: threading.Event) -> bool:
        """Rows that were set aside and are no longer there wait no longer."""
        while unseen := self._memory.waiting.unseen(number, _AT_ONCE):
            if not self._taker.settle_gone(unseen, stop):
                return False
        return True

    def _follow(self, reading: Reading, stop: threading.Event) -> bool:
        """Go on along the cursor of before: a row that it brings too was new, and not missed."""
        reader, settled = self._collector.reader, Deadline.after(_SETTLED_SECONDS)
        while not stop.is_set():
            cursor = self._memory.cursor
            page = self._collector.page(cursor if cursor is not None else {}, stop)
            if page is not None:
                if not self._taker.take(page.rows, stop, cursor=page.cursor):
                    return False
                for row in page.rows:
                    if row.key is not None:
                        reading.found.pop(row.key, None)
            elif not reading.found or not reader.waiting or settled.passed:
                return not stop.is_set()
            else:
                stop.wait(self._terms.poll_seconds)
        return False

    def _tell(self, compared: Compared) -> None:
        log = _log.warning if compared.held else _log.info
        log(
            "intake.compared",
            stage=Stage.INTAKE_COLLECT,
            rows=compared.rows,
            equal=compared.equal,
            missing=compared.missing,
            changed=compared.changed,
            gone=compared.gone,
            held=compared.held,
            why=compared.why,
        )
