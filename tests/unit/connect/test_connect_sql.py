"""Tables of a real PostgreSQL as sources: paging, order, what has not settled, what is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from exchange.clock import Deadline
from exchange.connect import query, table
from exchange.connect.reading import Cursor, Reader, SourceRow
from exchange.connect.tables import Query, Table
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings
from tests.harness.source_tables import execute

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


@pytest.fixture
def opened() -> Iterator[list[Reader]]:
    readers: list[Reader] = []
    yield readers
    for reader in readers:
        reader.close()


class Reading:
    """Reads a declared table to its end, page by page, as one process does."""

    def __init__(self, declared: Table | Query, address: str, opened: list[Reader]) -> None:
        self.reader = declared.reader(ConnectorSettings(database=address))  # type: ignore[arg-type]
        opened.append(self.reader)

    def all(self, cursor: Cursor | None = None, limit: int = 2) -> tuple[list[SourceRow], Cursor | None]:
        rows: list[SourceRow] = []
        while (page := self.reader.page(cursor, limit)) is not None:
            rows += page.rows
            cursor = page.cursor
        return rows, cursor


def add(address: str, town: str, number: int, changed: datetime | None = YESTERDAY, **more: object) -> None:
    names = ", ".join(["town", "number", "changed", *more])
    marks = ", ".join([":town", ":number", ":changed", *(f":{name}" for name in more)])
    execute(
        address, f"INSERT INTO people ({names}) VALUES ({marks})", town=town, number=number, changed=changed, **more
    )


def numbers(rows: list[SourceRow]) -> list[int]:
    return [row.values["number"] for row in rows]


def test_rows_of_one_cursor_time_are_all_read_over_pages(address: str, opened: list[Reader]) -> None:
    for number in (5, 3, 1, 4, 2):
        add(address, "a" if number < 4 else "b", number)
    rows, _ = Reading(CHANGED, address, opened).all()
    assert numbers(rows) == [1, 2, 3, 4, 5]
    assert len({row.sequence for row in rows}) == 1


def test_the_sequence_is_the_time_in_microseconds(address: str, opened: list[Reader]) -> None:
    add(address, "a", 1, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    rows, _ = Reading(CHANGED, address, opened).all()
    assert rows[0].sequence == 1767323045678901


def test_another_process_goes_on_behind_the_cursor(address: str, opened: list[Reader]) -> None:
    add(address, "a", 1)
    _, cursor = Reading(CHANGED, address, opened).all()
    add(address, "a", 2)
    add(address, "a", 3, YESTERDAY + timedelta(microseconds=1))
    rows, _ = Reading(CHANGED, address, opened).all(cursor)
    assert numbers(rows) == [2, 3]


def test_a_changed_row_comes_again(address: str, opened: list[Reader]) -> None:
    reading = Reading(CHANGED, address, opened)
    add(address, "a", 1)
    add(address, "a", 2)
    _, cursor = reading.all()
    execute(address, "UPDATE people SET changed = changed + interval '1 minute', gone = true WHERE number = 1")
    rows, _ = reading.all(cursor)
    assert [(row.values["number"], row.withdrawn) for row in rows] == [(1, True)]


def test_a_young_row_waits_until_it_has_settled(address: str, opened: list[Reader]) -> None:
    declared = table("people", key=("town", "number"), cursor="changed", settle_seconds=0.5)
    reading = Reading(declared, address, opened)
    add(address, "a", 1)
    execute(address, "INSERT INTO people (town, number, changed) VALUES ('a', 2, now())")
    rows, cursor = reading.all()
    assert numbers(rows) == [1]
    assert reading.reader.waiting
    deadline = Deadline.after(10)
    while numbers(rows) != [1, 2] and not deadline.passed:
        more, cursor = reading.all(cursor)
        rows += more
    assert numbers(rows) == [1, 2]
    assert not reading.reader.waiting


def test_a_row_of_the_future_does_not_move_the_cursor_past_others(address: str, opened: list[Reader]) -> None:
    reading = Reading(CHANGED, address, opened)
    add(address, "a", 1, datetime.now(UTC) + timedelta(days=9000))
    rows, cursor = reading.all()
    assert rows == []
    assert not reading.reader.waiting
    add(address, "a", 2)
    rows, _ = reading.all(cursor)
    assert numbers(rows) == [2]


def test_times_without_zone_are_those_of_china(address: str, opened: list[Reader]) -> None:
    add(address, "a", 1, naive=datetime(2026, 1, 2, 11, 4, 5))
    reading = Reading(table("people", key=("town", "number"), cursor="naive"), address, opened)
    rows, cursor = reading.all()
    assert rows[0].sequence == 1767323045000000
    assert reading.all(cursor)[0] == []


def test_a_counter_is_a_cursor_and_its_own_sequence(address: str, opened: list[Reader]) -> None:
    add(address, "a", 1, counter=2**40)
    add(address, "a", 2, counter=7)
    rows, cursor = Reading(table("people", key="number", cursor="counter"), address, opened).all()
    assert [(row.values["number"], row.sequence) for row in rows] == [(2, 7), (1, 2**40)]
    assert Reading(table("people", key="number", cursor="counter"), address, opened).all(cursor)[0] == []


def test_without_cursor_the_whole_table_is_read_once_a_start(address: str, opened: list[Reader]) -> None:
    declared = table("people", key=("town", "number"))
    for number in range(5):
        add(address, "a", number, None)
    first = Reading(declared, address, opened)
    rows, cursor = first.all()
    assert numbers(rows) == [0, 1, 2, 3, 4]
    assert first.all(cursor)[0] == []
    again, _ = Reading(declared, address, opened).all(cursor)
    assert numbers(again) == [0, 1, 2, 3, 4]
    assert again[0].sequence > rows[0].sequence


def test_a_query_is_read_like_a_table(address: str, opened: list[Reader]) -> None:
    for number in range(4):
        add(address, "a", number, counter=number)
    declared = query("SELECT number, counter FROM people WHERE number > 0", key="number", cursor="counter")
    rows, _ = Reading(declared, address, opened).all()
    assert numbers(rows) == [1, 2, 3]


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        (table("people", key="number", cursor="changed"), "E_CONNECTOR"),  # one is null
        (table("people", key="number", cursor="day"), "E_CONNECTOR"),
        (table("people", key="number", cursor="town"), "E_CONNECTOR"),
        (table("persons", key="number"), "E_SOURCE_UNREACHABLE"),
    ],
)
def test_what_would_lose_rows_is_refused(address: str, opened: list[Reader], declared: Table, code: str) -> None:
    add(address, "a", 1, None, day=YESTERDAY.date())
    if declared.columns is not None and declared.columns.cursor == "changed":
        add(address, "a", 2)
    with pytest.raises(ExchangeError) as caught:
        Reading(declared, address, opened).all()
    assert caught.value.code == code


def test_a_database_that_is_away_is_an_error_to_wait_for(postgres: EmbeddedPostgres, opened: list[Reader]) -> None:
    with pytest.raises(ExchangeError) as caught:
        Reading(CHANGED, "postgresql://nobody:secret-word@127.0.0.1:1/none", opened).all()
    assert caught.value.code == "E_SOURCE_UNREACHABLE"
    assert "secret-word" not in str(caught.value)
