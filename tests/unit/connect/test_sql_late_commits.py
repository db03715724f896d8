"""A row is read although its transaction commits after later ones were read: PostgreSQL, whatever the cursor is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from exchange.clock import Deadline
from exchange.connect import table
from exchange.connect.tables import Table
from exchange.embedded.postgres import EmbeddedPostgres
from tests.harness.source_tables import execute
from tests.harness.sql_reading import Start, column

COUNTER = table("t", key="id", cursor="id")
NUMBERS = table("t", key="id", cursor="n", look_back_seconds=0)
MOMENTS = table("t", key="id", cursor="moment", look_back_seconds=0)
WITHOUT_ZONE = table("t", key="id", cursor="naive", look_back_seconds=0)
CURSORS = pytest.mark.parametrize(
    "declared", [NUMBERS, MOMENTS, WITHOUT_ZONE], ids=["number", "moment", "time without zone"]
)
IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND state LIKE 'idle in transaction%'"
)


@pytest.fixture
def address(postgres: EmbeddedPostgres, unique: str) -> str:
    address = postgres.database(unique)
    execute(
        address,
        "CREATE TABLE t (id bigserial PRIMARY KEY, n bigserial, moment timestamptz DEFAULT now(),"
        " naive timestamp DEFAULT now(), v text)",
    )
    return address


@contextmanager
def session(address: str) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(address.replace("+psycopg", "")) as connection:
        yield connection


def insert(address: str, value: str) -> None:
    execute(address, "INSERT INTO t (v) VALUES (:v)", v=value)


@CURSORS
def test_a_row_that_commits_late_is_read(address: str, start: Start, declared: Table) -> None:
    insert(address, "first")
    reading = start(declared, address)
    reading.whole()
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        for number in range(5):
            insert(address, f"fast {number}")
            reading.new()
        assert "slow" not in reading.values("v")
        slow.commit()
    assert "slow" in column(reading.new(), "v")


@CURSORS
def test_a_row_is_read_whose_transaction_had_only_looked_at_the_clock(
    address: str, start: Start, declared: Table
) -> None:
    reading = start(declared, address)
    reading.whole()
    with session(address) as slow:
        slow.execute("SELECT now(), nextval('t_n_seq')")  # holds no id yet, and takes its times and numbers here
        for number in range(3):
            insert(address, f"fast {number}")
            reading.new()
        slow.execute("INSERT INTO t (v, n) VALUES ('slow', currval('t_n_seq'))")
        reading.new()
        slow.commit()
    assert "slow" in column(reading.new(), "v")


@CURSORS
def test_a_row_is_read_that_was_open_during_the_whole_reading(
    address: str, start: Start, declared: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.connect.sql.reader.TOLD_LOOK_BACK", 0.1)
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        for number in range(3):
            insert(address, f"fast {number}")
        reading = start(declared, address)
        reading.whole()
        assert "slow" not in reading.values("v")
        reading.new()
        slow.commit()
    assert "slow" in column(reading.new(), "v")


def test_a_row_is_read_that_began_before_the_whole_reading_and_committed_during_it(address: str, start: Start) -> None:
    for number in range(6):
        insert(address, f"first {number}")
    reading = start(NUMBERS, address)
    pages = reading.reader.whole(2)
    next(pages)
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        insert(address, "fast")
        slow.commit()
    reading.cursor = list(pages)[-1].cursor
    assert {"slow", "fast"} <= set(column(reading.new(), "v"))


@CURSORS
def test_another_process_reads_what_commits_late(address: str, start: Start, declared: Table) -> None:
    first = start(declared, address)
    first.whole()
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        insert(address, "fast")
        first.new()
        slow.commit()
    assert "slow" in column(start(declared, address, first.cursor).new(), "v")


def test_what_a_prepared_transaction_wrote_is_read(address: str, start: Start) -> None:
    reading = start(NUMBERS, address)
    reading.whole()
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        slow.execute("PREPARE TRANSACTION 'slow'")
        insert(address, "fast")
        reading.new()
        slow.autocommit = True
        slow.execute("COMMIT PREPARED 'slow'")
    assert "slow" in column(reading.new(), "v")


def test_a_row_of_another_role_that_commits_late_is_read(
    postgres: EmbeddedPostgres, address: str, start: Start, unique: str
) -> None:
    reading = start(NUMBERS, address)
    reading.whole()
    with postgres._session() as superuser:
        info = superuser.info
        slow = psycopg.connect(host=info.host, port=info.port, user=info.user, password=info.password, dbname=unique)
    with slow:
        slow.execute("SELECT now()")
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        for number in range(3):
            insert(address, f"fast {number}")
            reading.new()
        assert "slow" not in reading.values("v")
        slow.commit()
        assert "slow" in column(reading.new(), "v")


def test_readers_do_not_wait_for_each_other(address: str, start: Start) -> None:
    for number in range(6):
        insert(address, f"first {number}")
    other = start(NUMBERS, address)
    pages = other.reader.whole(2)
    next(pages)  # its snapshot stays open
    reading = start(NUMBERS, address)
    reading.whole()
    assert reading.cursor is not None
    assert reading.cursor["pending"] == []
    pages.close()  # type: ignore[attr-defined]


def test_several_transactions_that_end_in_any_order_are_all_read(address: str, start: Start) -> None:
    reading = start(NUMBERS, address)
    reading.whole()
    with session(address) as one, session(address) as two, session(address) as three:
        for number, slow in enumerate((one, two, three)):
            slow.execute("INSERT INTO t (v) VALUES (%s)", (f"slow {number}",))
            insert(address, f"fast {number}")
            reading.new()
        for number, slow in ((1, two), (2, three), (0, one)):
            slow.commit()
            assert f"slow {number}" in column(reading.new(), "v")


def test_a_transaction_that_stays_open_does_not_make_every_pass_read_again(address: str, start: Start) -> None:
    reading = start(NUMBERS, address)
    reading.whole()
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        for number in range(20):
            insert(address, f"fast {number}")
            reading.new()
        again = column(reading.new(), "v")
        assert len(again) < 5
        slow.rollback()


def test_a_transaction_that_is_rolled_back_leaves_nothing_to_wait_for(address: str, start: Start) -> None:
    reading = start(NUMBERS, address)
    reading.whole()
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        insert(address, "fast")
        reading.new()
        slow.rollback()
    reading.new()
    reading.new()
    insert(address, "last")
    reading.new()
    assert reading.cursor is not None
    assert reading.cursor["pending"] == []
    assert "last" in reading.values("v")


def test_transactions_of_another_database_are_not_waited_for(
    postgres: EmbeddedPostgres, address: str, start: Start, unique: str
) -> None:
    other = postgres.database(f"{unique}x")
    with session(other) as elsewhere:
        elsewhere.execute("CREATE TABLE e (n int)")
        reading = start(COUNTER, address)
        reading.whole()
        insert(address, "one")
        reading.new()
        assert reading.cursor is not None
        assert reading.cursor["pending"] == []


def test_rows_of_one_bulk_load_are_not_read_again_for_ever(address: str, start: Start) -> None:
    declared = table("t", key="id", cursor="moment", look_back_seconds=0)
    execute(address, "INSERT INTO t (moment, v) SELECT now() - interval '1 hour', 'x' FROM generate_series(1, 50)")
    reading = start(declared, address, limit=100)
    reading.whole()
    reading.until(lambda: reading.new() == [])


def test_a_change_within_the_same_second_is_read(address: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.connect.sql.positions._COARSEST", 10**12)  # however slow the machine is
    execute(address, "CREATE TABLE s (id int PRIMARY KEY, at timestamp(0), v text)")
    declared = table("s", key="id", cursor="at", look_back_seconds=0)
    reading = start(declared, address)
    reading.whole()
    execute(address, "INSERT INTO s VALUES (1, now(), 'one')")
    for _ in range(4):
        reading.new()
    assert reading.cursor is not None
    assert reading.cursor["base"] is not None
    execute(address, "UPDATE s SET v = 'two'")  # the clock column has the same second
    assert column(reading.new(), "v") == ["two"]


def test_a_reading_that_waits_for_open_transactions_can_be_left(address: str, start: Start) -> None:
    reading = start(NUMBERS, address)
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        insert(address, "fast")
        pages = reading.reader.whole(2)
        first = next(pages)
        assert first.rows == []
        assert "fast" not in reading.values("v")
        pages.close()  # type: ignore[attr-defined]
        deadline = Deadline.after(20)
        with session(address) as look:
            look.autocommit = True
            while look.execute(IN_TRANSACTION).fetchone() != (1,):  # the slow one
                assert not deadline.passed


def test_a_prepared_transaction_that_was_open_during_the_whole_reading_is_read(
    address: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.connect.sql.reader.TOLD_LOOK_BACK", 0.1)
    with session(address) as slow:
        slow.execute("INSERT INTO t (v) VALUES ('slow')")
        slow.execute("PREPARE TRANSACTION 'slow at first'")
        insert(address, "fast")
        reading = start(NUMBERS, address)
        reading.whole()
        assert reading.values("v") == {"fast"}
        slow.autocommit = True
        slow.execute("COMMIT PREPARED 'slow at first'")
    assert "slow" in column(reading.new(), "v")
