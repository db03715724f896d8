"""Away waits, a wrong declaration stops with its SQLSTATE; a query reaches the server as it was written."""

from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from exchange.connect import query, table
from exchange.connect.database_errors import Kind, sort
from exchange.connect.engine import open_engine
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings
from tests.harness.source_tables import execute
from tests.harness.sql_reading import Start


@pytest.fixture
def address(postgres: EmbeddedPostgres, unique: str) -> str:
    address = postgres.database(unique)
    execute(address, "CREATE TABLE t (id int PRIMARY KEY, j jsonb, name text, u timestamptz DEFAULT now())")
    with psycopg.connect(address.replace("+psycopg", ""), autocommit=True) as session:
        session.execute("CREATE SEQUENCE numbers")
        session.execute("""INSERT INTO t (id, j, name) VALUES (1, '{"a": 1}', 'a:b%c')""")
    return address


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id, u FROM t WHERE j @> '{\"a\":1}'",
        "SELECT id, u FROM t;",
        "SELECT id, u FROM t ; \n ",
        "SELECT id, u FROM t -- all",
        "SELECT id, u, ':abc' AS n FROM t",
        "SELECT id, u, name::varchar FROM t WHERE u > '2020-01-01 00:00:00'::timestamptz",
        "SELECT id, u FROM t WHERE name LIKE '%:b%'",
        "SELECT id, u FROM t WHERE name LIKE '%s%' OR id % 2 = 1",
        "SELECT id, u FROM t WHERE j ? 'a'",
        "SELECT id, u FROM t WHERE j ?| array['a', 'b'] AND name = 'a:b%c' AND '\\:x' <> ':x'",
        "WITH few AS (SELECT * FROM t) SELECT id, u FROM few ORDER BY id /* all */",
        "SELECT id, u, '--' AS dashes, '$1' AS mark, '%(x)s' AS format FROM t",
    ],
)
def test_a_query_reaches_the_server_as_it_was_written(address: str, start: Start, statement: str) -> None:
    reading = start(query(statement, key="id", cursor="u"), address)
    assert len(reading.whole()) == 1
    assert len(reading.new()) == 1
    assert reading.values("id") == {1}


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("SELECT id, u FROM missing", "42P01"),
        ("SELECT id, wrong FROM t", "42703"),
        ("SELECT setval('numbers', 1)::int AS id, u FROM t", "25006"),
        ("SELECT id u FROM t WHERE", "42601"),
        ("SELECT id, u FROM t; DELETE FROM t", "42601"),
        ("DELETE FROM t RETURNING id, u", "42601"),
        ("SELECT id, u FROM t) x; DROP TABLE t; --", "42601"),
        ("SELECT id, u, nothing(id) FROM t", "42883"),
    ],
)
def test_a_statement_that_cannot_run_is_the_fault_of_the_declaration(
    address: str, start: Start, statement: str, state: str
) -> None:
    with pytest.raises(ExchangeError) as caught:
        start(query(statement, key="id", cursor="u"), address).whole()
    assert caught.value.code == "E_CONNECTOR"
    assert state in caught.value.detail


def test_a_misspelt_table_is_the_fault_of_the_declaration(address: str, start: Start) -> None:
    with pytest.raises(ExchangeError, match="42P01") as caught:
        start(table("persons", key="id"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


def test_a_column_that_was_renamed_stops_the_source_and_keeps_its_cursor(address: str, start: Start) -> None:
    reading = start(table("t", key="id", cursor="u"), address)
    reading.whole()
    execute(address, "ALTER TABLE t RENAME COLUMN u TO changed")
    with pytest.raises(ExchangeError, match="42703") as caught:
        reading.new()
    assert caught.value.code == "E_CONNECTOR"
    execute(address, "ALTER TABLE t RENAME COLUMN changed TO u")
    execute(address, "INSERT INTO t (id) VALUES (2)")
    reading.new()
    assert 2 in reading.values("id")


def test_a_right_that_is_missing_is_the_fault_of_the_declaration(address: str, start: Start, unique: str) -> None:
    with psycopg.connect(address.replace("+psycopg", ""), autocommit=True) as session:
        session.execute(f"REVOKE ALL ON t FROM {unique}")
    with pytest.raises(ExchangeError, match="42501") as caught:
        start(table("t", key="id", cursor="u"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


def test_a_database_that_is_away_is_an_error_to_wait_for(start: Start) -> None:
    with pytest.raises(ExchangeError) as caught:
        start(table("t", key="id", cursor="u"), "postgresql://nobody:secret-word@127.0.0.1:1/none").whole()
    assert caught.value.code == "E_SOURCE_UNREACHABLE"
    assert "secret-word" not in str(caught.value)


def test_a_session_that_the_server_ended_is_an_error_to_wait_for(
    postgres: EmbeddedPostgres, address: str, start: Start, unique: str
) -> None:
    for number in range(2, 9):
        execute(address, "INSERT INTO t (id) VALUES (:id)", id=number)
    reading = start(table("t", key="id", cursor="u"), address)
    pages = reading.reader.whole(2)
    next(pages)
    with postgres._session() as superuser:
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (unique,))
    with pytest.raises(ExchangeError) as caught:
        list(pages)
    assert caught.value.code == "E_SOURCE_UNREACHABLE"
    assert len(reading.whole()) == 8


def test_a_new_password_needs_no_restart(postgres: EmbeddedPostgres, address: str, unique: str, tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text(address, encoding="utf-8")
    reader = table("t", key="id", cursor="u").reader(ConnectorSettings(database_file=file))
    assert len(list(reader.whole(10))) == 1
    with postgres._session() as superuser:
        superuser.execute(f"ALTER ROLE {unique} PASSWORD 'another'")
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (unique,))
    with pytest.raises(ExchangeError) as caught:
        list(reader.whole(10))
    assert caught.value.code == "E_SOURCE_UNREACHABLE"
    file.write_text("", encoding="utf-8")  # an editor is at work
    with pytest.raises(ExchangeError) as caught:
        list(reader.whole(10))
    assert caught.value.code == "E_SOURCE_UNREACHABLE"
    head, _, tail = address.rpartition("@")
    file.write_text(f"{head.rpartition(':')[0]}:another@{tail}", encoding="utf-8")
    assert len(list(reader.whole(10))) == 1
    reader.close()


@pytest.mark.parametrize(
    "address", ["clickhouse://u:secret-word@h/d", "postgresql+psycopg2://u:secret-word@h/d", "mysql+mysqldb://h/d"]
)
def test_a_database_that_was_not_tried_is_refused(address: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        open_engine(address)
    assert caught.value.code == "E_CONNECTOR"
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_look_back_that_is_none_is_refused(address: str, start: Start, seconds: float) -> None:
    with pytest.raises(ExchangeError) as caught:
        start(table("t", key="id", cursor="u", look_back_seconds=seconds), address)
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize("address", ["", "nonsense", "postgresql://host:port/x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        open_engine(address)
    assert caught.value.code in ("E_SETTINGS", "E_CONNECTOR")


@pytest.mark.parametrize(
    "version",
    [
        "KingbaseES V008R006C007B0012 on x86_64-pc-linux-gnu",
        "(openGauss 5.0.0 build a07d57c3) compiled at 2023-03-29",
        "PostgreSQL 9.2.4 (openGauss 3.0.0 build 02c14696)",
    ],
)
def test_a_server_that_only_speaks_like_postgresql_is_refused_with_a_sentence(
    address: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.exec_driver_sql

    def other(connection: Connection, statement: str, *more: Any) -> Any:
        return run(connection, statement.replace("pg_catalog.version()", f"'{version}'"), *more)

    monkeypatch.setattr(Connection, "exec_driver_sql", other)
    engine = open_engine(address)
    with pytest.raises(ExchangeError) as caught:
        engine.connect()
    assert caught.value.code == "E_CONNECTOR"
    assert "to try another" in caught.value.detail
    engine.dispose()


FAILING = "SELECT id, u, name::int AS number FROM t"


@pytest.fixture
def nine_of_ten(address: str) -> str:
    """Ten rows, of which the fifth cannot be cast as the query wants it."""
    execute(address, "DELETE FROM t")
    execute(
        address,
        "INSERT INTO t SELECT g, NULL, CASE g WHEN 5 THEN 'secret' ELSE g::text END, now()"
        " FROM generate_series(1, 10) g",
    )
    return address


@pytest.mark.parametrize("cursor", ["u", None])
def test_a_row_on_which_the_database_fails_costs_itself_in_the_whole(
    nine_of_ten: str, start: Start, cursor: str | None
) -> None:
    reading = start(query(FAILING, key="id", cursor=cursor), nine_of_ten, limit=3)
    reading.whole()
    assert reading.values("id") == {1, 2, 3, 4, 6, 7, 8, 9, 10}
    assert {fault.key for fault in reading.faults} == {'[["n","5"]]'}
    assert "22P02" in reading.faults[0].error.detail
    assert "secret" not in reading.faults[0].error.detail
    execute(nine_of_ten, "INSERT INTO t (id, name) VALUES (11, '11')")
    reading.new()
    assert (11 in reading.values("id")) == (cursor is not None)


def test_a_row_on_which_the_database_fails_costs_itself_in_a_page(address: str, start: Start) -> None:
    execute(address, "UPDATE t SET name = '1'")
    reading = start(query(FAILING, key="id", cursor="u"), address, limit=3)
    reading.whole()
    execute(
        address,
        "INSERT INTO t SELECT g, NULL, CASE g WHEN 5 THEN 'secret' ELSE g::text END, now()"
        " FROM generate_series(2, 9) g",
    )
    reading.new()
    assert reading.values("id") == {1, 2, 3, 4, 6, 7, 8, 9}
    assert {fault.key for fault in reading.faults} == {'[["n","5"]]'}
    execute(address, "UPDATE t SET name = '5', u = now() WHERE id = 5")
    reading.new()
    assert 5 in reading.values("id")


def test_a_key_on_which_the_database_fails_is_the_fault_of_the_declaration(nine_of_ten: str, start: Start) -> None:
    with pytest.raises(ExchangeError, match="22P02") as caught:
        start(query("SELECT name::int AS id, u FROM t", key="id", cursor="u"), nine_of_ten).whole()
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize(
    ("number", "kind"), [(1205, Kind.AWAY), (1366, Kind.ROW), (1146, Kind.DECLARATION), (3024, Kind.AWAY)]
)
def test_an_error_of_mysql_is_sorted_by_its_number_whatever_its_state_says(number: int, kind: Kind) -> None:
    original = pymysql.err.OperationalError(number, "a text with a value")
    original.sqlstate = "HY000"
    fault = sort(OperationalError(None, None, original))
    assert fault.kind is kind
    assert str(number) in fault.detail
    assert "value" not in fault.detail
