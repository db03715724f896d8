"""Step four: hold a page against the memory. What is equal is dropped; the rest gets its sequence (`page` says how)."""

from collections.abc import Iterator, Sequence

from exchange.clock import Clock
from exchange.connect.reading import FaultyRow, SourceRow
from exchange.errors import ExchangeError
from exchange.faults.log import Faults, Settled
from exchange.intake.encode import Outgoing, hash_of
from exchange.intake.memory.memory import Memory
from exchange.intake.page import DecidedPage, Decisions, Reading
from exchange.intake.prepare import Failed, Preparer

_NEVER = 1 << 63
_UNKNOWN: tuple[int, bytes | None] = (0, None)


class Decider:
    """Decides about pages of one source."""

    def __init__(self, preparer: Preparer, memory: Memory, faults: Faults, clock: Clock) -> None:
        self._preparer = preparer
        self._memory = memory
        self._faults = faults
        self._clock = clock

    def decide(self, rows: Sequence[SourceRow | FaultyRow], reading: Reading | None) -> Decisions:
        """What the rows of a page mean. reading: the whole reading that brings it.

        Raises ExchangeError(E_CONNECTOR) when the declaration is at fault; nothing has happened then.
        """
        rows, strange = _told_apart(rows)
        known = self._memory.known
        keys = [row.key for row in rows if row.key is not None]
        hashes = known.hashes(keys)
        told = frozenset(row.key for row in rows if isinstance(row, SourceRow) and row.withdrawn and row.key in hashes)
        prepared = self._preparer.prepare(rows, told, reading is not None and reading.pages == 0)
        prepared.failed += strange
        named = [(row.key or out.key.decode("ascii"), row, out) for row, out in prepared.records]
        if len(keys) < len(rows):
            hashes |= known.hashes([key for key, row, _ in named if row.key is None])
        news: list[tuple[str, SourceRow, Outgoing | None]] = []
        equal: list[tuple[int, str]] = []
        since = _NEVER if reading is None or reading.since is None else reading.since
        again = frozenset() if reading is None else reading.again
        for one in named:
            key, _, out = one
            number, hash_ = hashes.get(key, _UNKNOWN)
            same = hash_ is not None and out.value is not None and hash_ == hash_of(out.value)
            if not same or out.sequence >= since or (again and (key in again or out.key.decode("ascii") in again)):
                news.append(one)
            else:
                equal.append((number, key))
        news += _told_rows(rows, told) if told else ()
        page = DecidedPage(self._memory, self._clock.now(), reading)
        page.begin(equal, news, prepared.failed)
        for key, row, found in news:
            page.take(key, row, found)
        for failed in prepared.failed:
            page.fail(failed)
        if reading is not None:
            reading.pages += 1
            reading.rows += len(rows) + len(strange)
            reading.equal += len(equal)
        return page.end(self._faults)

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
