"""Tables of a real PostgreSQL as sources: the whole of one moment, paging and order, keys, what is refused."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from exchange.connect import query, table
from exchange.connect.reading import FaultyRow, SourceRow
from exchange.connect.tables import Table
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from tests.harness.source_tables import execute
from tests.harness.sql_reading import Start, column

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
CHANGED = table("people", key=("town", "number"), cursor="changed", withdrawn="gone")


@pytest.fixture
def address(postgres: EmbeddedPostgres, unique: str) -> str:
    address = postgres.database(unique)
    execute(
        address,
        "CREATE TABLE people (town text, number int, name text, changed timestamptz, day date, naive timestamp,"
        " counter bigint, gone boolean DEFAULT false)",
    )
    return address


def add(address: str, town: str, number: int, changed: datetime | None = YESTERDAY, **more: object) -> None:
    names = ", ".join(["town", "number", "changed", *more])
    marks = ", ".join([":town", ":number", ":changed", *(f":{name}" for name in more)])
    execute(
        address, f"INSERT INTO people ({names}) VALUES ({marks})", town=town, number=number, changed=changed, **more
    )


def test_the_whole_is_read_and_then_what_is_new(address: str, start: Start) -> None:
    for number in range(5):
        add(address, "a", number)
    reading = start(CHANGED, address)
    assert sorted(map(str, column(reading.whole(), "number"))) == ["0", "1", "2", "3", "4"]
    add(address, "a", 7, YESTERDAY + timedelta(seconds=1))
    assert 7 in column(reading.new(), "number")


def test_an_empty_table_is_a_page_without_rows_and_its_first_row_is_new(address: str, start: Start) -> None:
    reading = start(CHANGED, address)
    assert [page.rows for page in reading.reader.whole(2)] == [[]]
    assert reading.whole() == []
    add(address, "a", 1)
    assert column(reading.new(), "number") == [1]


def test_rows_of_one_cursor_time_are_all_read_over_pages(address: str, start: Start) -> None:
    reading = start(CHANGED, address)
    reading.whole()
    for number in (5, 3, 1, 4, 2):
        add(address, "a" if number < 4 else "b", number)
    rows = reading.new()
    assert column(rows, "number") == [1, 2, 3, 4, 5]
    assert len({row.sequence for row in rows if isinstance(row, SourceRow)}) == 1


def test_the_sequence_is_the_time_in_microseconds(address: str, start: Start) -> None:
    add(address, "a", 1, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    (row,) = start(CHANGED, address).whole()
    assert isinstance(row, SourceRow)
    assert row.sequence == 1767323045678901


def test_another_process_goes_on_behind_the_cursor(address: str, start: Start) -> None:
    add(address, "a", 1, YESTERDAY - timedelta(days=1))
    first = start(CHANGED, address)
    first.whole()
    add(address, "a", 2)
    add(address, "a", 3, YESTERDAY + timedelta(microseconds=1))
    rows = start(CHANGED, address, first.cursor).new()
    assert column(rows, "number")[-2:] == [2, 3]


def test_a_process_that_ended_between_two_pages_goes_on_behind_the_first(address: str, start: Start) -> None:
    first = start(CHANGED, address)
    first.whole()
    for number in range(5):
        add(address, "a", number)
    assert first.cursor is not None
    page = first.reader.page(first.cursor, 2)
    assert page is not None
    rows = start(CHANGED, address, page.cursor).new()
    assert column(page.rows, "number") == [0, 1]
    assert column(rows, "number")[-3:] == [2, 3, 4]


def test_a_changed_row_comes_again(address: str, start: Start) -> None:
    add(address, "a", 1)
    add(address, "a", 2)
    reading = start(CHANGED, address)
    reading.whole()
    execute(address, "UPDATE people SET changed = changed + interval '1 minute', gone = true WHERE number = 1")
    rows = [row for row in reading.new() if isinstance(row, SourceRow)]
    assert (1, True) in [(row.values["number"], row.withdrawn) for row in rows]


def test_a_time_of_the_future_does_not_hide_what_is_written_after_it(address: str, start: Start) -> None:
    add(address, "a", 1, datetime.now(UTC) + timedelta(days=9000))
    reading = start(CHANGED, address)
    reading.whole()
    reading.new()
    execute(address, "INSERT INTO people (town, number, changed) VALUES ('a', 2, now())")
    assert 2 in column(reading.new(), "number")


def test_a_time_without_zone_that_is_far_ahead_hides_nothing_either(address: str, start: Start) -> None:
    declared = table("people", key=("town", "number"), cursor="naive")
    add(address, "a", 1, naive=datetime(2199, 1, 1))
    reading = start(declared, address)
    reading.whole()
    reading.new()
    execute(address, "INSERT INTO people (town, number, naive) VALUES ('a', 2, now())")
    assert 2 in column(reading.new(), "number")


def test_a_counter_is_a_cursor_and_its_own_sequence(address: str, start: Start) -> None:
    reading = start(table("people", key="number", cursor="counter"), address)
    reading.whole()
    add(address, "a", 1, counter=2**40)
    add(address, "a", 2, counter=7)
    rows = reading.new()
    assert [(row.values["number"], row.sequence) for row in rows if isinstance(row, SourceRow)] == [(2, 7), (1, 2**40)]


def test_without_cursor_there_is_only_the_whole(address: str, start: Start) -> None:
    for number in range(5):
        add(address, "a", number, None)
    reading = start(table("people", key=("town", "number")), address)
    first = reading.whole()
    add(address, "a", 9, None)
    assert reading.new() == []
    again = reading.whole()
    assert sorted(map(str, column(again, "number"))) == ["0", "1", "2", "3", "4", "9"]
    assert isinstance(first[0], SourceRow)
    assert isinstance(again[0], SourceRow)
    assert (again[0].sequence or 0) > (first[0].sequence or 0)


def test_the_whole_is_of_one_moment(address: str, start: Start) -> None:
    for number in range(6):
        add(address, "a", number)
    reading = start(CHANGED, address)
    pages = reading.reader.whole(2)
    rows = list(next(pages).rows)
    execute(address, "DELETE FROM people WHERE number > 2")
    add(address, "a", 9)
    for page in pages:
        rows += page.rows
    assert sorted(map(str, column(rows, "number"))) == ["0", "1", "2", "3", "4", "5"]


def test_a_whole_reading_that_is_left_lets_go_of_its_transaction(address: str, start: Start) -> None:
    for number in range(6):
        add(address, "a", number)
    pages = start(CHANGED, address).reader.whole(2)
    next(pages)
    pages.close()  # type: ignore[attr-defined]
    with psycopg.connect(address.replace("+psycopg", "")) as session:
        open_now = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in trans%'"
        ).fetchone()
    assert open_now == (0,)


def test_a_whole_reading_outlasts_the_time_limits_of_its_role(address: str, start: Start, unique: str) -> None:
    for number in range(6):
        add(address, "a", number)
    execute(address, f"ALTER ROLE {unique} SET idle_in_transaction_session_timeout = '300ms'")
    execute(address, f"ALTER ROLE {unique} SET statement_timeout = '1s'")
    pages = start(CHANGED, address).reader.whole(2)
    rows = list(next(pages).rows)
    with psycopg.connect(address.replace("+psycopg", ""), options="-c statement_timeout=0", autocommit=True) as other:
        other.execute("SET idle_in_transaction_session_timeout = 0")
        other.execute("SELECT pg_sleep(0.6)")
    for page in pages:
        rows += page.rows
    assert len(rows) == 6


def test_a_null_key_does_not_lose_the_row_behind_it(address: str, start: Start) -> None:
    reading = start(CHANGED, address)
    reading.whole()
    add(address, "a", 1)
    add(address, "a", 2)
    execute(address, "INSERT INTO people (town, number, changed) SELECT NULL, 3, max(changed) FROM people")
    add(address, "b", 4)
    rows = reading.new()
    assert column(rows, "number") == [1, 2, 4]
    assert [(row.key, row.error.code) for row in rows if isinstance(row, FaultyRow)] == [(None, "E_ROW_UNREADABLE")]


def test_a_null_cursor_is_noticed_at_every_pass_and_in_the_whole(address: str, start: Start) -> None:
    add(address, "a", 1)
    reading = start(CHANGED, address)
    reading.whole()
    assert reading.faults == []
    add(address, "a", 2, None)
    reading.new()
    (fault,) = reading.faults
    assert fault.key == '[["s","a"],["n","2"]]'
    assert "changed" in fault.error.detail
    reading.new()
    assert len(reading.faults) == 2
    assert len([row for row in reading.whole() if isinstance(row, FaultyRow)]) == 1


def test_more_null_cursors_than_a_page_are_all_noticed_in_time(address: str, start: Start) -> None:
    reading = start(CHANGED, address)
    reading.whole()
    for number in range(5):
        add(address, "a", number, None)
    reading.until(lambda: len({fault.key for fault in reading.faults}) == 5)


def test_keys_are_one_text_whatever_the_type_says_of_them(address: str, start: Start) -> None:
    execute(
        address,
        "CREATE TABLE keys (n numeric(9,2), c char(5), u uuid, b bytea, d timestamptz,"
        " changed timestamptz DEFAULT now())",
    )
    execute(
        address,
        "INSERT INTO keys VALUES (1.00, 'a', '6f1e0000-0000-4000-8000-000000000001', '\\x00ff', '2026-01-01 08:00+08')",
    )
    reading = start(table("keys", key=("n", "c", "u", "b", "d"), cursor="changed"), address)
    (row,) = reading.whole()
    assert row.key == (
        '[["n","1"],["s","a"],["u","6f1e0000000040008000000000000001"],["b","00ff"],["t","2026-01-01T00:00:00+00:00"]]'
    )
    execute(address, "UPDATE keys SET changed = now()")
    again = start(table("keys", key=("n", "c", "u", "b", "d"), cursor="changed"), address, reading.cursor)
    (changed,) = again.new()
    assert changed.key == row.key
    assert start(table("keys", key=("n", "c", "u", "b", "d"), cursor="changed"), address, again.cursor).new()


def test_a_column_added_while_running_is_read(address: str, start: Start) -> None:
    add(address, "a", 1)
    reading = start(CHANGED, address)
    reading.whole()
    for _ in range(7):
        reading.new()
    execute(address, "ALTER TABLE people ADD COLUMN extra int DEFAULT 3")
    add(address, "a", 2, datetime.now(UTC))
    assert 3 in column(reading.new(), "extra")


def test_the_declaration_has_a_fingerprint(address: str, start: Start) -> None:
    one = table("people", key="number", cursor="changed")
    others = [
        table("people", key="number", cursor="counter"),
        table("people", key=("town", "number"), cursor="changed"),
        table("persons", key="number", cursor="changed"),
        query("SELECT * FROM people", key="number", cursor="changed"),
        query("SELECT * FROM people WHERE number > 1", key="number", cursor="changed"),
    ]
    prints = {start(declared, address).reader.fingerprint for declared in (one, one, *others)}
    assert len(prints) == 6


@pytest.mark.parametrize(
    "declared",
    [
        table("people", key="number", cursor="day"),
        table("people", key="number", cursor="town"),
        table("people", key="number", cursor="counter", version="missing"),
        table("people", key="number", withdrawn="missing"),
        query("SELECT number, number FROM people", key="number"),
    ],
)
def test_what_would_lose_rows_is_refused_before_there_is_one(address: str, start: Start, declared: Table) -> None:
    with pytest.raises(ExchangeError) as caught:
        start(declared, address).whole()
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize(
    ("column_name", "kind"),
    [("naive", "timestamptz"), ("changed", "timestamp"), ("counter", "numeric(20)")],
)
def test_a_cursor_column_of_another_type_that_serves_is_read_from_its_beginning(
    address: str, start: Start, column_name: str, kind: str
) -> None:
    declared = table("people", key=("town", "number"), cursor=column_name)
    for number in range(5):
        more: dict[str, object] = {"naive": datetime(2026, 1, 1 + number), "counter": number}
        add(address, "a", number, **more)
    reading = start(declared, address)
    reading.whole()
    reading.new()
    execute(address, f"ALTER TABLE people ALTER {column_name} TYPE {kind} USING {column_name}::{kind}")
    add(address, "b", 9, naive=datetime(2026, 2, 1), counter=9)
    reading.until(lambda: 9 in reading.values("number"))
    again = reading.restarted(declared, address)
    add(address, "b", 10, naive=datetime(2026, 2, 2), counter=10)
    again.until(lambda: 10 in again.values("number"))
    again.close()


@pytest.mark.parametrize("kind", ["text", "timestamptz"])
def test_a_cursor_column_that_becomes_something_else_is_the_fault_of_the_declaration(
    address: str, start: Start, kind: str
) -> None:
    declared = table("people", key=("town", "number"), cursor="counter")
    add(address, "a", 1, counter=1)
    reading = start(declared, address)
    reading.whole()
    reading.new()
    using = "to_timestamp(counter)" if kind == "timestamptz" else "counter::text"
    execute(address, f"ALTER TABLE people ALTER counter TYPE {kind} USING {using}")
    with pytest.raises(ExchangeError) as caught:
        reading.new()
    assert caught.value.code == "E_CONNECTOR"
    again = reading.restarted(declared, address)
    if kind == "text":
        with pytest.raises(ExchangeError, match="column counter") as caught:
            again.new()
        assert caught.value.code == "E_CONNECTOR"
    else:
        again.until(lambda: again.values("number") == {1})
    again.close()
