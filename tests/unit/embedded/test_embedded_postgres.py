"""The embedded PostgreSQL keeps departments apart, survives kills, and leaves no process behind."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from exchange.clock import Deadline
from exchange.embedded import postgres as postgres_module
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError


def _connect(address: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(address.replace("postgresql+psycopg", "postgresql"), autocommit=True)


def _other_database(address: str, name: str) -> str:
    return f"{address.rpartition('/')[0]}/{name}"


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_department_reads_its_own_database_and_no_other(postgres: EmbeddedPostgres, unique: str) -> None:
    mine = postgres.database(f"{unique}-tax")
    postgres.database(f"{unique}-health")
    with _connect(mine) as session:
        session.execute("CREATE TABLE company (name text)")
        session.execute("INSERT INTO company VALUES ('合肥')")
        assert session.execute("SELECT name FROM company").fetchall() == [("合肥",)]
    for foreign in (f"{unique}-health", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            _connect(_other_database(mine, foreign))


def test_a_department_cannot_make_databases_or_roles(postgres: EmbeddedPostgres, unique: str) -> None:
    with _connect(postgres.database(unique)) as session:
        for statement in ("CREATE DATABASE more", "CREATE ROLE more", "COPY (SELECT 1) TO PROGRAM 'true'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement.encode())


def test_a_wrong_secret_is_refused(postgres: EmbeddedPostgres, unique: str) -> None:
    address = postgres.database(unique)
    secret = (postgres.folder / f"{unique}.secret").read_text().strip()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _connect(address.replace(secret, "wrong"))


def test_the_address_stays_the_same_and_lies_in_a_private_file(postgres: EmbeddedPostgres, unique: str) -> None:
    file = postgres.database_file(unique)
    assert file.read_text().strip() == postgres.database(unique)
    for private in (file, postgres.folder / f"{unique}.secret", postgres.folder / "superuser.secret"):
        assert private.stat().st_mode & 0o077 == 0


def test_it_listens_on_loopback_only_and_is_not_root(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    process = psutil.Process(postgres.pid)
    listening = {one.laddr.ip for one in process.net_connections() if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert process.uids().effective != 0


def test_failed_statements_leave_no_value_in_the_log(postgres: EmbeddedPostgres, unique: str) -> None:
    with _connect(postgres.database(unique)) as session:
        session.execute("CREATE TABLE person (id text PRIMARY KEY)")
        session.execute("INSERT INTO person VALUES ('341599194901011234')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("INSERT INTO person VALUES ('341599194901011234')")
    assert "341599194901011234" not in postgres.log.read_text()


def test_data_survives_stop_and_kill_on_one_folder(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path).start()
    address = server.database("tax")
    with _connect(address) as session:
        session.execute("CREATE TABLE t (n int)")
        session.execute("INSERT INTO t VALUES (1)")
    server.stop()
    assert not server.running
    server.start()
    with _connect(server.database("tax")) as session:
        session.execute("INSERT INTO t VALUES (2)")
        server.kill()
    server.start()
    assert server.database("tax") == address
    with _connect(address) as session:
        assert session.execute("SELECT n FROM t ORDER BY n").fetchall() == [(1,), (2,)]
    with pytest.raises(ExchangeError, match="a PostgreSQL runs already"):
        EmbeddedPostgres(tmp_path).start(Deadline.after(0.1))
    server.stop()


def test_no_process_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from exchange.embedded.postgres import EmbeddedPostgres\n"
        "print(EmbeddedPostgres(Path(sys.argv[1])).start().pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        family = [pid, *(one.pid for one in psutil.Process(pid).children(recursive=True))]
        parent.kill()
    deadline = Deadline.after(20)
    while not all(map(_gone, family)):
        assert not deadline.passed, "PostgreSQL outlived its parent"
        time.sleep(0.02)
    with EmbeddedPostgres(tmp_path).start() as again:
        assert again.running


def test_no_process_is_left_when_the_guard_is_killed(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path).start()
    assert server.pid is not None
    pid, guard = server.pid, psutil.Process(server.pid).parent()
    assert guard is not None
    guard.kill()
    deadline = Deadline.after(20)
    while server.running or not _gone(pid):
        assert not deadline.passed, "PostgreSQL outlived its guard"
        time.sleep(0.02)
    server.stop()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ExchangeError, match=r"E_EMBEDDED: .*file/data cannot be used"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_programs_in_a_closed_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, the account that PostgreSQL runs under has to pass through a virtual environment under root's home."""
    package = postgres_module._binary("postgres").parents[2]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in package.parent.glob(f"{package.name}*"):  # its libraries lie beside it
        shutil.copytree(part, closed / part.name, symlinks=True)
    installed = closed / postgres_module._binary("postgres").relative_to(package.parent).parent
    monkeypatch.setattr(postgres_module, "_binary", lambda name: installed / name)
    with EmbeddedPostgres(tmp_path / "server") as server:
        assert server.database("register").startswith("postgresql+psycopg://register:")
