"""The state records of the delivery line: topic `exchange.delivery.<record-type>`, one state per partition (unit).

| key | value |
|---|---|
| `n|` | JSON `{"taken", "next", "numbers"}`: records taken by the unit, next live offset, share numbers given out |
| `j|<share>` | JSON of `Backfilling` or, since it has joined, of `Joined`; a tombstone when the line has let it go |
| `n|<share>` | JSON, the books: `{"taken", "forwarded", "retracted", "out_of_scope", "unchanged"}` |
| `h|<record key>` | who holds the record: 12 bytes a share, its number and a keyed hash of its last cut (or zeros) |

Written in the transaction that does what they tell. The functions here are pure: the broker reads evidence and books
with them.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar

from exchange.delivery.cutting.pseudonym import DIGEST_BYTES
from exchange.names import ShareName

UNIT_KEY = b"n|"
_PLACE, _COUNT, _HELD = b"j|", b"n|", b"h|"
_NUMBER = struct.Struct(">I")
_ENTRY_BYTES = _NUMBER.size + DIGEST_BYTES
_NO_DIGEST = bytes(DIGEST_BYTES)
"""Stands in the topic where only the fact of holding counts."""

Held = dict[bytes, bytes | None]
"""What one share holds: record key -> keyed hash of its last cut; None where only the fact of holding counts."""

StateRecord = tuple[bytes, bytes | None]
"""Key and value of a state record."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the unit as a whole has done."""

    taken: int = 0
    """Records taken from the registry, heartbeats not counted."""
    next: int = 0
    """The first offset of the registry that is not taken."""
    numbers: int = 0
    """Share numbers given out so far; none is used twice."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A share in the live flow of the unit."""

    joined: int
    """The first offset that the live flow offered it."""
    taken: int
    """What the unit had taken then less what the share had: admitted - this - the share's own `taken` is in flight.

    Negative when the share had taken more, before it was suspended.
    """
    number: int
    """How the unit's holdings name the share."""
    suspended: str | None = None
    """The error code for which the share was left out; it takes nothing since."""
    recoveries: int = 0
    """The last recovery that the ledger told of."""
    backfilled: int = 0
    """Records that backfill had forwarded."""
    stopped: int | None = None
    """When suspended: the first offset that it was not offered."""


@dataclass(frozen=True, slots=True)
class Backfilling:
    """A share that reads the registry below the live flow, or waits for its turn to do so."""

    number: int
    """How the unit's holdings name the share."""
    position: int = 0
    """The first offset that it has not read."""
    end: int = 0
    """Where it was to read to when this was written; the live flow moves it on."""
    sent: int = 0
    """Records forwarded so far."""
    suspended: str | None = None
    """The error code for which it was left out."""
    recoveries: int = 0
    """The last recovery that the ledger told of."""
    again: bool = False
    """Whether it was in the live flow before: then `position` is where it was suspended."""

    @property
    def remaining(self) -> int:
        """Offsets still to read: at least as many as records."""
        return max(0, self.end - self.position)

    @property
    def percent(self) -> float:
        """How much of the way is done, from 0 to 100."""
        return 100.0 if self.position >= self.end else 100.0 * self.position / self.end


Place = Joined | Backfilling
"""Where a share is in the unit."""


@dataclass(slots=True)
class Counts:
    """The books of one share in one partition."""

    taken: int = 0
    forwarded: int = 0
    retracted: int = 0
    out_of_scope: int = 0
    unchanged: int = 0
    quarantined: ClassVar[int] = 0
    """Delivery puts no record aside. The published books of a share have this entry, so that all books look alike."""

    def add(self, other: "Counts") -> None:
        """Add the books of another partition."""
        self.taken += other.taken
        self.forwarded += other.forwarded
        self.retracted += other.retracted
        self.out_of_scope += other.out_of_scope
        self.unchanged += other.unchanged

    @property
    def difference(self) -> int:
        """0 when the books close."""
        return self.taken - (self.forwarded + self.retracted + self.out_of_scope + self.unchanged)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def encode_totals(totals: Totals) -> StateRecord:
    """The state record of the unit's totals."""
    return UNIT_KEY, _json(asdict(totals))


def encode_place(share: ShareName, place: Place | None) -> StateRecord:
    """The state record of where a share is; None: the line has let it go."""
    return _PLACE + share.encode(), None if place is None else _json(asdict(place))


def encode_counts(share: ShareName, counts: Counts) -> StateRecord:
    """The state record of a share's books."""
    return _COUNT + share.encode(), _json(asdict(counts))


def encode_holders(key: bytes, holders: Iterable[tuple[int, bytes | None]]) -> StateRecord:
    """The state record of who holds the record of `key`: (share number, hash) in any order; nobody: a tombstone."""
    packed = b"".join(_NUMBER.pack(number) + (digest or _NO_DIGEST) for number, digest in holders)
    return _HELD + key, packed or None


def decode_holders(packed: bytes) -> list[tuple[int, bytes | None]]:
    """(share number, hash) of everyone who holds a record."""
    found: list[tuple[int, bytes | None]] = []
    for at in range(0, len(packed), _ENTRY_BYTES):
        digest = packed[at + _NUMBER.size : at + _ENTRY_BYTES]
        found.append((_NUMBER.unpack_from(packed, at)[0], None if digest == _NO_DIGEST else digest))
    return found


def _counts(value: bytes) -> Counts:
    """The books in a state record, which may have entries that are no longer kept."""
    found = json.loads(value)
    return Counts(**{one.name: found[one.name] for one in fields(Counts) if one.name in found})


@dataclass(slots=True, weakref_slot=True, eq=False)
class UnitState:
    """The state of one partition, folded from its state records in their order."""

    totals: Totals = Totals()
    joins: dict[ShareName, Joined] = field(default_factory=dict)
    """Shares in the live flow, also suspended ones."""
    backfills: dict[ShareName, Backfilling] = field(default_factory=dict)
    """Shares that have not joined it yet, or not again, also suspended ones."""
    counts: dict[ShareName, Counts] = field(default_factory=dict)
    """The books of every share that was ever in the unit."""
    held: dict[int, Held] = field(default_factory=dict)
    """By share number."""

    @property
    def taken(self) -> int:
        """Records taken from the registry."""
        return self.totals.taken

    def place(self, share: ShareName) -> Place | None:
        """Where a share is; None when it is not in the unit, or not any more."""
        return self.joins.get(share) or self.backfills.get(share)

    def has(self, share: ShareName) -> bool:
        """Whether the line may still write into a share's topic."""
        return share in self.joins or share in self.backfills

    def put(self, share: ShareName, place: Place | None) -> None:
        """Put a share in another place, or nowhere."""
        self.joins.pop(share, None)
        self.backfills.pop(share, None)
        if isinstance(place, Joined):
            self.joins[share] = place
        elif place is not None:
            self.backfills[share] = place

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take in the next state record."""
        kind, name = key[:2], key[2:]
        if kind == _HELD:
            self._hold(name, value)
        elif key == UNIT_KEY:
            self.totals = Totals(**json.loads(value or b"{}"))
        elif kind == _PLACE:
            self._place(ShareName(name.decode()), value)
        elif kind == _COUNT:
            self.counts[ShareName(name.decode())] = _counts(value or b"{}")

    def _place(self, share: ShareName, value: bytes | None) -> None:
        gone = self.place(share)
        if value is None:
            if gone is not None:
                self.held.pop(gone.number, None)
            self.put(share, None)
            return
        found = json.loads(value)
        self.put(share, Backfilling(**found) if "position" in found else Joined(**found))

    def _hold(self, key: bytes, packed: bytes | None) -> None:
        holders = dict(decode_holders(packed or b""))
        for number, held in self.held.items():
            if number not in holders:
                held.pop(key, None)
        for number, digest in holders.items():
            self.held.setdefault(number, {})[key] = digest

    def forget_strangers(self) -> None:
        """Drop what is held by shares that are no longer in the flow: their entries fade from the topic over time."""
        places: list[Place] = [*self.joins.values(), *self.backfills.values()]
        known = {place.number for place in places}
        for number in [number for number in self.held if number not in known]:
            del self.held[number]
