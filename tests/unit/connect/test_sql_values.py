"""One value that cannot be read costs its row, and `withdrawn` is taken strictly: a real PostgreSQL."""

from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest

from exchange.connect import query, table
from exchange.connect.reading import FaultyRow, SourceRow, sequence_of_cursor
from exchange.connect.sql.values import pack, unpack
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from tests.harness.source_tables import execute
from tests.harness.sql_reading import Start


@pytest.fixture
def address(postgres: EmbeddedPostgres, unique: str) -> str:
    return postgres.database(unique)


def ten_rows(address: str, kind: str, value: str) -> None:
    """Rows 1 to 10 with a column of `kind`, which holds `value` in row 5 and null elsewhere."""
    execute(address, f"CREATE TABLE t (id int PRIMARY KEY, x {kind}, u timestamptz)")
    execute(
        address,
        "INSERT INTO t SELECT g, NULL, now() - interval '1 day' + g * interval '1 second'"
        " FROM generate_series(1, 10) g",
    )
    execute(address, f"UPDATE t SET x = '{value}' WHERE id = 5")


UNREADABLE = pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("timestamptz", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamptz", "10000-01-01 00:00+00"),
        ("timestamp", "infinity"),
        ("date", "infinity"),
        ("date", "12345-01-01"),
        ("date", "0044-03-15 BC"),
        ("time", "24:00"),
        ("timetz", "24:00+08"),
        ("date[]", "{2026-01-01,infinity}"),
        ("interval", "170000000 years"),
    ],
)


@UNREADABLE
def test_a_value_that_python_cannot_hold_costs_its_row_of_the_whole(
    address: str, start: Start, kind: str, value: str
) -> None:
    ten_rows(address, kind, value)
    reading = start(table("t", key="id", cursor="u"), address)
    reading.whole()
    assert reading.values("id") == {1, 2, 3, 4, 6, 7, 8, 9, 10}
    (fault,) = reading.faults
    assert (fault.key, fault.error.code) == ('[["n","5"]]', "E_ROW_UNREADABLE")
    assert fault.values["id"] == 5
    assert "column x" in fault.error.detail
    assert value not in fault.error.detail


@UNREADABLE
def test_a_value_that_python_cannot_hold_costs_its_row_of_a_page(
    address: str, start: Start, kind: str, value: str
) -> None:
    reading = start(table("t", key="id", cursor="u"), address)
    execute(address, f"CREATE TABLE t (id int PRIMARY KEY, x {kind}, u timestamptz)")
    reading.whole()
    execute(address, "DROP TABLE t")
    ten_rows(address, kind, value)
    reading.new()
    assert reading.values("id") == {1, 2, 3, 4, 6, 7, 8, 9, 10}
    assert [fault.key for fault in reading.faults] == ['[["n","5"]]']


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("timestamptz", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamp", "10000-01-01"),
        ("timestamp", "0044-03-15 BC"),
        ("numeric", "NaN"),
        ("numeric", "Infinity"),
        ("numeric", "1e30"),
    ],
)
def test_a_cursor_that_python_cannot_hold_hides_no_other_row(address: str, start: Start, kind: str, value: str) -> None:
    execute(address, f"CREATE TABLE t (id int PRIMARY KEY, u {kind})")
    reading = start(table("t", key="id", cursor="u"), address)
    reading.whole()
    usual = "2026-01-01" if kind.startswith("time") else "17"
    execute(address, f"INSERT INTO t VALUES (1, '{usual}'), (2, '{value}'), (3, '{usual}')")
    reading.new()
    assert {1, 3} <= reading.values("id")
    noticed = {fault.key for fault in reading.faults} | {row.key for row in reading.seen if row.sequence is None}
    assert '[["n","2"]]' in noticed
    execute(address, f"INSERT INTO t VALUES (4, '{usual}')")
    reading.new()
    reading.whole()
    execute(address, f"INSERT INTO t VALUES (5, '{usual}')")
    reading.new()
    assert {1, 3, 4, 5} <= reading.values("id")


def test_bytes_that_are_no_text_cost_their_row(postgres: EmbeddedPostgres, unique: str, start: Start) -> None:
    address = postgres.database(unique)
    plain = address.replace("+psycopg", "")
    with postgres._session() as superuser:
        superuser.execute(
            f"CREATE DATABASE {unique}x OWNER {unique} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
            " TEMPLATE template0"
        )
    other = f"{plain}x"
    with psycopg.connect(other, autocommit=True) as session:
        session.execute("SET client_encoding = 'SQL_ASCII'")
        session.execute("CREATE TABLE t (id int PRIMARY KEY, x text, u timestamptz DEFAULT now())")
        session.execute("INSERT INTO t (id, x) VALUES (1, 'plain'), (3, 'plain')")
        session.execute(b"INSERT INTO t (id, x) VALUES (2, E'\\xd6\\xd0')")
    reading = start(table("t", key="id", cursor="u"), other, limit=10)
    reading.whole()
    assert reading.values("id") == {1, 3}
    assert [fault.key for fault in reading.faults] == ['[["n","2"]]']


@pytest.mark.parametrize(
    "kind", ["char(1)", "text", "double precision", "varbit", "bytea", "jsonb", "interval", "time"]
)
def test_a_withdrawn_column_of_another_type_is_refused_before_there_is_a_row(
    address: str, start: Start, kind: str
) -> None:
    execute(address, f"CREATE TABLE t (id int PRIMARY KEY, gone {kind}, u timestamptz)")
    with pytest.raises(ExchangeError) as caught:
        start(table("t", key="id", cursor="u", withdrawn="gone"), address).whole()
    assert caught.value.code == "E_CONNECTOR"
    assert "gone" in caught.value.detail


def test_a_bit_string_that_is_longer_than_a_bit_is_refused(address: str, start: Start) -> None:
    execute(address, "CREATE TABLE t (id int PRIMARY KEY, gone bit(2))")
    execute(address, "INSERT INTO t VALUES (1, B'01')")
    with pytest.raises(ExchangeError, match="gone") as caught:
        start(table("t", key="id", withdrawn="gone"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize(
    ("kind", "no", "yes"),
    [
        ("boolean", "false", "true"),
        ("smallint", "0", "1"),
        ("bigint", "0", "1"),
        ("numeric(1)", "0", "1"),
        ("bit(1)", "B'0'", "B'1'"),
        ("boolean", "NULL", "true"),
        ("int", "NULL", "1"),
        ("timestamptz", "NULL", "now()"),
        ("timestamp", "NULL", "now()"),
        ("date", "NULL", "now()"),
    ],
)
def test_what_withdraws_a_row(address: str, start: Start, kind: str, no: str, yes: str) -> None:
    execute(address, f"CREATE TABLE t (id int PRIMARY KEY, gone {kind}, u timestamptz DEFAULT now())")
    execute(address, f"INSERT INTO t VALUES (1, {no}), (2, {yes})")
    rows = start(table("t", key="id", cursor="u", withdrawn="gone"), address, limit=10).whole()
    assert {row.values["id"]: row.withdrawn for row in rows if isinstance(row, SourceRow)} == {1: False, 2: True}


@pytest.mark.parametrize(("kind", "value"), [("int", "2"), ("int", "-1"), ("numeric", "0.5"), ("numeric", "'NaN'")])
def test_a_number_that_is_neither_0_nor_1_withdraws_nothing(address: str, start: Start, kind: str, value: str) -> None:
    execute(address, f"CREATE TABLE t (id int PRIMARY KEY, gone {kind}, u timestamptz DEFAULT now())")
    execute(address, f"INSERT INTO t VALUES (1, {value}), (2, 0)")
    reading = start(table("t", key="id", cursor="u", withdrawn="gone"), address, limit=10)
    reading.whole()
    assert reading.values("id") == {2}
    assert [fault.key for fault in reading.faults] == ['[["n","1"]]']


def test_the_zone_of_a_role_changes_neither_keys_nor_moments(address: str, start: Start, unique: str) -> None:
    execute(address, "CREATE TABLE t (at timestamptz PRIMARY KEY)")
    execute(address, "INSERT INTO t VALUES ('2026-01-01 08:00+08')")
    (before,) = start(table("t", key="at", cursor="at"), address).whole()
    execute(address, f"ALTER ROLE {unique} SET timezone = 'America/New_York'")
    (after,) = start(table("t", key="at", cursor="at"), address).whole()
    assert isinstance(before, SourceRow)
    assert isinstance(after, SourceRow)
    assert (before.key, before.sequence) == (after.key, after.sequence)
    assert after.values["at"].isoformat() == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "value",
    [
        Decimal("Infinity"),
        Decimal("-Infinity"),
        Decimal("NaN"),
        Decimal("1E+1000000"),
        Decimal("0.5"),
        2**63,
        -1,
        datetime(1969, 12, 31, tzinfo=UTC),
    ],
)
def test_a_version_that_is_no_sequence_is_said_to_be_none(value: object) -> None:
    with pytest.raises(ExchangeError) as caught:
        sequence_of_cursor(value)
    assert caught.value.code == "E_ROW_UNMAPPED"


def test_an_infinite_version_does_not_end_the_reading(address: str, start: Start) -> None:
    execute(address, "CREATE TABLE t (id int PRIMARY KEY, v numeric, u timestamptz DEFAULT now())")
    execute(address, "INSERT INTO t VALUES (1, 'Infinity'), (2, 'NaN'), (3, 7)")
    rows = start(table("t", key="id", cursor="u", version="v"), address).whole()
    assert {row.key: row.sequence for row in rows if isinstance(row, SourceRow)} == {
        '[["n","1"]]': None,
        '[["n","2"]]': None,
        '[["n","3"]]': 7,
    }


def test_a_key_that_is_no_number_costs_its_row(address: str, start: Start) -> None:
    execute(address, "CREATE TABLE t (id numeric, u timestamptz DEFAULT now())")
    execute(address, "INSERT INTO t VALUES (1), ('NaN'), (2)")
    reading = start(query("SELECT * FROM t", key="id", cursor="u"), address)
    rows = reading.whole()
    assert len(reading.seen) == 2
    assert [row.key for row in rows if isinstance(row, FaultyRow)] == [None]
    reading.new()
    assert len({row.key for row in reading.seen}) == 2


@pytest.mark.parametrize(
    "value",
    [
        7,
        True,
        "x'\"\\中",
        Decimal("1.5"),
        Decimal("12345678901234567890.5"),
        datetime(2026, 1, 2, 3, 4, 5, 6),
        datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
        datetime.max,
        datetime.min,
        b"\x00\xff",
        1.1,
    ],
)
def test_a_kept_value_is_the_same_afterwards(value: object) -> None:
    assert unpack(pack(value)) == value
