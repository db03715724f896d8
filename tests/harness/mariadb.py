"""A real MariaDB for tests: Debian's server (`apt-get install mariadb-server`), in a folder of the test run."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from exchange.embedded.ports import free_port

_START_SECONDS = 60.0


def server() -> str:
    """The server's program. A machine without it skips the test; where TESTS_NEED_MARIADB is set, it fails."""
    found = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if found is None and not os.environ.get("TESTS_NEED_MARIADB"):
        pytest.skip("MariaDB is not installed (Debian: apt-get install mariadb-server)")
    assert found is not None, "MariaDB is not installed"
    return found


class MariaDb:
    """A server on a port of 127.0.0.1, with a user `department` who has a password and every right on its databases."""

    PASSWORD = "of-the-test-run"

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
            ]
            + (["--user=root"] if os.geteuid() == 0 else []),
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        """Start it, or start it again; returns when it takes connections."""
        options = ["--no-defaults", f"--datadir={self._folder / 'data'}", f"--socket={self._folder / 's'}"]
        options += [
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=2",
        ]
        options += ["--user=root"] if os.geteuid() == 0 else []
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([server(), *options, *self._options], stdout=log, stderr=log)
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                if not (self._folder / "s").exists():
                    raise pymysql.err.OperationalError  # asked, the driver would leave a socket open
                self.run("SELECT 1")
                return
            except pymysql.err.OperationalError:
                assert time.monotonic() < until, (self._folder / "log").read_text()
                time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a power failure does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        (self._folder / "s").unlink(missing_ok=True)

    def run(self, *statements: str, database: str = "mysql") -> list[tuple[object, ...]]:
        """Run statements as root; the rows of the last one."""
        connected = pymysql.connect(
            unix_socket=str(self._folder / "s"), user="root", database=database, autocommit=True
        )
        with connected as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def database(self, name: str) -> str:
        """Make an empty database; its address as SQLAlchemy takes it."""
        self.run(
            f"DROP DATABASE IF EXISTS `{name}`",
            f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4",
            f"CREATE USER IF NOT EXISTS department@'%' IDENTIFIED BY '{self.PASSWORD}'",
            f"GRANT ALL ON `{name}`.* TO department@'%'",
        )
        user = f"department:{self.PASSWORD}"
        return f"mysql+pymysql://{user}@127.0.0.1:{self.port}/{name}?charset=utf8mb4"


@contextmanager
def mariadb(folder: Path, *options: str) -> Iterator[MariaDb]:
    """A running server; killed at the end."""
    server()
    made = MariaDb(folder, *options)
    made.start()
    try:
        yield made
    finally:
        made.kill()
