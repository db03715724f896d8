"""A source's memory as its process leaves it, made by hand: what commands see without a process that runs."""

import fcntl
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from exchange.connect.reading import Cursor
from exchange.intake.memory.tables import STATEMENTS
from exchange.intake.report import SourceReport, SourceState, encode

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


class MadeMemory:
    """`<connector>.sqlite` in a folder."""

    def __init__(self, folder: Path, connector: str) -> None:
        folder.mkdir(exist_ok=True)
        self.connector = connector
        self.file = folder / f"{connector}.sqlite"
        self.lock = folder / f"{connector}.lock"
        with self._open() as made:
            made.execute("PRAGMA journal_mode = WAL")
            for statement in STATEMENTS:
                made.execute(statement)

    def set_aside(self, identity: str, since: str, code: str = "E_ROW_UNMAPPED", place: str | None = None) -> None:
        """A row waits."""
        row = (identity, place, b"hash", "intake.map", code, "cause: too long", since, since)
        names = "identity, place, row_hash, stage, code, detail, since, announced"
        with self._open() as made:
            made.execute(f"INSERT INTO set_aside ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def says(self, state: SourceState = SourceState.WORKING, code: str | None = None, **counts: object) -> None:
        """The source has said something of itself."""
        told = SourceReport(self.connector, "population.death", state, code, AT, AT, **counts)  # type: ignore[arg-type]
        with self._open() as made:
            made.execute("INSERT OR REPLACE INTO state VALUES ('report', ?)", (encode(told)[1].decode(),))

    def reads_to(self, cursor: Cursor) -> None:
        """The source has read up to a cursor."""
        with self._open() as made:
            made.execute("INSERT OR REPLACE INTO state VALUES ('cursor', ?)", (json.dumps(cursor),))

    def requests(self) -> list[tuple[str, str]]:
        """Kind and argument of what was asked for."""
        with self._open() as made:
            return made.execute("SELECT kind, argument FROM requests ORDER BY id").fetchall()

    @contextmanager
    def held(self) -> Iterator[None]:
        """As while a process of the source runs."""
        with self.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    @contextmanager
    def busy(self) -> Iterator[None]:
        """As in the middle of a transaction of the source."""
        with self._open() as made:
            made.execute("BEGIN IMMEDIATE")
            yield
            made.execute("ROLLBACK")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as made:
            yield made
