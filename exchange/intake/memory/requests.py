"""The view of others on a source's memory: what waits, what the source said last, and requests to leave there.

The source's own process holds the memory by a lock on `<connector>.lock`; others only read it and leave requests in the
table `requests`, which it looks at between its pages. Nothing here takes that lock for longer than it takes to see it.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from exchange.clock import format_time, parse_time
from exchange.errors import ExchangeError

_BUSY_SECONDS = 10.0
"""How long another's transaction is waited for: a page of a source takes far less."""
_MOST_PENDING = 1_000
ALL = "all"


class RequestKind(StrEnum):
    """What a source can be asked for."""

    REREAD = "reread"
    """Send rows again, or compare: `all`, `since <moment>` or `key <row key or natural key>`."""
    REPLAY = "replay"
    """Try what was set aside: an item of the faults log, or `all`."""
    CONFIRM_WITHDRAWALS = "confirm-withdrawals"
    """Let the next comparison withdraw what it finds gone, however many."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the source has not taken up yet. Its repr holds no key."""

    kind: str
    argument: str
    at: str

    def __repr__(self) -> str:
        return f"Request({self.kind}, at={self.at})"


class SourceMemoryView:
    """The memory of one source, seen from outside of its process.

    Every method raises ExchangeError: E_CONNECTOR when the source has no memory in this state folder, E_STATE when it
    cannot be read or written.
    """

    def __init__(self, folder: Path, connector: str) -> None:
        self._file = folder / f"{connector}.sqlite"
        self._lock = folder / f"{connector}.lock"
        self._connector = connector

    @property
    def running(self) -> bool:
        """Whether a process of the source holds the memory now, on this machine."""
        try:
            handle = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def ask(self, kind: RequestKind, argument: str, at: datetime) -> bool:
        """Leave a request; False when the same already waits.

        Raises ExchangeError(E_STATE) also when so many wait that the source does not seem to look at them.
        """
        with self._open() as memory:
            memory.execute("BEGIN IMMEDIATE")
            waits = "SELECT count(*), coalesce(sum(kind = ? AND argument = ?), 0) FROM requests"
            waiting, same = memory.execute(waits, (kind.value, argument)).fetchone()
            if same:
                return False
            if waiting >= _MOST_PENDING:
                raise ExchangeError("E_STATE", f"{waiting} requests wait already: start {self._connector}")
            new = (kind.value, argument, format_time(at))
            memory.execute("INSERT INTO requests (kind, argument, at) VALUES (?, ?, ?)", new)
            memory.execute("COMMIT")
        return True

    def pending(self) -> list[Request]:
        """The requests that wait, oldest first."""
        with self._open() as memory:
            return [Request(*row) for row in memory.execute("SELECT kind, argument, at FROM requests ORDER BY id")]

    def report(self) -> bytes | None:
        """What the source said of itself last, as `exchange.intake.report` decodes it; None before it said anything."""
        with self._open() as memory:
            found = memory.execute("SELECT value FROM state WHERE name = 'report'").fetchone()
        return None if found is None else _plain(str(found[0]))

    def cursor(self) -> dict[str, Any] | None:
        """Where the source's reader stands; None before it has read anything, or when what is kept is no cursor."""
        with self._open() as memory:
            found = memory.execute("SELECT value FROM state WHERE name = 'cursor'").fetchone()
        try:
            kept = None if found is None else json.loads(found[0])
        except (ValueError, TypeError):
            return None
        return kept if isinstance(kept, dict) else None

    def set_aside(self) -> tuple[int, datetime | None]:
        """How many rows wait, and since when the oldest does."""
        with self._open() as memory:
            waiting, since = memory.execute("SELECT count(*), min(since) FROM set_aside").fetchone()
        return waiting, None if since is None else parse_time(since)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._expect_file()
        try:
            address = f"file:{quote(str(self._file.absolute()))}?mode=rw"
            opened = sqlite3.connect(address, _BUSY_SECONDS, isolation_level=None, uri=True)
            with closing(opened) as memory:
                yield memory
        except sqlite3.Error as error:
            raise ExchangeError("E_STATE", f"{self._file.name} {_words(error)}") from None

    def _expect_file(self) -> None:
        try:
            there = self._file.is_file()
        except OSError as error:
            raise ExchangeError("E_STATE", f"{self._file}: {error.strerror}") from None
        if not there:
            where = f"it has no memory in {self._file.parent}: run the command where it runs, with the same"
            what = f"{self._connector} has not run with this state folder, so {where}"
            raise ExchangeError("E_CONNECTOR", f"{what} EXCHANGE_CONNECTOR__STATE_FOLDER, or start it first")


def _words(error: sqlite3.Error) -> str:
    if "no such table" in str(error):
        return "is not a memory yet: its source has just begun to make it, so ask again in a moment"
    return f"cannot be used ({getattr(error, 'sqlite_errorname', type(error).__name__)})"


def _plain(kept: str) -> bytes:
    """The report inside what `state` keeps, where a text stands as a JSON string."""
    try:
        inside = json.loads(kept)
    except ValueError:
        return b""
    return inside.encode() if isinstance(inside, str) else kept.encode()
