"""Tables of a real MariaDB as sources. The server's clock is that of China, its sessions are read in UTC."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pymysql
import pytest

from exchange.connect import query, table
from exchange.connect.reading import SourceRow
from exchange.connect.tables import Table
from exchange.errors import ExchangeError
from tests.harness.mariadb import MariaDb
from tests.harness.sql_reading import Start, column

COUNTER = table("t", key="id", cursor="n")
STAMP = table("t", key="id", cursor="stamp")
SECONDS = table("t", key="id", cursor="seconds")


@pytest.fixture
def database(maria: MariaDb, unique: str) -> str:
    maria.database(unique)
    maria.run(
        "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, n bigint, v varchar(20),"
        " stamp timestamp(6) DEFAULT now(6) ON UPDATE now(6), seconds datetime DEFAULT now() ON UPDATE now())",
        database=unique,
    )
    return unique


@pytest.fixture
def address(maria: MariaDb, database: str) -> str:
    user = f"department:{MariaDb.PASSWORD}"
    return f"mysql+pymysql://{user}@127.0.0.1:{maria.port}/{database}?charset=utf8mb4"


@contextmanager
def session(maria: MariaDb, database: str) -> Iterator[Any]:
    with pymysql.connect(
        host="127.0.0.1", port=maria.port, user="department", password=MariaDb.PASSWORD, database=database
    ) as connection:
        yield connection


@pytest.fixture
def sees_processes(maria: MariaDb, address: str) -> Iterator[None]:
    maria.run("GRANT PROCESS ON *.* TO department@'%'")
    yield
    maria.run("REVOKE PROCESS ON *.* FROM department@'%'")


@pytest.mark.parametrize("declared", [COUNTER, STAMP, SECONDS], ids=["number", "timestamp", "datetime"])
def test_a_row_that_commits_late_is_read(
    maria: MariaDb, database: str, address: str, start: Start, declared: Table
) -> None:
    reading = start(declared, address)
    maria.run("INSERT INTO t (n, v) VALUES (0, 'first')", database=database)
    reading.whole()
    with session(maria, database) as slow, slow.cursor() as cursor:
        cursor.execute("INSERT INTO t (n, v) VALUES (1, 'slow')")
        for number in range(3):
            maria.run(f"INSERT INTO t (n, v) VALUES ({number + 2}, 'fast')", database=database)
            reading.new()
        assert "slow" not in reading.values("v")
        slow.commit()
    assert "slow" in column(reading.new(), "v")


@pytest.mark.usefixtures("sees_processes")
@pytest.mark.parametrize("declared", [COUNTER, STAMP, SECONDS], ids=["number", "timestamp", "datetime"])
def test_whoever_sees_processes_reads_a_row_however_late_it_commits(
    maria: MariaDb, database: str, address: str, start: Start, declared: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.connect.sql.reader.TOLD_LOOK_BACK", 0.0)
    reading = start(declared, address)
    reading.whole()
    with session(maria, database) as slow, slow.cursor() as cursor:
        cursor.execute("INSERT INTO t (n, v) VALUES (1, 'slow')")
        for number in range(3):
            maria.run(f"INSERT INTO t (n, v) VALUES ({number + 2}, 'fast {number}')", database=database)
            reading.new()
        before = reading.cursor
        assert before is not None
        cursor.execute("SELECT SLEEP(4)")  # longer than the grain of `trx_started`
        maria.run("INSERT INTO t (n, v) VALUES (9, 'fast')", database=database)
        reading.new()
        slow.commit()
    assert "slow" in column(reading.new(), "v")


def test_the_second_change_within_one_second_is_read(maria: MariaDb, database: str, address: str, start: Start) -> None:
    reading = start(SECONDS, address)
    reading.whole()
    maria.run("INSERT INTO t (id, n, v) VALUES (1, 0, 'one')", database=database)
    reading.new()
    maria.run("UPDATE t SET v = 'two', seconds = seconds", database=database)
    assert column(reading.new(), "v") == ["two"]


def test_a_timestamp_is_a_moment_and_a_datetime_is_what_is_written(
    maria: MariaDb, database: str, address: str, start: Start
) -> None:
    maria.run(
        "SET time_zone = '+08:00'",
        "INSERT INTO t (n, stamp, seconds) VALUES (1, '2026-01-02 08:00:00', '2026-01-02 08:00:00')",
        database=database,
    )
    (row,) = start(STAMP, address).whole()
    assert isinstance(row, SourceRow)
    assert row.values["stamp"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert row.values["seconds"] == datetime(2026, 1, 2, 8)
    assert row.sequence == 1767312000000000
    (other,) = start(SECONDS, address).whole()
    assert isinstance(other, SourceRow)
    assert other.sequence == row.sequence  # a time without zone is China's


def test_texts_that_are_equal_to_the_database_are_not_lost_between_pages(
    maria: MariaDb, database: str, address: str, start: Start
) -> None:
    words = ["a", "A", "á", "À", "b", "B", "c ", "c", "d"]
    maria.run("CREATE TABLE w (w varchar(9) COLLATE utf8mb4_general_ci, n bigint)", database=database)
    reading = start(table("w", key="w", cursor="n"), address)
    reading.whole()
    for word in words:
        maria.run(f"INSERT INTO w VALUES ('{word}', 1)", database=database)
    assert sorted(map(str, column(reading.new(), "w"))) == sorted(words)


@pytest.mark.parametrize(
    ("kind", "value"), [("date", "0000-00-00"), ("datetime", "0000-00-00 00:00:00"), ("date", "2026-02-00")]
)
def test_a_date_that_is_none_costs_its_row(
    maria: MariaDb, database: str, address: str, start: Start, kind: str, value: str
) -> None:
    maria.run(
        "SET sql_mode = ''",
        f"ALTER TABLE t ADD COLUMN d {kind}",
        f"INSERT INTO t (n, d) VALUES (1, NULL), (2, '{value}'), (3, '2026-01-02')",
        database=database,
    )
    reading = start(COUNTER, address)
    reading.whole()
    assert reading.values("n") == {1, 3}
    assert [fault.key for fault in reading.faults] == ['[["n","2"]]']
    reading.new()
    assert reading.values("n") == {1, 3}


def test_a_zero_date_as_cursor_hides_no_row(maria: MariaDb, database: str, address: str, start: Start) -> None:
    reading = start(SECONDS, address)
    reading.whole()
    maria.run(
        "SET sql_mode = ''",
        "INSERT INTO t (n, seconds) VALUES (1, now()), (2, '0000-00-00'), (3, now()), (4, NULL)",
        database=database,
    )
    reading.new()
    assert reading.values("n") == {1, 3}
    assert {fault.key for fault in reading.faults} == {'[["n","2"]]', '[["n","4"]]'}


def test_bytes_that_are_no_text_cost_their_row(maria: MariaDb, database: str, address: str, start: Start) -> None:
    maria.run(
        "INSERT INTO t (n, v) VALUES (1, 'one'), (2, 'two'), (3, '中')",
        "ALTER TABLE t MODIFY v varbinary(20)",
        "UPDATE t SET v = x'eda080' WHERE n = 2",
        database=database,
    )
    try:
        maria.run("ALTER TABLE t MODIFY v varchar(20) CHARACTER SET utf8mb4", database=database)
    except pymysql.Error:
        pytest.skip("this server lets no such bytes into a text")
    reading = start(COUNTER, address)
    reading.whole()
    assert "中" in reading.values("v")
    assert reading.values("n") == {1, 3}
    assert len(reading.faults) == 1


@pytest.mark.parametrize("kind", ["char(1)", "varchar(5)", "double", "year", "time", "varbinary(1)"])
def test_a_withdrawn_column_of_another_type_is_refused(
    maria: MariaDb, database: str, address: str, start: Start, kind: str
) -> None:
    maria.run(f"ALTER TABLE t ADD COLUMN gone {kind}", database=database)
    with pytest.raises(ExchangeError, match="gone") as caught:
        start(table("t", key="id", cursor="n", withdrawn="gone"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize("kind", ["bit(1)", "boolean", "tinyint", "decimal(1)", "bit(8)"])
def test_what_withdraws_a_row(maria: MariaDb, database: str, address: str, start: Start, kind: str) -> None:
    maria.run(
        f"ALTER TABLE t ADD COLUMN gone {kind}",
        "INSERT INTO t (n, gone) VALUES (1, 0), (2, 1), (3, NULL)",
        database=database,
    )
    rows = start(table("t", key="id", cursor="n", withdrawn="gone"), address, limit=10).whole()
    assert {row.values["n"]: row.withdrawn for row in rows if isinstance(row, SourceRow)} == {
        1: False,
        2: True,
        3: False,
    }


def test_keys_of_bytes_and_of_fixed_length(maria: MariaDb, database: str, address: str, start: Start) -> None:
    maria.run(
        "CREATE TABLE k (b binary(16), c char(4), n bigint, PRIMARY KEY (b, c))",
        "INSERT INTO k VALUES (x'6f1e0000000040008000000000000001', 'a', 1), (x'ff', 'b', 1), (x'00', '中', 1)",
        database=database,
    )
    reading = start(table("k", key=("b", "c"), cursor="n"), address)
    whole = {row.key for row in reading.whole()}
    assert '[["b","6f1e0000000040008000000000000001"],["s","a"]]' in whole
    assert {row.key for row in start(table("k", key=("b", "c"), cursor="n"), address, reading.cursor).new()} == whole


def test_a_whole_reading_is_of_one_moment_and_may_be_left(
    maria: MariaDb, database: str, address: str, start: Start
) -> None:
    maria.run("INSERT INTO t (n) SELECT seq FROM seq_1_to_20000", database=database)
    reading = start(COUNTER, address, limit=100)
    pages = reading.reader.whole(100)
    first = next(pages)
    maria.run("DELETE FROM t WHERE n > 5", "INSERT INTO t (n) VALUES (99999)", database=database)
    rest = [row for page in pages for row in page.rows]
    assert len(first.rows) + len(rest) == 20000
    maria.run("INSERT INTO t (n) SELECT seq FROM seq_1_to_20000", database=database)
    left = reading.reader.whole(100)
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert len(reading.whole()) == 20006


def test_a_query_reaches_the_server_as_it_was_written(
    maria: MariaDb, database: str, address: str, start: Start
) -> None:
    maria.run("INSERT INTO t (n, v) VALUES (1, 'a:b%c')", database=database)
    statement = "SELECT id, n, ':abc' AS m, '%s' AS f, 'it\\'s; 1' AS q FROM t WHERE v LIKE '%:b%' # all;"
    rows = start(query(statement, key="id", cursor="n"), address).whole()
    assert column(rows, "m") == [":abc"]
    assert column(rows, "q") == ["it's; 1"]


@pytest.mark.parametrize(
    ("statement", "number"),
    [("SELECT id, n FROM missing", "1146"), ("SELECT id, wrong FROM t", "1054"), ("SELECT FROM", "1064")],
)
def test_a_statement_that_cannot_run_is_the_fault_of_the_declaration(
    address: str, start: Start, statement: str, number: str
) -> None:
    with pytest.raises(ExchangeError, match=number) as caught:
        start(query(statement, key="id"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


def test_a_server_that_was_killed_is_an_error_to_wait_for(
    maria: MariaDb, database: str, address: str, start: Start
) -> None:
    maria.run("INSERT INTO t (n) VALUES (1)", database=database)
    reading = start(COUNTER, address)
    reading.whole()
    maria.kill()
    with pytest.raises(ExchangeError) as caught:
        reading.new()
    assert caught.value.code == "E_SOURCE_UNREACHABLE"
    maria.start()
    maria.run("INSERT INTO t (n) VALUES (2)", database=database)
    assert 2 in column(reading.new(), "n")


@pytest.mark.parametrize(("declared", "kind"), [(SECONDS, "timestamp"), (STAMP, "datetime(6)"), (COUNTER, "datetime")])
def test_a_cursor_column_of_another_type_is_read_from_its_beginning(
    maria: MariaDb, database: str, address: str, start: Start, declared: Table, kind: str
) -> None:
    maria.run("INSERT INTO t (n, v) VALUES (20260101000001, 'a'), (20260101000002, 'b')", database=database)
    reading = start(declared, address)
    reading.whole()
    reading.new()
    assert declared.columns is not None
    maria.run(
        f"ALTER TABLE t MODIFY {declared.columns.cursor} {kind}",
        "INSERT INTO t (n, v, stamp, seconds) VALUES (20260101000003, 'c', now(6), now())",
        database=database,
    )
    reading.until(lambda: "c" in reading.values("v"))
