"""The grantee's half: the share, as the exchange gives it, held against the table that the sink has made of it.

Both change while they are read. A key that differs is looked at again: its row is read anew, and after that the share
to its end. When the share brought nothing new for the key meanwhile, the row should be what the share says, provided
that the sink had applied the share so far; a sink that has not is given some time. So a pair that is equal is found
equal, also while it is written, and what is named is a difference, without any clock being trusted.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from exchange.clock import Clock, Deadline, SystemClock
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.partitioner import partition_of
from exchange.names import GrantId
from exchange.reconcile.canonical import Canon
from exchange.reconcile.fold import Entry, Fold, key_hash
from exchange.reconcile.keys import KeyColumns
from exchange.reconcile.result import Difference, Finding, Half, Kind, counted
from exchange.reconcile.share import ShareFold, ShareForm
from exchange.reconcile.table import Keyed, SinkTable

_PAUSE_SECONDS = 0.2
_FIELDS_OF_AT_MOST = 100
"""Altered records of which the fields are named: each is read again from the share, one of a partition at a time."""


@dataclass(frozen=True, slots=True)
class SinkSide:
    """What a grantee's half needs to know."""

    grant: GrantId
    share: ShareForm
    key: KeyColumns
    table: str
    address: str = field(repr=False)
    """Of the department's database."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The column of a field that is not called like it."""
    active: Collection[str] = ()
    """The active grants of the department: what another of them has brought into the table is its business."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait for what is on its way, by which clock the result is dated, and what ends the wait."""

    patience: float = 30.0
    """Seconds."""
    clock: Clock = field(default_factory=SystemClock)
    stop: threading.Event = field(default_factory=threading.Event)


def reconcile_sink(connection: Connection, side: SinkSide, pace: Pace) -> Finding:
    """Hold a share against the table of its sink. The connection is the grantee's own.

    Raises ExchangeError: E_KAFKA_*, E_SINK_UNREACHABLE, E_CONNECTOR when the table is not as its sink makes it.
    """
    canon = Canon(side.share.schema)
    with ExitStack() as stack:
        table = stack.enter_context(closing(SinkTable(side.address, side.table, side.key, canon.fields, side.columns)))
        table.check()
        share = stack.enter_context(closing(ShareFold(connection, side.share, pace.stop)))
        share.advance()
        half = _SinkHalf(side, canon, table, share)
        stack.callback(half.rows.close)
        half.read()
        unsettled = half.settle(pace)
        differences = half.differences(unsettled)
        result, named = counted(Half.GRANTEE, pace.clock.now(), half.compared, differences)
        named = half.with_fields(named)
    return Finding(side.grant, result, named, f"the table {side.table}")


class _SinkHalf:
    """The two sides, and the keys that differ so far."""

    def __init__(self, side: SinkSide, canon: Canon, table: SinkTable, share: ShareFold) -> None:
        self._side = side
        self._canon = canon
        self._table = table
        self._share = share
        self.rows = Fold()
        self.compared = 0
        self._suspects: dict[bytes, bytes] = {}
        """Hash of each key that differs, with the key."""

    def read(self) -> None:
        """Read the whole table, and note the keys that differ."""
        others = self._table.other_grants(self._side.grant, self._side.active)
        for page in self._table.pages():
            self.rows.put(self._entry(key, row) for key, row in self._mine(page, others))
        for hashed, ours, theirs in _joined(self._share.fold.entries(), self.rows.entries()):
            self.compared += 1
            if ours is None or theirs is None or ours.content != theirs.content:
                self._suspects[hashed] = (ours or theirs or _NOTHING).key

    def settle(self, pace: Pace) -> frozenset[bytes]:
        """Look again at what differs, until it is sure or patience ends; the keys that still change then."""
        deadline = Deadline.after(pace.patience)
        while self._suspects:
            late = deadline.passed or pace.stop.is_set()
            if self._behind() and not late:
                pace.stop.wait(_PAUSE_SECONDS)
                continue
            self._look_again()
            changed = self._share.advance(frozenset(self._suspects))
            self._suspects = {hashed: key for hashed, key in self._suspects.items() if self._differs(hashed)}
            unsettled = changed & self._suspects.keys()
            if late or not unsettled:
                return frozenset(unsettled)
        return frozenset()

    def differences(self, unsettled: Collection[bytes]) -> Iterator[Difference]:
        """What is wrong with each key that differs."""
        progress = self._table.progress(self._side.grant)
        set_aside = self._table.set_aside(self._side.grant, self._suspects.values())
        for hashed, key in sorted(self._suspects.items(), key=lambda one: one[1]):
            kind = self._kind(hashed, key, progress)
            if hashed in unsettled:
                kind = Kind.WAITING
            elif kind is not Kind.WAITING and key in set_aside:
                kind = Kind.SET_ASIDE
            yield Difference(kind, key.decode("utf-8", "replace"))

    def with_fields(self, named: list[Difference]) -> list[Difference]:
        """The same differences, the first altered ones with the names of the fields that differ."""
        altered = [one.key.encode() for one in named if one.kind is Kind.ALTERED][:_FIELDS_OF_AT_MOST]
        entries = [self._share.fold.get(key_hash(key)) for key in altered]
        records = self._share.records(one for one in entries if one is not None)
        rows = self._table.rows(altered)
        fields = {
            key.decode(): self._canon.differing(records[key_hash(key)], rows[key])
            for key in altered
            if key_hash(key) in records and key in rows
        }
        return [replace(one, fields=fields.get(one.key, ())) for one in named]

    def _kind(self, hashed: bytes, key: bytes, progress: Mapping[int, int]) -> Kind:
        ours, theirs = self._share.fold.get(hashed), self.rows.get(hashed)
        partition = partition_of(key, self._side.share.partitions) if ours is None else ours.part
        applied = progress.get(partition)
        behind = applied is not None and applied < self._share.ends[partition]
        # Of a withdrawal no offset is kept: it may stand anywhere in what the sink has not applied.
        if behind and (ours is None or ours.place >= (applied or 0)):
            return Kind.WAITING
        if ours is None:
            return Kind.EXTRA
        return Kind.MISSING if theirs is None else Kind.ALTERED

    def _mine(self, page: list[Keyed], others: Collection[str]) -> list[Keyed]:
        """The rows of a page without those that another active grant has brought."""
        if not others:
            return page
        foreign = [key for key, _ in page if self._share.fold.get(key_hash(key)) is None]
        brought = self._table.brought(others, foreign)
        return [(key, row) for key, row in page if key not in brought]

    def _entry(self, key: bytes, row: Mapping[str, Any]) -> Entry:
        return Entry(key_hash(key), self._canon.digest(row), key, 0, 0)

    def _look_again(self) -> None:
        found = self._table.rows(self._suspects.values())
        self.rows.put(self._entry(key, row) for key, row in found.items())
        self.rows.remove(hashed for hashed, key in self._suspects.items() if key not in found)

    def _differs(self, hashed: bytes) -> bool:
        ours, theirs = self._share.fold.get(hashed), self.rows.get(hashed)
        return (ours and ours.content) != (theirs and theirs.content)

    def _behind(self) -> bool:
        """Whether the sink has not applied all that was read of the share; one that keeps no notes never says so."""
        applied = self._table.progress(self._side.grant)
        return any(applied[partition] < end for partition, end in self._share.ends.items() if partition in applied)


_NOTHING = Entry(b"", b"", b"", 0, 0)
_Joined = tuple[bytes, Entry | None, Entry | None]


def _joined(ours: Iterator[Entry], theirs: Iterator[Entry]) -> Iterator[_Joined]:
    """Two sorted sides side by side."""
    one, other = next(ours, None), next(theirs, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.hash < other.hash):
            assert one is not None
            yield one.hash, one, None
            one = next(ours, None)
        elif one is None or other.hash < one.hash:
            yield other.hash, None, other
            other = next(theirs, None)
        else:
            yield one.hash, one, other
            one, other = next(ours, None), next(theirs, None)
