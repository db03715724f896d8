"""A page while it is decided: the part of the memory that it touches, and what becomes of it.

What a row means:

- equal to what was sent: nothing; if it was set aside, that is settled;
- changed: the record again, with the greater of its own sequence and the last one of its natural key plus one, and with
  nothing below the memory's floor;
- another natural key than before: the old one is withdrawn, unless another row has it by now, and the new one sent;
- a natural key that another row has: the later of the two rows by their sequences has it (of equal ones that which had
  it), the other is set aside until the key is free;
- withdrawn: its natural key is withdrawn, which the memory knows or the mapping tells;
- not readable, not mapped or not encoded: set aside, and what was sent of it before stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b

from exchange.connect.reading import FaultyRow, SourceRow
from exchange.errors import ExchangeError
from exchange.faults.log import Faults, Settled, item_of
from exchange.intake.encode import Outgoing, hash_of
from exchange.intake.memory.known import Known, Seen
from exchange.intake.memory.memory import Changes, Memory
from exchange.intake.memory.waiting import Waiting
from exchange.intake.prepare import Failed

ANNOUNCED_AGAIN = timedelta(days=7)
"""After so long a row that still waits stands in the faults topic once more: the topic keeps entries for a time."""
MOST_FOUND = 100_000
"""Rows that a comparison found and that are kept by their keys, so that memory stays flat."""
_ANOTHER_HAS_IT = "another row has the same natural key"
_HASH_BYTES = 16


@dataclass(slots=True)
class Reading:
    """What a whole reading has brought so far."""

    seen: Seen
    number: int = 0
    """Which of the source's whole readings it is."""
    pages: int = 0
    rows: int = 0
    equal: int = 0
    unknown_faulty: int = 0
    """Rows that could not be read and that no key ties to the memory: any row that is gone may be one of them."""
    once: bool = True
    """Whether a row stands once in the source. In a file of changes a later line of a key follows the one before."""
    found: dict[str, bool] = field(default_factory=dict)
    """Row keys that the memory did not know (True) or of which it knew another record (False)."""
    more: list[int] = field(default_factory=lambda: [0, 0])
    """How many more there are of both kinds (changed, missing) than are kept by their keys."""
    since: int | None = None
    """Rows with this sequence and greater ones are sent again, equal or not."""
    again: frozenset[str] = frozenset()
    """Row or natural keys that are sent again, equal or not."""
    afresh: bool = False
    """Whether each row is mapped, also one that is as it was."""
    replayed: frozenset[str] = frozenset()
    """Items of the faults log that are announced again when they still wait, or `all`."""

    def count(self, missing: bool) -> int:
        """How many rows the memory did not know, or else knew otherwise."""
        return sum(kind is missing for kind in self.found.values()) + self.more[missing]

    def note(self, key: str, missing: bool) -> None:
        """A row that the memory did not know, or knew otherwise."""
        if len(self.found) < MOST_FOUND:
            self.found[key] = missing
        else:
            self.more[missing] += 1


@dataclass(slots=True)
class Decisions:
    """What is to be done about a page."""

    records: list[Outgoing] = field(default_factory=list)
    faults: list[bytes] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    freed: list[str] = field(default_factory=list)
    """Natural keys that were withdrawn."""

    def __repr__(self) -> str:
        return f"Decisions({len(self.records)} records, {len(self.faults)} faults)"


class DecidedPage:
    """A page while it is decided. `begin` and `withdraw_gone` load what it touches, `end` gives what is to be done."""

    def __init__(self, memory: Memory, now: datetime, reading: Reading | None) -> None:
        self._memory = memory
        self._now = now
        self._reading = reading
        self._by_key: dict[str, Known] = {}
        self._by_natural: dict[str, list[Known]] = {}
        self._touched: dict[int, Known] = {}
        self._waiting: dict[str, Waiting] = {}
        self._aside: dict[str, tuple[Waiting, ExchangeError, SourceRow | FaultyRow | None]] = {}
        self.settled: dict[str, Settled] = {}
        self._seen: set[int] = set()
        self._decisions = Decisions()

    def begin(
        self,
        equal: Sequence[tuple[int, str]],
        news: Sequence[tuple[str, SourceRow, Outgoing | None]],
        failed: Sequence[Failed],
    ) -> None:
        """Load what the memory knows of the rows that are not equal."""
        keys = [key for key, _, _ in news]
        keys += [_identity(one) for one in failed] + [one.natural_key for one in failed if one.natural_key]
        naturals = {out.key.decode("ascii") for _, _, out in news if out is not None}
        self._load(keys, naturals)
        if self._reading is not None:
            self._reading.seen.add(number for number, _ in equal)
        if news and self._reading is not None:
            self._seen.update(number for number, _ in equal)
        if self._memory.waiting.count:
            equal_keys = [key for _, key in equal]
            self._waiting = self._memory.waiting.of([*equal_keys, *keys])
            self.settled = {key: Settled.SUBMITTED for key in equal_keys if key in self._waiting}

    def withdraw_gone(self, ids: Sequence[int]) -> None:
        """Withdraw rows that are gone."""
        self._load([], {row.natural_key for row in self._memory.known.by_id(ids)})
        gone = set(ids)
        for row in [one for rows in self._by_natural.values() for one in rows if one.id in gone]:
            self._withdraw(row, 0)
            if row.row_key is not None:
                self.settled[row.row_key] = Settled.GONE
        self._waiting = self._memory.waiting.of(list(self.settled))
        self.settled = {key: how for key, how in self.settled.items() if key in self._waiting}

    def _load(self, keys: Sequence[str], naturals: set[str]) -> None:
        known = self._memory.known
        found = {one.id: one for one in known.by_row_key(keys)} if keys else {}
        naturals |= {one.natural_key for one in found.values()}
        for one in known.by_natural_key(list(naturals)) if naturals else ():
            found.setdefault(one.id, one)
        for one in found.values():
            self._put(one)

    def _put(self, one: Known) -> None:
        if one.row_key is not None:
            self._by_key[one.row_key] = one
        self._by_natural.setdefault(one.natural_key, []).append(one)

    # what a row means

    def take(self, key: str, row: SourceRow, out: Outgoing | None) -> None:
        """A row that is not equal to what was sent, or that is withdrawn. out: None when the memory knows its key."""
        known = self._by_key.get(key)
        if out is None or out.value is None:
            self._take_withdrawn(key, row, known, out)
            return
        natural, hash_ = out.key.decode("ascii"), hash_of(out.value)
        if known is not None and known.id in self._touched and known.hash == hash_:
            return  # the same row stands twice in the page
        if known is not None and self._is_repeated(known, hash_):
            self._set_aside_repeated(key, row, natural, hash_)
            return
        holder = next((one for one in self._by_natural.get(natural, ()) if one.live and one is not known), None)
        if holder is not None:
            if row.sequence is None or row.sequence <= holder.row_sequence:
                self._note_seen(known)
                self._set_aside(key, _another(), row, hash_, natural)
                return
            self._displace(holder)
        self._send(key, out, known, natural, hash_)

    def _send(self, key: str, out: Outgoing, known: Known | None, natural: str, hash_: bytes) -> None:
        own = out.sequence
        if known is not None and known.natural_key != natural:
            self._leave(known)
        last = self._last(natural)
        same = known is not None and known.natural_key == natural and not known.withdrawn
        repeats = same and known is not None and known.intended == hash_ and known.sequence == last
        sequence = known.sequence if repeats and known is not None else max(own, last + 1, self._memory.floor)
        self._compare(key, known, hash_)
        if known is None:
            known = Known(self._memory.known.new_id(), key, natural, None, None, 0, 0, 0)
            self._by_key[key] = known
        if known not in self._by_natural.setdefault(natural, []):
            self._by_natural[natural].append(known)
        known.natural_key, known.hash, known.intended, known.digest = natural, hash_, None, out.digest
        known.sequence, known.row_sequence, known.withdrawn = sequence, own, 0
        self._touched[known.id] = known
        self._forget_keyless(natural)
        self._note_seen(known)
        self._decisions.records.append(Outgoing(out.key, out.value, sequence))
        self._settle(key, Settled.SUBMITTED)

    def _take_withdrawn(self, key: str, row: SourceRow, known: Known | None, out: Outgoing | None) -> None:
        if known is None and out is not None:
            natural = out.key.decode("ascii")
            known = Known(self._memory.known.new_id(), key, natural, None, None, 0, row.sequence or 0, 0)
            taken = any(one.live for one in self._by_natural.get(natural, ()))
            self._put(known)
            if taken:  # another row has the key: there is nothing of this one to withdraw
                known.withdrawn = 1
                self._touched[known.id] = known
        if known is None:
            return
        if not known.withdrawn:
            self._withdraw(known, row.sequence or 0)
        self._note_seen(known)
        self._settle(key, Settled.WITHDRAWN)

    def _withdraw(self, known: Known, own: int) -> None:
        """Withdraw the natural key of a row."""
        natural = known.natural_key
        known.sequence = max(own, self._last(natural) + 1, self._memory.floor)
        known.row_sequence = max(known.row_sequence, own)
        known.hash = known.intended = known.digest = None
        known.withdrawn = 1
        self._touched[known.id] = known
        self._decisions.records.append(Outgoing(natural.encode("ascii"), None, known.sequence))
        self._decisions.freed.append(natural)

    def _leave(self, known: Known) -> None:
        """A row has got another natural key: the former one is withdrawn, and its last sequence kept."""
        natural = known.natural_key
        others = [one for one in self._by_natural[natural] if one is not known]
        self._by_natural[natural] = others
        keyless = next((one for one in others if one.row_key is None and not one.dropped), None)
        if keyless is None:
            keyless = Known(self._memory.known.new_id(), None, natural, None, None, known.sequence, 0, 1)
            others.append(keyless)
        keyless.sequence = max(keyless.sequence, known.sequence)
        self._touched[keyless.id] = keyless
        if not known.withdrawn and not any(one.live for one in others):
            self._withdraw(keyless, 0)

    def _displace(self, holder: Known) -> None:
        """A later row has the natural key of `holder`, which waits now."""
        assert holder.row_key is not None
        error = _another()
        waiting = self._as_waiting(holder.row_key, error, None, holder.hash or b"", holder.natural_key)
        self._aside[holder.row_key] = (waiting, error, None)
        self.settled.pop(holder.row_key, None)
        holder.dropped = True
        self._touched[holder.id] = holder
        self._by_key.pop(holder.row_key, None)

    def _last(self, natural: str) -> int:
        """The last sequence that was sent of a natural key, or -1."""
        return max((one.sequence for one in self._by_natural.get(natural, ())), default=-1)

    def _forget_keyless(self, natural: str) -> None:
        """A row has the natural key again, and with it its last sequence."""
        for one in self._by_natural[natural]:
            if one.row_key is None:
                one.dropped = True
                self._touched[one.id] = one

    # rows that wait

    def fail(self, failed: Failed) -> None:
        """A row that could not be read, mapped or encoded."""
        row, identity = failed.row, _identity(failed)
        tie = row.key or failed.natural_key
        self._note_seen(self._by_key.get(tie or ""))
        if tie is None and self._reading is not None:
            self._reading.unknown_faulty += 1
        self._set_aside(identity, failed.error, row, _hash_of_row(row), None)

    def _is_repeated(self, known: Known, hash_: bytes) -> bool:
        """Whether the whole reading has brought this row before, with something else in it."""
        reading = self._reading
        if reading is None or not reading.once or known.hash == hash_:
            return False
        return known.id in self._seen or known.id in reading.seen

    def _set_aside_repeated(self, key: str, row: SourceRow, natural: str, hash_: bytes) -> None:
        identity = row.place or f"{key} #{hash_.hex()}"
        self._waiting |= self._memory.waiting.of([identity])
        self._set_aside(identity, _another(), row, hash_, natural)

    def _set_aside(
        self, identity: str, error: ExchangeError, row: SourceRow | FaultyRow, row_hash: bytes, natural: str | None
    ) -> None:
        waiting = self._as_waiting(identity, error, row, row_hash, natural)
        self._aside[identity] = (waiting, error, row)
        self.settled.pop(identity, None)

    def _as_waiting(
        self,
        identity: str,
        error: ExchangeError,
        row: SourceRow | FaultyRow | None,
        row_hash: bytes,
        natural: str | None,
    ) -> Waiting:
        place = None if row is None else row.place
        entry, detail = error.entry, _clean(error.detail)
        return Waiting(identity, place, row_hash, entry.stage.value, error.code, detail, self._now, self._now, natural)

    def _settle(self, identity: str, how: Settled) -> None:
        self._aside.pop(identity, None)
        if identity in self._waiting:
            self.settled[identity] = how

    # what the whole reading learns

    def _note_seen(self, known: Known | None) -> None:
        if known is not None:
            self._seen.add(known.id)

    def _compare(self, key: str, known: Known | None, hash_: bytes) -> None:
        if self._reading is None or not self._memory.whole or key in self._waiting:
            return
        missing = known is None or bool(known.withdrawn)
        if missing or (known is not None and (known.hash or known.intended) != hash_):
            self._reading.note(key, missing)

    # the end

    def end(self, faults: Faults) -> Decisions:
        """The decisions, with the faults to announce."""
        done, changes = self._decisions, self._decisions.changes
        changes.rows = list(self._touched.values())
        for identity, (waiting, error, row) in self._aside.items():
            self._end_aside(faults, identity, waiting, error, row)
        for identity, how in self.settled.items():
            changes.solved.append(identity)
            done.faults.append(faults.settled(identity, how, self._now))
        changes.submitted = len(done.records)
        if self._reading is not None:
            self._reading.seen.add(self._seen)
        return done

    def _end_aside(
        self,
        faults: Faults,
        identity: str,
        waiting: Waiting,
        error: ExchangeError,
        row: SourceRow | FaultyRow | None,
    ) -> None:
        changes = self._decisions.changes
        before = self._waiting.get(identity)
        known = before is not None and before.same_as(waiting)
        if before is not None:
            waiting.since = before.since
        replayed = self._is_replayed(faults, identity)
        if known and before is not None and not replayed and self._now - before.announced < ANNOUNCED_AGAIN:
            if self._reading is not None:
                changes.waiting.append(before)
            return
        changes.waiting.append(waiting)
        changes.unmapped += not known
        values = {} if row is None else row.values
        self._decisions.faults.append(faults.of_row(error, self._now, values, identity, waiting.place))

    def _is_replayed(self, faults: Faults, identity: str) -> bool:
        replayed = frozenset() if self._reading is None else self._reading.replayed
        return bool(replayed) and ("all" in replayed or item_of(faults.connector, identity) in replayed)


def _another() -> ExchangeError:
    return ExchangeError("E_ROW_UNMAPPED", _ANOTHER_HAS_IT)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _identity(failed: Failed) -> str:
    """What a row that waits is called: its key, else its place, else its natural key, else its content."""
    row = failed.row
    found = row.key or row.place or failed.natural_key or f"row {_hash_of_row(row).hex()}"
    return found.encode("utf-8", "backslashreplace").decode()


def _hash_of_row(row: SourceRow | FaultyRow) -> bytes:
    text = repr(sorted((str(name), repr(value)) for name, value in row.values.items()))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()
