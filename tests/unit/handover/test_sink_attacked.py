"""What the owner of a table, and whoever runs its database, do to a sink that is at work."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.handover.table.put.copy_text import lines_of
from exchange.handover.table.rows import Shape
from tests.harness.sink_databases import GRANT, SinkAtWork, SinkDatabase, layout

SinkOf = Callable[..., SinkAtWork]
FIELDS = {"code": "string", "name": ["null", "string"]}
MANY = 40
"""Rows of a batch that is copied."""


def row(code: str, name: str | None = "n") -> dict[str, Any]:
    return {"code": code, "name": name}


def rows(start: int, name: str = "n") -> list[dict[str, Any]]:
    return [row(f"r{number:03}", name) for number in range(start, start + MANY)]


@pytest.fixture
def lesser(postgres: EmbeddedPostgres, unique: str) -> Iterator[tuple[SinkDatabase, SinkAtWork, str]]:
    """A database, a sink in it with a role that owns nothing there, and the role's name."""
    owner = SinkDatabase("postgresql", postgres.database(unique))
    made = SinkAtWork(owner, layout(FIELDS))
    made.restart()
    made.close()
    role, _, place = postgres.database(f"{unique}x").rpartition("@")
    owner.run(f"GRANT CONNECT ON DATABASE {unique} TO {unique}x")
    owner.run(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {unique}x")
    sink = SinkAtWork(SinkDatabase("postgresql", f"{role}@{place.removesuffix('x')}"), layout(FIELDS))
    yield owner, sink, f"{unique}x"
    sink.close()
    sink.database.close()
    owner.close()


@pytest.fixture
def alter(postgres: EmbeddedPostgres) -> Callable[[str], None]:
    """Runs a statement as the superuser."""

    def run(statement: str) -> None:
        with postgres._session() as superuser:
            superuser.execute(statement.encode())

    return run


def test_a_column_that_must_say_something_and_is_not_granted_stops_the_sink_and_sets_nothing_aside(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    if database.kind == "sqlite":
        pytest.skip("no such column can be added there")
    sink = sink_of(FIELDS)
    sink.put(*rows(0))
    database.run("ALTER TABLE cut ADD COLUMN clerk varchar(20)", "UPDATE cut SET clerk = 'me'")
    again = "ALTER TABLE cut MODIFY clerk varchar(20) NOT NULL"
    database.run(again if database.kind == "mariadb" else "ALTER TABLE cut ALTER COLUMN clerk SET NOT NULL")
    with pytest.raises(
        ExchangeError, match=r"E_CONNECTOR.*nothing is granted for the column clerk, run: ALTER"
    ) as told:
        sink.put(*rows(20))
    assert (sink.waiting(), sink.target.stored(GRANT)[0].next_offset) == (0, MANY)
    database.run(told.value.detail.rpartition("run: ")[2])
    sink.restart()
    sink.put(*rows(20))
    assert (sink.waiting(), database.run("SELECT count(*) FROM cut")) == (0, [(MANY + 20,)])


def test_a_mapping_that_gives_a_column_which_must_say_something_is_not_stopped(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(20), clerk varchar(20) NOT NULL)")
    sink = sink_of(FIELDS, shape=Shape(map=lambda record: {"name": record["name"], "clerk": "me"}))
    sink.put(*rows(0))
    assert (sink.waiting(), database.run("SELECT count(*) FROM cut WHERE clerk = 'me'")) == (0, [(MANY,)])


def test_a_table_that_is_locked_is_waited_for(
    lesser: tuple[SinkDatabase, SinkAtWork, str], alter: Callable[[str], None]
) -> None:
    owner, sink, role = lesser
    sink.put(row("a"))
    alter(f"ALTER ROLE {role} SET lock_timeout = '50ms'")
    sink.restart()
    with owner_session(owner) as keeper:
        keeper.exec_driver_sql("LOCK TABLE cut IN ACCESS EXCLUSIVE MODE")
        for _ in range(3):
            with pytest.raises(ExchangeError, match=r"E_SINK_UNREACHABLE.*SQLSTATE 55P03"):
                try_again(sink, row("b"))
    try_again(sink, row("b"))
    assert (sink.waiting(), owner.run("SELECT code FROM cut ORDER BY 1")) == (0, [("a",), ("b",)])


def test_a_lock_that_is_held_for_long_holds_the_batch_up_and_loses_none(
    lesser: tuple[SinkDatabase, SinkAtWork, str],
) -> None:
    owner, sink, _ = lesser
    sink.put(row("a"))
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with owner_session(owner) as keeper:
        keeper.exec_driver_sql("LOCK TABLE cut IN ACCESS EXCLUSIVE MODE")
        working = threading.Thread(target=lambda: sink.put(*rows(0)))
        working.start()
        while owner.run(blocked) == [(0,)]:
            assert working.is_alive()
        assert working.is_alive()
    working.join(60)
    assert (sink.waiting(), owner.run("SELECT count(*) FROM cut")) == (0, [(MANY + 1,)])


def test_a_statement_that_takes_longer_than_the_role_may_is_waited_with(
    lesser: tuple[SinkDatabase, SinkAtWork, str], alter: Callable[[str], None]
) -> None:
    owner, sink, role = lesser
    sink.put(row("a"))
    owner.run(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$",
        "CREATE TRIGGER slow BEFORE INSERT ON cut FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    alter(f"ALTER ROLE {role} SET statement_timeout = '200ms'")
    sink.restart()
    with pytest.raises(ExchangeError, match=r"E_SINK_UNREACHABLE.*SQLSTATE 57014"):
        try_again(sink, *rows(0))
    assert sink.waiting() == 0
    owner.run("DROP TRIGGER slow ON cut")
    alter(f"ALTER ROLE {role} RESET statement_timeout")
    sink.restart()
    sink.put(*rows(0))
    assert (sink.waiting(), owner.run("SELECT count(*) FROM cut")) == (0, [(MANY + 1,)])


@pytest.mark.parametrize("state", ["53100", "53200", "58030"])
def test_a_disk_that_is_full_is_waited_for_and_sets_nothing_aside(
    lesser: tuple[SinkDatabase, SinkAtWork, str], state: str
) -> None:
    owner, sink, _ = lesser
    sink.put(row("a"))
    owner.run(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE 'could not extend file' USING ERRCODE = '{state}'; END $$",
        "CREATE TRIGGER full_disk AFTER INSERT ON cut FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
    )
    for batch in (rows(0), [row("b")]):
        with pytest.raises(ExchangeError, match=f"E_SINK_UNREACHABLE.*SQLSTATE {state}"):
            try_again(sink, *batch)
    assert (sink.waiting(), sink.target.stored(GRANT)[0].next_offset) == (0, 1)
    owner.run("DROP TRIGGER full_disk ON cut")
    try_again(sink, *rows(0))
    assert (sink.waiting(), owner.run("SELECT count(*) FROM cut")) == (0, [(MANY + 1,)])


@pytest.mark.parametrize("right", ["INSERT", "UPDATE", "DELETE"])
def test_a_role_that_lacks_one_right_stops_when_it_needs_it_and_sets_nothing_aside(
    lesser: tuple[SinkDatabase, SinkAtWork, str], right: str
) -> None:
    owner, sink, role = lesser
    sink.put(row("a"))
    owner.run(f"REVOKE {right} ON cut FROM {role}")
    for batch in ([*rows(0), "a"], [row("a", "newer"), "b"]):
        with pytest.raises(ExchangeError, match=r"E_CONNECTOR.*SQLSTATE 42501"):
            try_again(sink, *batch)
    assert (sink.waiting(), sink.target.stored(GRANT)[0].next_offset) == (0, 1)
    owner.run(f"GRANT {right} ON cut TO {role}")
    try_again(sink, *rows(0), "a")
    assert (sink.waiting(), owner.run("SELECT count(*) FROM cut")) == (0, [(MANY,)])


def test_a_standby_that_may_only_be_read_is_waited_for(
    lesser: tuple[SinkDatabase, SinkAtWork, str], alter: Callable[[str], None]
) -> None:
    owner, sink, role = lesser
    sink.put(row("a"))
    sink.close()
    alter(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    with pytest.raises(ExchangeError, match=r"E_SINK_UNREACHABLE.*SQLSTATE 25006"):
        sink.put(row("b"))
    alter(f"ALTER ROLE {role} RESET default_transaction_read_only")
    sink.close()
    sink.restart()
    sink.put(row("b"))
    assert owner.run("SELECT code FROM cut ORDER BY 1") == [("a",), ("b",)]


HOSTILE = [
    "\\N",
    "\\",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\\.",
    "",
    " ",
    "\\t",
    "\\x41",
    "'",
    "\u2028",
    "𠮷",
    "NULL",
    "\x01",
    "\\\\N",
]


@pytest.mark.parametrize("others", ["plain", None])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_that_means_something_to_a_copy_comes_back_as_it_was(
    lesser: tuple[SinkDatabase, SinkAtWork, str], hostile: str, others: str | None
) -> None:
    owner, sink, _ = lesser
    sink.put(*[row(f"k{number}", hostile if number == 7 else others) for number in range(MANY)])
    assert sink.waiting() == 0
    assert owner.run("SELECT name FROM cut WHERE code = 'k7'") == [(hostile,)]
    assert owner.run("SELECT count(*) FROM cut WHERE name IS NOT DISTINCT FROM NULL")[0][0] == (
        0 if others else MANY - 1
    )


def test_every_type_that_is_written_without_the_driver_is_read_back_by_the_database(
    postgres: EmbeddedPostgres, unique: str
) -> None:
    database = SinkDatabase("postgresql", postgres.database(unique))
    zoned = datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    values = {
        "boolean": (True, False, None),
        "bigint": (-(2**63), 2**63 - 1, None),
        "double precision": (1e-300, float("inf"), -0.1),
        "numeric": (Decimal("1E+3"), Decimal("-0.10"), None),
        "date": (date(1, 1, 1), date(9999, 12, 31), None),
        "timestamp": (datetime(9999, 12, 31, 23, 59, 59, 999999), zoned.replace(tzinfo=None), None),
        "timestamptz": (zoned, datetime(2026, 11, 24, 8, tzinfo=UTC), None),
        "time": (time(0), time(23, 59, 59, 999999), None),
        "uuid": (UUID(int=1), UUID(int=2**128 - 1), None),
    }
    lines = lines_of(list(zip(*values.values(), strict=True)))
    assert lines is not None
    cells = [line.split("\t") for line in lines.splitlines()]
    for place, (type_, given) in enumerate(values.items()):
        for line, value in zip(cells, given, strict=True):
            said = line[place]
            assert (said == "\\N") == (value is None)
            if value is not None:
                assert database.run(f"SELECT {said!r}::{type_}") == [(value,)]
    database.close()
    assert lines_of([(b"bytes",)]) is None


def try_again(sink: SinkAtWork, *records: Any) -> None:
    """Apply at the place where the progress stands."""
    sink._offset = sink.target.stored(GRANT)[0].next_offset
    sink.put(*records)


def owner_session(owner: SinkDatabase) -> Any:
    """A transaction of the owner."""
    assert owner._engine is not None
    return owner._engine.begin()
