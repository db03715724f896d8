"""SQLite files as sources: columns without types, texts that are times, a writer beside the reader."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exchange.connect import query, table
from exchange.connect.reading import SourceRow
from exchange.errors import ExchangeError
from tests.harness.sql_reading import Start, column

Run = Callable[..., None]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "office.db"


@pytest.fixture
def run(file: Path) -> Run:
    def statements(*texts: Any) -> None:
        with sqlite3.connect(file) as connection:
            for text in texts:
                connection.execute(*text) if isinstance(text, tuple) else connection.execute(text)
        connection.close()

    statements("CREATE TABLE t (id INTEGER PRIMARY KEY, v, u TEXT DEFAULT CURRENT_TIMESTAMP)")
    return statements


@pytest.fixture
def address(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.mark.usefixtures("run")
def test_a_table_is_read_whole_and_then_along_its_times(address: str, run: Run, start: Start) -> None:
    run("INSERT INTO t (v) VALUES ('a')", "INSERT INTO t (v) VALUES ('b')", "INSERT INTO t (v) VALUES ('c')")
    reading = start(table("t", key="id", cursor="u"), address)
    reading.whole()
    assert reading.values("v") == {"a", "b", "c"}
    run("UPDATE t SET v = 'd' WHERE id = 2")  # within the same second, its time stays
    assert "d" in column(reading.new(), "v")
    run("INSERT INTO t (v, u) VALUES ('e', '2026-01-02T03:04:05Z')")
    (row,) = [row for row in start(table("t", key="id", cursor="u"), address).whole() if row.key == '[["n","4"]]']
    assert isinstance(row, SourceRow)
    assert row.sequence == 1767323045000000


def test_a_counter_is_a_cursor(address: str, run: Run, start: Start) -> None:
    reading = start(table("t", key="id", cursor="id"), address)
    reading.whole()
    run(*(f"INSERT INTO t (v) VALUES ({n})" for n in range(5)))
    assert set(column(reading.new(), "id")) == {1, 2, 3, 4, 5}
    run("DELETE FROM t", "INSERT INTO t (id, v) VALUES (9, 'x')")
    assert column(reading.new(), "id") == [9]


def test_bytes_that_are_no_text_cost_their_row(address: str, run: Run, start: Start) -> None:
    run(
        "INSERT INTO t (v) VALUES ('one')",
        "INSERT INTO t (v) VALUES (CAST(x'd6d0' AS TEXT))",
        "INSERT INTO t (v) VALUES (CAST(x'eda080' AS TEXT))",
        "INSERT INTO t (v) VALUES ('中')",
    )
    reading = start(table("t", key="id", cursor="id"), address)
    reading.whole()
    assert reading.values("v") == {"one", "中"}
    assert [fault.key for fault in reading.faults] == ['[["n","2"]]', '[["n","3"]]']
    reading.new()
    assert reading.values("v") == {"one", "中"}


def test_a_null_cursor_or_key_is_noticed(address: str, run: Run, start: Start) -> None:
    run("CREATE TABLE k (a TEXT, b TEXT, n INTEGER)")
    reading = start(table("k", key=("a", "b"), cursor="n"), address)
    reading.whole()
    run("INSERT INTO k VALUES ('x', 'y', 1), ('x', NULL, 1), ('z', 'z', 2), ('w', 'w', NULL)")
    reading.new()
    assert reading.values("a") == {"x", "z"}
    assert {fault.key for fault in reading.faults} == {None, '[["s","w"],["s","w"]]'}


@pytest.mark.parametrize("value", ["N", "0", " ", 0.0, b"0", "2026-01-01"])
def test_a_withdrawn_value_of_another_type_is_refused(address: str, run: Run, start: Start, value: object) -> None:
    run("ALTER TABLE t ADD COLUMN gone", ("INSERT INTO t (v, gone) VALUES ('a', ?)", (value,)))
    with pytest.raises(ExchangeError, match="gone") as caught:
        start(table("t", key="id", cursor="id", withdrawn="gone"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize("cursor", [1.5, b"1"])
def test_a_cursor_that_is_neither_number_nor_time_is_refused(
    address: str, run: Run, start: Start, cursor: object
) -> None:
    run(("INSERT INTO t (v) VALUES (?)", (cursor,)))
    with pytest.raises(ExchangeError, match="column v") as caught:
        start(table("t", key="id", cursor="v"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("statement", ["SELECT id FROM missing", "SELECT wrong FROM t", "SELECT id FROM t; SELECT 1"])
def test_a_statement_that_cannot_run_is_the_fault_of_the_declaration(
    address: str, start: Start, statement: str
) -> None:
    with pytest.raises(ExchangeError, match="SQLITE_ERROR") as caught:
        start(query(statement, key="id"), address).whole()
    assert caught.value.code == "E_CONNECTOR"


def test_a_file_that_is_not_there_is_an_error_to_wait_for(tmp_path: Path, start: Start) -> None:
    with pytest.raises(ExchangeError) as caught:
        start(table("t", key="id"), f"sqlite:///{tmp_path}/missing/office.db").whole()
    assert caught.value.code == "E_SOURCE_UNREACHABLE"


def test_the_rows_of_before_are_read_once_more_when_the_look_back_has_passed(
    address: str, run: Run, start: Start
) -> None:
    declared = table("t", key="id", cursor="u", look_back_seconds=0)
    run("INSERT INTO t (v) VALUES ('a')")
    reading = start(declared, address)
    reading.whole()
    run("INSERT INTO t (v, u) VALUES ('late', '2020-01-01 00:00:00')")  # its writer looked at the clock long ago
    reading.new()
    assert "late" in reading.values("v")


@pytest.mark.parametrize(
    ("others", "odd"),
    [("INTEGER", "'x'"), ("INTEGER", "x'00'"), ("INTEGER", "99.5"), ("INTEGER", "''"), ("TEXT", "x'00'"), ("", "x''")],
)
def test_a_cursor_of_another_kind_costs_its_own_row(
    address: str, run: Run, start: Start, others: str, odd: str
) -> None:
    run(f"CREATE TABLE m (id INTEGER PRIMARY KEY, c {others})")
    value = "{}" if others == "INTEGER" else "'2026-01-0{} 00:00:00'"
    run(*(f"INSERT INTO m (c) VALUES ({value.format(n)})" for n in range(1, 4)), f"INSERT INTO m (c) VALUES ({odd})")
    reading = start(table("m", key="id", cursor="c"), address)
    reading.whole()
    assert reading.values("id") == {1, 2, 3}
    assert [fault.key for fault in reading.faults] == ['[["n","4"]]']
    assert "the cursor column c" in (reading.faults[0].error.detail or "")
    run(f"INSERT INTO m (c) VALUES ({odd})", *(f"INSERT INTO m (c) VALUES ({value.format(n)})" for n in (4, 5, 6)))
    reading.until(lambda: {fault.key for fault in reading.faults} == {'[["n","4"]]', '[["n","5"]]'})
    reading.until(lambda: reading.values("id") == {1, 2, 3, 6, 7, 8})
    again = reading.restarted(table("m", key="id", cursor="c"), address)
    run(f"INSERT INTO m (c) VALUES ({value.format(7)})")
    again.until(lambda: 9 in again.values("id"))
    again.close()


@pytest.mark.parametrize("odd", ["zzz", "9999-12-31", "2999-01-01T00:00:00+08:00"])
def test_a_text_that_is_no_time_or_lies_ahead_does_not_hide_the_rows_behind_it(
    address: str, run: Run, start: Start, odd: str
) -> None:
    run("INSERT INTO t (v) VALUES ('a')", ("INSERT INTO t (v, u) VALUES ('odd', ?)", (odd,)))
    reading = start(table("t", key="id", cursor="u"), address)
    reading.whole()
    run("INSERT INTO t (v) VALUES ('b')")
    reading.new()
    assert "b" in reading.values("v")


def test_keys_of_mixed_kinds_are_rows_like_others(address: str, run: Run, start: Start) -> None:
    run("CREATE TABLE m (k, n INTEGER)", "INSERT INTO m VALUES (1, 1), ('1', 1), (x'31', 1), (1.5, 1)")
    reading = start(table("m", key="k", cursor="n"), address)
    reading.whole()
    run("INSERT INTO m VALUES (2, 2), ('2', 2), (x'32', 2), (2.5, 2), ('', 2), (NULL, 2)")
    reading.new()
    assert reading.values("k") == {1, "1", b"1", 1.5, 2, "2", b"2", 2.5, ""}
    assert [fault.key for fault in reading.faults] == [None]
    assert len({row.key for row in reading.seen}) == 9


def test_a_cursor_whose_values_are_changed_from_numbers_to_times_is_read_from_its_beginning(
    address: str, run: Run, start: Start
) -> None:
    run("CREATE TABLE m (id INTEGER PRIMARY KEY, c)", "INSERT INTO m (c) VALUES (1), (2), (3)")
    reading = start(table("m", key="id", cursor="c"), address)
    reading.whole()
    reading.new()
    before = reading.cursor
    run("UPDATE m SET c = '2026-01-01 00:00:00'", "INSERT INTO m (c) VALUES ('2026-01-02 00:00:00')")
    reading.new()  # a page full of the other kind
    reading.new()
    assert 4 in reading.values("id")
    fresh = start(table("m", key="id", cursor="c"), address, before)
    fresh.whole()
    fresh.cursor = before  # as a comparison goes on along the cursor of before
    fresh.seen.clear()
    fresh.new()
    fresh.new()
    assert fresh.values("id") == {1, 2, 3, 4}


@pytest.mark.parametrize("odd", ["'N'", "''", "0.5", "x'00'", "2"])
def test_a_withdrawn_value_unlike_the_others_costs_its_own_row(address: str, run: Run, start: Start, odd: str) -> None:
    run("CREATE TABLE m (id INTEGER PRIMARY KEY, gone)", f"INSERT INTO m (gone) VALUES (0), (1), (NULL), ({odd}), (0)")
    declared = table("m", key="id", cursor="id", withdrawn="gone")
    reading = start(declared, address)
    reading.whole()
    assert {row.values["id"]: row.withdrawn for row in reading.seen} == {1: False, 2: True, 3: False, 5: False}
    assert [(fault.key, "column gone" in str(fault.error)) for fault in reading.faults] == [('[["n","4"]]', True)]
    again = start(declared, address, reading.cursor)  # another process, which reads along the cursor alone
    run(f"INSERT INTO m (gone) VALUES ({odd}), (1)")
    again.until(lambda: 7 in again.values("id"))
    assert '[["n","6"]]' in {fault.key for fault in again.faults}
