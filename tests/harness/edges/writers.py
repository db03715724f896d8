"""Writers of a department's table: long transactions, equal times, rollbacks, deletes, changed keys, changed zones."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql

LONGEST_SECONDS = 6.0
"""How long a transaction is held open at most."""
_AWAY_SECONDS = 0.3
_ZONES = ("+00:00", "+08:00", "-05:00", "+05:30")
_ERRORS = (psycopg.Error, pymysql.err.MySQLError)


@dataclass(frozen=True, slots=True)
class Written:
    """A table that is written, and what it may be written with."""

    table: str
    key: str
    """The column that tells its rows apart."""
    text: str
    """A column of text that every row has."""
    spare: Sequence[Mapping[str, Any]]
    """Rows that are not in the table yet; their keys are never used twice."""
    random: str
    """The database's function for a random order."""


class Writers:
    """Threads that write one table until they are told to stop. Errors of the server are part of the storm."""

    def __init__(self, written: Written, connect: Callable[[], Any], seed: int) -> None:
        """connect: a new session of the department's own role, which begins a transaction with its first statement."""
        self._written = written
        self._connect = connect
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._unused = list(written.spare)
        self._stop = threading.Event()
        self.done = Counter[str]()
        """How often each act was committed, and how often one was rolled back or refused by the server."""

    @contextmanager
    def at_work(self, threads: int) -> Iterator[None]:
        """While this lasts, so many threads write."""
        running = [threading.Thread(target=self._write, name=f"writer-{number}") for number in range(threads)]
        for thread in running:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in running:
                thread.join()

    def _write(self) -> None:
        acts = (self._long, self._long, self._equal_times, self._twice, self._delete, self._change_key)
        while not self._stop.is_set():
            act = self._random.choice(acts)
            try:
                with closing(self._connect()) as session:
                    self._set_zone(session)
                    kept = act(session)
                    (session.commit if kept else session.rollback)()
                self._count(act.__name__.lstrip("_") if kept else "rolled back")
            except _ERRORS:
                self._count("refused by the server")
                self._stop.wait(_AWAY_SECONDS)

    def _count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def _set_zone(self, session: Any) -> None:
        zone = self._random.choice(_ZONES)
        statement = (
            "SET time_zone = %s"
            if isinstance(session, pymysql.Connection)
            else "SELECT set_config('TimeZone', %s, false)"
        )
        self._run(session, statement, zone)

    def _long(self, session: Any) -> bool:
        """A transaction that writes at its beginning and ends late, or comes to nothing."""
        for key in self._some(session, self._random.randint(1, 4)):
            self._touch(session, key)
        self._stop.wait(self._random.uniform(0, LONGEST_SECONDS))
        return self._random.random() < 0.7

    def _equal_times(self, session: Any) -> bool:
        """New rows of one moment."""
        rows = self._take(8)
        for row in rows:
            names = ", ".join(row)
            places = ", ".join(["%s"] * len(row))
            self._run(session, f"INSERT INTO {self._written.table} ({names}) VALUES ({places})", *row.values())
        return True

    def _twice(self, session: Any) -> bool:
        """The same row twice, each time committed, as fast as it goes."""
        for key in self._some(session, 1):
            for _ in range(2):
                self._touch(session, key)
                session.commit()
        return True

    def _delete(self, session: Any) -> bool:
        for key in self._some(session, 1):
            self._run(session, f"DELETE FROM {self._written.table} WHERE {self._written.key} = %s", key)
        return True

    def _change_key(self, session: Any) -> bool:
        """The identifier of a row was wrong and is corrected."""
        for key, row in zip(self._some(session, 1), self._take(1), strict=False):
            statement = f"UPDATE {self._written.table} SET {self._written.key} = %s WHERE {self._written.key} = %s"
            self._run(session, statement, row[self._written.key], key)
        return True

    def _touch(self, session: Any, key: Any) -> None:
        statement = f"UPDATE {self._written.table} SET {self._written.text} = %s WHERE {self._written.key} = %s"
        self._run(session, statement, f"第{self._random.randrange(10**9)}号", key)

    def _some(self, session: Any, number: int) -> list[Any]:
        found = self._run(
            session,
            f"SELECT {self._written.key} FROM {self._written.table} ORDER BY {self._written.random} LIMIT {number}",
        )
        return sorted(key for (key,) in found)

    def _take(self, number: int) -> list[Mapping[str, Any]]:
        with self._lock:
            taken, self._unused = self._unused[:number], self._unused[number:]
        return taken

    @staticmethod
    def _run(session: Any, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with session.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []
