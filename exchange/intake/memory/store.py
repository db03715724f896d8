"""The file of a source's memory: opened by one process, changed in transactions, its errors told as E_STATE."""

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from exchange.clock import Clock
from exchange.errors import ExchangeError
from exchange.intake.memory import tables

_MICROSECONDS = 1_000_000
_AT_ONCE = 5_000
_BUSY_MS = 10_000
"""How long a request of a command may hold the file."""
_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full; give the state folder room",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_READONLY: "it cannot be written; give the connector's user the right",
    sqlite3.SQLITE_PERM: "it cannot be written; give the connector's user the right",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give the connector's user the right",
    sqlite3.SQLITE_BUSY: "another process holds it",
    sqlite3.SQLITE_CORRUPT: "it is damaged; move it away: the next start reads the whole source and makes it anew",
    sqlite3.SQLITE_NOTADB: "it is damaged; move it away: the next start reads the whole source and makes it anew",
}


class Store:
    """`<connector>.sqlite` in the state folder, for its owner only, with `<connector>.lock` beside it.

    Every method raises ExchangeError(E_STATE) that says what to do: another process of the same source, no room, no
    right, a damaged file. Not safe for several threads at once.
    """

    def __init__(self, folder: Path, connector: str, clock: Clock) -> None:
        self._name = f"{connector}.sqlite"
        self._lock = _locked(folder, connector)
        try:
            with self._guarded():
                self._db = _opened(folder / self._name)
            self.fresh = self.state("floor") is None
            """Whether the memory was made just now."""
            self.floor = self._raise_floor(clock)
            """The least sequence of what this process sends: microseconds since 1970 at its start. Whatever an earlier
            life of the source sent (with a memory that was lost, or of which this is an old copy) lies below."""
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file and the lock."""
        if database := getattr(self, "_db", None):
            with contextlib.suppress(sqlite3.Error):
                database.close()
        self._lock.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What is changed inside is on the disk when the block ends, or not at all."""
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rows(self, statement: str, parameters: Any = ()) -> list[Any]:
        """All rows of a SELECT statement."""
        with self._guarded():
            return self._db.execute(statement, parameters).fetchall()

    def batches(self, statement: str, parameters: Any = ()) -> Iterator[list[Any]]:
        """The rows of a SELECT statement, some at a time. To be read to its end before anything is written."""
        with self._guarded(), contextlib.closing(self._db.execute(statement, parameters)) as found:
            while some := found.fetchmany(_AT_ONCE):
                yield some

    def change(self, statement: str, parameters: Any = ()) -> int:
        """Run a statement inside a transaction; the number of rows that it changed."""
        return self._db.execute(statement, parameters).rowcount

    def change_many(self, statement: str, parameters: Any) -> None:
        """Run a statement for each of `parameters` inside a transaction."""
        self._db.executemany(statement, parameters)

    def state(self, name: str) -> Any:
        """What was put under this name, or None."""
        found = self.rows("SELECT value FROM state WHERE name = ?", (name,))
        try:
            return json.loads(found[0][0]) if found else None
        except ValueError:
            raise self._fault(_WORDS[sqlite3.SQLITE_CORRUPT]) from None

    def put(self, name: str, value: Any) -> None:
        """Keep a value that JSON can hold, inside a transaction."""
        self.change("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, json.dumps(value)))

    def _raise_floor(self, clock: Clock) -> int:
        """The present moment, or the floor of before when the clock was set back."""
        now = int(clock.now().timestamp() * _MICROSECONDS)
        floor = max(now, int(self.state("floor") or 0))
        with self.transaction():
            self.put("floor", floor)
        return floor

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            words = _WORDS.get(-1 if code is None else code & 0xFF)
            raise self._fault(words or str(getattr(error, "sqlite_errorname", type(error).__name__))) from None
        except OSError as error:
            raise self._fault(error.strerror or type(error).__name__) from None

    def _fault(self, words: str) -> ExchangeError:
        return ExchangeError("E_STATE", f"{self._name}: {words}")


def _locked(folder: Path, connector: str) -> IO[str]:
    """The lock file of a connector, held until it is closed or the process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / f"{connector}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ExchangeError("E_STATE", f"the state folder: {error.strerror}") from None
    lock = os.fdopen(handle, "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ExchangeError("E_STATE", f"another process runs {connector} with this state folder") from None
    return lock


def _opened(path: Path) -> sqlite3.Connection:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(handle, 0o600)
    os.close(handle)
    database = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        for setting in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -16000", "foreign_keys = OFF"):
            database.execute(f"PRAGMA {setting}")
        ((form,),) = database.execute("PRAGMA user_version").fetchall()
        if not 0 <= form <= tables.FORM:
            raise ExchangeError("E_STATE", f"{path.name}: a newer version of the exchange has made it")
        database.execute("BEGIN IMMEDIATE")
        for former in range(form or tables.FORM, tables.FORM):
            for statement in tables.FROM_FORMER[former]:
                database.execute(statement)
        for statement in tables.STATEMENTS:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {tables.FORM}")
        database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database
