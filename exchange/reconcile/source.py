"""The provider's half: its own table, mapped and cut as the grant says, held against the digests of the share.

The provider cannot read the share. The broker service gives it digests over buckets of keys, and of buckets that differ
the hashes of keys and contents: every one is of a record that the provider has submitted itself.

A row that has just changed is on its way. What differs is compared again after a while, and only what differs twice
with the same contents on both sides is a difference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from exchange.avro.record_schema import RecordSchema
from exchange.clock import Deadline
from exchange.connect.declare import Source
from exchange.connect.reading import Reader, SourceRow
from exchange.errors import ExchangeError
from exchange.identifiers import IDENTIFIERS
from exchange.names import GrantId
from exchange.reconcile.canonical import Canon
from exchange.reconcile.cut import GrantTerms
from exchange.reconcile.fold import Branch, Entry, Fold, differing, key_hash
from exchange.reconcile.keys import join
from exchange.reconcile.result import MOST_LISTED, Difference, Finding, Half, Kind, Result, counted
from exchange.reconcile.sink import Pace
from exchange.settings import ConnectorSettings

_PAGE_ROWS = 1000
_ABSENT = b""
"""The content of a row that is not in the share: withdrawn, ended, or outside of its scope."""
_PAUSES = (0.0, 0.2, 0.8)
"""When it is compared, in parts of the patience."""
_READING_PAUSE_SECONDS = 0.5
_RESTARTS = 4
"""How often the share may change under the way down through its digests."""

AskDigests = Callable[[str, int | None], Mapping[str, Any]]
"""The digests under a prefix (hexadecimal digits) in a version of the share: as the broker service answers."""


class Api(Protocol):
    """The broker service, asked with the department's own token."""

    def get(self, path: str, **params: Any) -> Any:
        """The JSON under a path. Raises ExchangeError."""
        ...


@dataclass(frozen=True, slots=True)
class SourceSide:
    """What a provider's half needs to know."""

    grant: GrantId
    record: RecordSchema
    schema: Mapping[str, Any]
    """Of the share."""
    terms: GrantTerms
    sources: Sequence[tuple[str, Source]]
    """Every source of the record type that the provider runs, by name."""
    settings: ConnectorSettings


def reconcile_source(api: Api, side: SourceSide, pace: Pace) -> Finding:
    """Hold the provider's table against a share.

    Raises ExchangeError: E_API_UNREACHABLE and what the broker service answers, E_SOURCE_UNREACHABLE, E_CONNECTOR.
    """
    half = _SourceHalf(api, side, pace)
    if side.terms.pseudonymous:
        return half.contents_only()
    return half.by_key()


class _SourceHalf:
    def __init__(self, api: Api, side: SourceSide, pace: Pace) -> None:
        self._api = api
        self._side = side
        self._pace = pace
        self._canon = Canon(side.schema, side.terms.not_computable)
        self._unread = 0

    def by_key(self) -> Finding:
        """Compare key by key, and again what differs."""
        found = _Compared(0, {}, {})
        deadline = Deadline.after(self._pace.patience)
        sure: set[bytes] = set()
        for part in _PAUSES:
            if part and (not found.pairs or self._waited(deadline, part)):
                break
            before, found = found, self._compare()
            sure = {hashed for hashed, pair in found.pairs.items() if before.pairs.get(hashed) == pair}
        result, named = counted(Half.PROVIDER, self._pace.clock.now(), found.compared, self._differences(found, sure))
        return self._finding(result, named, self._notes())

    def contents_only(self) -> Finding:
        """Of a pseudonymous share: whether it holds the same contents, whosever they are."""
        deadline = Deadline.after(self._pace.patience)
        ours = theirs = None
        for part in _PAUSES:
            if part and self._waited(deadline, part):
                break
            with closing(Fold()) as fold:
                self._fold(fold)
                ours = fold.contents()
            root = self._ask("", None)
            theirs = Branch(int(root["records"]), bytes.fromhex(root["contents"]))
            if ours == theirs:
                break
        assert ours is not None
        assert theirs is not None
        result = Result(Half.PROVIDER, self._pace.clock.now(), max(ours.records, theirs.records))
        if ours == theirs:
            result.equal = result.compared
        else:
            result.missing = max(0, ours.records - theirs.records)
            result.extra = max(0, theirs.records - ours.records)
            result.altered = int(ours.records == theirs.records)
        return self._finding(result, [], self._notes())

    def _finding(self, result: Result, named: list[Difference], notes: Iterable[str]) -> Finding:
        result.unread = self._unread
        names = ", ".join(name for name, _ in self._side.sources)
        return Finding(self._side.grant, result, named, f"what {names} reads", tuple(notes))

    def _notes(self) -> Iterator[str]:
        if self._side.terms.pseudonymous:
            yield "the share hides its keys: contents were compared without them, so that no key can be named"
        for name in sorted(self._side.terms.not_computable):
            yield f"{name} is a pseudonym in the share, which only the exchange can compute: it was not compared"
        if self._unread:
            yield f"{self._unread} rows could not be read or mapped: keys that count as extra may be theirs"

    def _waited(self, deadline: Deadline, part: float) -> bool:
        """Let this part of the patience pass; whether we were told to stop meanwhile."""
        return self._pace.stop.wait(max(0.0, deadline.remaining() - self._pace.patience * (1 - part)))

    # one comparison

    def _compare(self) -> "_Compared":
        """Read the table, then the digests, and go down where they differ."""
        with closing(Fold()) as fold:
            self._fold(fold)
            for _ in range(_RESTARTS):
                try:
                    return _Descent(fold, self._ask).run()
                except ExchangeError as error:
                    if error.code != "E_DIGESTS":
                        raise
            return _Descent(fold, self._ask).run()

    def _differences(self, found: "_Compared", sure: set[bytes]) -> Iterator[Difference]:
        asked = 0
        for hashed, (ours, theirs) in sorted(found.pairs.items()):
            kind = Kind.MISSING if theirs is None else Kind.EXTRA if ours is None else Kind.ALTERED
            key = found.keys.get(hashed)
            if key is None and asked < MOST_LISTED:
                asked += 1
                key = self._ask(hashed.hex(), found.version).get("key")
            yield Difference(kind if hashed in sure else Kind.WAITING, key or hashed.hex())

    def _fold(self, fold: Fold) -> None:
        """Fold what the share should hold."""
        self._unread = 0
        now = self._pace.clock.now()
        for number, (name, source) in enumerate(self._side.sources):
            with closing(source.reads.reader(self._side.settings)) as reader:
                if not getattr(reader, "brings_all", True):
                    raise ExchangeError("E_CONNECTOR", f"{name} reads only changes: it does not know what there is")
                for rows in _rows(reader):
                    entries = [self._entry(source, row, number, now) for row in rows]
                    fold.put((one for one in entries if one is not None), newer_only=True)
                    self._unread += sum(one is None for one in entries)
        fold.forget(_ABSENT)

    def _entry(self, source: Source, row: Any, number: int, now: datetime) -> Entry | None:
        """What the share should hold of a row; None for one that cannot be read or mapped."""
        if not isinstance(row, SourceRow) or row.sequence is None:
            return None
        try:
            record = self._mapped(source, row)
            parts = [record[name] for name in self._side.record.natural_key]
            if not all(parts):
                return None
            shown = None if row.withdrawn else self._side.terms.cut(record, now)
            content = _ABSENT if shown is None else self._canon.digest(shown)
        except Exception:  # the mapping is the department's own, and may raise anything
            return None
        key = join([str(part) for part in parts])
        return Entry(key_hash(key), content, key, number, row.sequence)

    def _mapped(self, source: Source, row: SourceRow) -> dict[str, Any]:
        record = dict(source.map(row.values))
        for rule in self._side.record.fields:
            value = record.get(rule.name)
            if rule.identifier and isinstance(value, str):
                record[rule.name] = IDENTIFIERS[rule.identifier].compact(value)
        return record

    # the broker service

    def _ask(self, prefix: str, version: int | None) -> Mapping[str, Any]:
        """The digests, as soon as the share has been read."""
        path = f"/v1/grants/{self._side.grant}/digests"
        while True:
            found: Mapping[str, Any] = self._api.get(path, prefix=prefix, version=version)
            if found["state"] == "ready":
                return found
            if self._pace.stop.wait(_READING_PAUSE_SECONDS):
                raise ExchangeError("E_API_UNREACHABLE", "told to stop while the share was being read")


@dataclass(slots=True)
class _Compared:
    """What one comparison has found."""

    compared: int
    pairs: dict[bytes, tuple[bytes | None, bytes | None]]
    """By hash of the key, the contents of table and share."""
    keys: dict[bytes, str]
    """The keys of the table among them."""
    version: int | None = None


class _Descent:
    """Goes down the tree of digests where both sides differ."""

    def __init__(self, fold: Fold, ask: AskDigests) -> None:
        self._fold = fold
        self._ask = ask
        self._found = _Compared(0, {}, {})

    def run(self) -> _Compared:
        """The keys that differ."""
        root = self._ask("", None)
        self._found.version = int(root["version"])
        self._look(b"", root)
        ours = self._fold.count()
        only_theirs = sum(mine is None for mine, _ in self._found.pairs.values())
        self._found.compared = ours + only_theirs
        return self._found

    def _look(self, prefix: bytes, theirs: Mapping[str, Any]) -> None:
        if "entries" in theirs:
            self._note(prefix, {bytes.fromhex(key): bytes.fromhex(one) for key, one in theirs["entries"].items()})
            return
        branches = {
            int(byte, 16): Branch(int(number), bytes.fromhex(digest))
            for byte, (number, digest) in theirs["branches"].items()
        }
        for byte in differing(self._fold.branches(prefix), branches):
            below = prefix + bytes((byte,))
            self._look(below, self._ask(below.hex(), self._found.version))

    def _note(self, prefix: bytes, theirs: dict[bytes, bytes]) -> None:
        for one in self._fold.entries(prefix):
            content = theirs.pop(one.hash, None)
            if content != one.content:
                self._found.pairs[one.hash] = (one.content, content)
                self._found.keys[one.hash] = one.key.decode("utf-8", "replace")
        self._found.pairs.update({hashed: (None, content) for hashed, content in theirs.items()})


def _rows(reader: Reader) -> Iterator[list[Any]]:
    for page in reader.whole(_PAGE_ROWS):
        yield page.rows
