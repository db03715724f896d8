"""Step four: hold a page against the memory. What is equal is dropped; the rest gets its sequence (`page` says how)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress

import structlog

from exchange.clock import Clock
from exchange.connect.reading import FaultyRow, SourceRow
from exchange.errors import ExchangeError
from exchange.faults.log import Faults, Settled
from exchange.intake.encode import MOST_SEQUENCE, Outgoing, hash_of
from exchange.intake.memory.known import Hashes
from exchange.intake.memory.memory import Memory
from exchange.intake.page import DecidedPage, Decisions, Reading
from exchange.intake.prepare import Failed, Preparer
from exchange.intake.unchanged.digests import RowDigests
from exchange.stages import Stage

_NEVER = 1 << 63
_UNKNOWN: Hashes = ("", 0, None, None)
_MAPPED_EVERY = 64
"""One of so many rows that are as they were is mapped all the same, another one at each whole reading, so that a
mapping that gives two records for one row is found out."""
_log = structlog.get_logger("exchange.intake")


class Decider:
    """Decides about pages of one source."""

    def __init__(self, preparer: Preparer, memory: Memory, faults: Faults, clock: Clock, digests: RowDigests) -> None:
        self._preparer = preparer
        self._memory = memory
        self._faults = faults
        self._clock = clock
        self._digests = digests

    def decide(self, rows: Sequence[SourceRow | FaultyRow], reading: Reading | None) -> Decisions:
        """What the rows of a page mean. reading: the whole reading that brings it.

        Raises ExchangeError(E_CONNECTOR) when the declaration is at fault; nothing has happened then.
        """
        rows, strange = _told_apart(rows)
        page = _Page(rows, reading, self._memory.known.hashes([row.key for row in rows if row.key is not None]))
        page.digests = self._digests.of(rows)
        if self._memory.unsteady != self._digests.version:
            page.pass_over()
        prepared = self._preparer.prepare(
            page.rest, page.told, reading is not None and reading.pages == 0, len(page.equal)
        )
        prepared.failed += strange
        self._hold(page, prepared.records)
        page.news += _told_rows(rows, page.told) if page.told else ()
        decided = DecidedPage(self._memory, self._clock.now(), reading)
        decided.begin(page.equal, page.news, prepared.failed)
        for key, row, found in page.news:
            decided.take(key, row, found)
        for failed in prepared.failed:
            decided.fail(failed)
        if reading is not None:
            reading.pages += 1
            reading.rows += len(rows) + len(strange)
            reading.equal += len(page.equal)
        decisions = decided.end(self._faults)
        decisions.changes.digests = page.learnt
        return decisions

    def _hold(self, page: "_Page", records: Sequence[tuple[SourceRow, Outgoing]]) -> None:
        """Hold the records of a page against what was sent."""
        named = [(row.key or out.key.decode("ascii"), row, out) for row, out in records]
        hashes = page.hashes
        if len(page.keys) < len(page.rows):
            hashes |= self._memory.known.hashes([key for key, row, _ in named if row.key is None])
        digests, changing = page.digest_of(), page.changing([key for key, _, _ in named])
        for one in named:
            key, row, out = one
            out.digest = digests[id(row)]
            _, number, hash_, digest = hashes.get(key, _UNKNOWN)
            same = hash_ is not None and out.value is not None and hash_ == hash_of(out.value)
            as_it_was = digest is not None and digest == out.digest
            if as_it_was and not same and hash_ is not None and out.value is not None:
                self._note_unsteady()
            if not same or key in changing or page.is_wanted(key, out):
                page.news.append(one)
            else:
                page.equal.append((number, key))
                if not as_it_was and out.digest != digest:
                    page.learnt.append((out.digest, number))

    def _note_unsteady(self) -> None:
        """The mapping is no function of its row: from here on each row is mapped, until the mapping is another one."""
        version = self._digests.version
        if self._memory.unsteady != version:
            self._memory.note_unsteady(version)
            _log.warning("intake.mapping_unsteady", stage=Stage.INTAKE_MAP)

    def withdraw(self, ids: Sequence[int]) -> Decisions:
        """The withdrawal of rows that are gone from the source, by their ids in the memory."""
        page = DecidedPage(self._memory, self._clock.now(), None)
        page.withdraw_gone(ids)
        return page.end(self._faults)

    def settle_gone(self, identities: Sequence[str]) -> Decisions:
        """Rows that were set aside are no longer in the source."""
        page = DecidedPage(self._memory, self._clock.now(), None)
        page.settled = dict.fromkeys(identities, Settled.GONE)
        return page.end(self._faults)


class _Page:
    """A page on its way: the rows that are passed over, those that are mapped, and which of these are news."""

    def __init__(
        self, rows: Sequence[SourceRow | FaultyRow], reading: Reading | None, hashes: dict[str, Hashes]
    ) -> None:
        self.rows = self.rest = rows
        self.hashes = hashes
        self.keys = [row.key for row in rows if row.key is not None]
        self.told = frozenset(
            row.key for row in rows if isinstance(row, SourceRow) and row.withdrawn and row.key in hashes
        )
        """Keys of withdrawn rows that the memory knows."""
        self.digests: Sequence[bytes | None] = ()
        self.equal: list[tuple[int, str]] = []
        """(id, key) of rows whose record is the one that was sent."""
        self.news: list[tuple[str, SourceRow, Outgoing | None]] = []
        self.learnt: list[tuple[bytes | None, int]] = []
        self._reading = reading
        self._since = _NEVER if reading is None or reading.since is None else reading.since
        self._again = frozenset[str]() if reading is None else reading.again

    def pass_over(self) -> None:
        """Leave out of `rest` the rows that are as they were when the record that Kafka has was made of them."""
        reading, hashes = self._reading, self.hashes
        if (reading is not None and reading.afresh) or self.changing(self.keys):
            return
        turn = -1 if reading is None else reading.number % _MAPPED_EVERY
        rest = [True] * len(self.rows)
        for at, (row, digest) in enumerate(zip(self.rows, self.digests, strict=True)):
            key = row.key
            if digest is None or key is None:
                continue
            _, number, hash_, known = hashes.get(key, _UNKNOWN)
            if digest == known and hash_ is not None and number % _MAPPED_EVERY != turn and _is_sent(row):
                rest[at] = False
                self.equal.append((number, key))
        if self.equal:
            self.rest = list(compress(self.rows, rest))

    def digest_of(self) -> Mapping[int, bytes | None]:
        """The digests of the rows by the ids of their objects."""
        return dict(zip(map(id, self.rows), self.digests, strict=True))

    def changing(self, keys: Sequence[str]) -> frozenset[str]:
        """Keys of which several lines stand in the page, which are taken one after the other, equal or not."""
        if (self._reading is not None and self._reading.once) or len(set(keys)) == len(keys):
            return frozenset()
        return frozenset(key for key, number in Counter(keys).items() if number > 1)

    def is_wanted(self, key: str, out: Outgoing) -> bool:
        """Whether somebody asks for the record to be sent again."""
        if out.sequence >= self._since:
            return True
        return bool(self._again) and (key in self._again or out.key.decode("ascii") in self._again)


def _is_sent(row: SourceRow | FaultyRow) -> bool:
    """Whether a row whose record can be made is sent: it is not withdrawn, and its sequence is one."""
    if isinstance(row, FaultyRow) or row.withdrawn or row.sequence is None:
        return False
    return 0 <= row.sequence <= MOST_SEQUENCE


def _told_apart(rows: Sequence[SourceRow | FaultyRow]) -> tuple[Sequence[SourceRow | FaultyRow], list[Failed]]:
    """The rows whose keys the memory can hold, and the others: a lone surrogate is no text."""
    if all(row.key is None or row.key.isascii() for row in rows):
        return rows, []
    good = [row for row in rows if row.key is None or _is_text(row.key)]
    error = ExchangeError("E_ROW_UNMAPPED", "the key of the row is no Unicode text")
    return good, [Failed(row, error) for row in rows if row.key is not None and not _is_text(row.key)]


def _told_rows(
    rows: Sequence[SourceRow | FaultyRow], told: frozenset[str]
) -> Iterator[tuple[str, SourceRow, Outgoing | None]]:
    """The withdrawn rows that the memory knows by their keys."""
    for row in rows:
        if isinstance(row, SourceRow) and row.withdrawn and row.key is not None and row.key in told:
            yield row.key, row, None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
