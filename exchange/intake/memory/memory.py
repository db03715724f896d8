"""A source's memory as a whole: rows, those set aside, books, cursor, and what others ask for."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from exchange.clock import Clock, format_time, parse_time
from exchange.connect.reading import Cursor
from exchange.intake.memory.known import Known, KnownRows
from exchange.intake.memory.store import Store
from exchange.intake.memory.waiting import Waiting, WaitingRows


@dataclass(slots=True)
class Books:
    """What a source has done so far, over all its runs. collected = submitted + unmapped.

    Rows count that brought something: a record or a withdrawal (submitted), or a row newly set aside (unmapped). Rows
    that are equal to what was sent before count nowhere.
    """

    collected: int = 0
    submitted: int = 0
    unmapped: int = 0
    runs: int = 0

    def add(self, submitted: int, unmapped: int) -> None:
        """Count what a page brought."""
        self.collected += submitted + unmapped
        self.submitted += submitted
        self.unmapped += unmapped


@dataclass(slots=True)
class Compared:
    """The result of the last comparison."""

    at: datetime
    rows: int = 0
    """Rows of the whole reading."""
    equal: int = 0
    missing: int = 0
    changed: int = 0
    gone: int = 0
    held: int = 0
    """Rows that are gone and whose records were not withdrawn."""
    why: str = ""
    """Why they are held."""
    asks: bool = False
    """Whether they wait for somebody to confirm the withdrawal."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Of what made the last whole reading; texts that differ when it does."""

    declaration: str | None = None
    """The reader's fingerprint. A cursor of another one is worth nothing."""
    mapping: str | None = None
    """That of the mapping's source and of the schema."""

    def leads_on(self, other: "Versions") -> bool:
        """Whether a cursor that was kept leads on under the other versions."""
        return self.declaration == other.declaration


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked of the source, as `tables` says."""

    id: int
    kind: str
    argument: str


@dataclass(slots=True)
class Changes:
    """What a page changes in the memory once Kafka has it."""

    rows: list[Known] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    solved: list[str] = field(default_factory=list)
    """Identities that wait no longer."""
    digests: list[tuple[bytes | None, int]] = field(default_factory=list)
    """(digest, id) of rows that are other than before and whose records are not."""
    submitted: int = 0
    unmapped: int = 0


class Memory:
    """What a source remembers. Every method raises ExchangeError(E_STATE) as `Store` says."""

    def __init__(self, folder: Path, connector: str, clock: Clock) -> None:
        self._store = Store(folder, connector, clock)
        try:
            self._load(folder / f"{connector}.json")
        except BaseException:
            self._store.close()
            raise

    def _load(self, former: Path) -> None:
        store = self._store
        self.known = KnownRows(store)
        self.waiting = WaitingRows(store)
        kept = store.state("books")
        self.books = Books(**kept) if kept else (_former_books(former) if store.fresh else Books())
        self.cursor: Cursor | None = store.state("cursor")
        self.versions = Versions(store.state("fingerprint"), store.state("mapping"))
        self.whole: bool = bool(store.state("whole"))
        """Whether a whole reading was ever finished: only then is what it lacks missing, and what it alone has gone."""
        self.reading: int = store.state("reading") or 0
        """The number of the last whole reading."""
        self.unsteady: str | None = store.state("unsteady")
        """The version of the mapping that gave two records for one row, so that no row is passed over."""
        self.compared = _compared(store.state("comparison"))
        self._begun: int = store.state("begun") or 0
        self._done: int = store.state("done") or 0
        with store.transaction():
            self.known.doubt(self._done)

    @property
    def floor(self) -> int:
        """The least sequence of what this process sends."""
        return self._store.floor

    @property
    def on_their_way(self) -> list[tuple[str, int]]:
        """(natural key, sequence) of withdrawals that may not have reached Kafka when a process ended."""
        return [] if self._begun == self._done else self.known.withdrawals_behind(self._done)

    def write_ahead(self, rows: list[Known]) -> None:
        """Note what will be sent, before it is. After a crash the same is sent under the same sequences, or later ones.

        Without it, two contents of a key could get one sequence.
        """
        if not rows:
            return
        with self._store.transaction():
            self._begun += 1
            self.known.write(rows, self._begun)
            self._store.put("begun", self._begun)

    def book(self, changes: Changes, cursor: Cursor | None = None) -> None:
        """Kafka has all of it: count it and move the cursor, in one step. Without changes nothing is written."""
        moved = cursor is not None and cursor != self.cursor
        if not moved and self._begun == self._done and not (changes.waiting or changes.solved or changes.digests):
            return
        with self._store.transaction():
            self._end_batch()
            self.known.keep_digests(changes.digests)
            self.waiting.write(changes.waiting, self.reading)
            self.waiting.remove(changes.solved)
            self.books.add(changes.submitted, changes.unmapped)
            self._store.put("books", asdict(self.books))
            if moved:
                self.cursor = cursor
                self._store.put("cursor", cursor)
        if changes.waiting or changes.solved:
            self.waiting.look()

    def _end_batch(self) -> None:
        if self._done != self._begun:
            self._done = self._begun
            self._store.put("done", self._done)

    def count_run(self) -> None:
        """One more run of the connector."""
        self.books.runs += 1
        with self._store.transaction():
            self._store.put("books", asdict(self.books))

    def begin_reading(self) -> int:
        """Number a whole reading that begins."""
        self.reading += 1
        with self._store.transaction():
            self._store.put("reading", self.reading)
        return self.reading

    def note_unsteady(self, mapping: str) -> None:
        """This version of the mapping gives two records for one row."""
        self.unsteady = mapping
        with self._store.transaction():
            self._store.put("unsteady", mapping)

    def end_reading(self, compared: Compared, versions: Versions) -> None:
        """A whole reading has come to its end."""
        self.compared, self.versions, self.whole = compared, versions, True
        with self._store.transaction():
            self._store.put("comparison", {**asdict(compared), "at": format_time(compared.at)})
            self._store.put("fingerprint", versions.declaration)
            self._store.put("mapping", versions.mapping)
            self._store.put("whole", True)

    def keep_report(self, report: dict[str, Any]) -> None:
        """Keep the last report, for whoever looks into the file."""
        with self._store.transaction():
            self._store.put("report", report)

    def requests(self) -> list[Request]:
        """What others ask for, oldest first."""
        return [Request(*row) for row in self._store.rows("SELECT id, kind, argument FROM requests ORDER BY id")]

    def answered(self, requests: Iterable[Request]) -> None:
        """These were done."""
        ids = [(one.id,) for one in requests]
        if ids:
            with self._store.transaction():
                self._store.change_many("DELETE FROM requests WHERE id = ?", ids)

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()


def _compared(kept: dict[str, Any] | None) -> Compared | None:
    return None if kept is None else Compared(**{**kept, "at": parse_time(kept["at"])})


def _former_books(file: Path) -> Books:
    """The counts of a state file of JSON, which knew no rows. Its cursor is left: a whole reading is made."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        counts = {name: found[name] for name in ("collected", "submitted", "unmapped", "runs")}
    except (OSError, ValueError, TypeError, KeyError):
        return Books()
    return Books(**counts) if all(type(count) is int and count >= 0 for count in counts.values()) else Books()
