"""Sinks on a real PostgreSQL: what triggers, indexes, rights and old deployments do to one record or to all."""

import random
from collections.abc import Callable, Iterator

import pytest

from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.handover.table import target as target_module
from tests.harness.sink_databases import GRANT, NOW, SinkAtWork, SinkDatabase, layout

SinkOf = Callable[..., SinkAtWork]
FIELDS = {"code": "string", "name": ["null", "string"]}


def row(code: str, name: str | None = "n") -> dict[str, str | None]:
    return {"code": code, "name": name}


@pytest.fixture
def database(postgres: EmbeddedPostgres, unique: str) -> Iterator[SinkDatabase]:
    """An empty database of PostgreSQL alone."""
    made = SinkDatabase("postgresql", postgres.database(unique))
    yield made
    made.close()


@pytest.mark.parametrize("raised", ["P0001", "42703", "42501", "XX000", "ZZ123"])
@pytest.mark.parametrize("size", [2, 300])
def test_a_trigger_that_raises_whatever_it_likes_refuses_one_record(
    sink_of: SinkOf, database: SinkDatabase, raised: str, size: int
) -> None:
    database.run(
        "CREATE TABLE cut (code text PRIMARY KEY, name text)",
        "CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.name = 'bad' THEN"
        f" RAISE 'no: %', NEW.name USING ERRCODE = '{raised}'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER judge BEFORE INSERT OR UPDATE ON cut FOR EACH ROW EXECUTE FUNCTION judge()",
    )
    sink = sink_of(FIELDS)
    sink.put(*(row(f"r{n}", "bad" if n == 1 else "good") for n in range(size)))
    assert database.run("SELECT count(*) FROM cut") == [(size - 1,)]
    assert sink.waiting() == 1
    assert f"SQLSTATE {raised}" in sink.refused[0][1]
    assert "bad" not in sink.refused[0][1]
    database.run("DROP TRIGGER judge ON cut")
    assert sink.again(everything=True).applied == (b"r1",)


def test_a_table_that_takes_no_record_for_a_reason_of_its_own_stops_the_sink(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    database.run(
        "CREATE TABLE cut (code text PRIMARY KEY, name text)",
        "CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM nowhere FROM cut; RETURN NEW; END $$",
        "CREATE TRIGGER judge BEFORE INSERT ON cut FOR EACH ROW EXECUTE FUNCTION judge()",
    )
    sink = sink_of(FIELDS)
    with pytest.raises(ExchangeError, match=r"E_CONNECTOR.*SQLSTATE 42703"):
        sink.put(*(row(f"r{n}") for n in range(50)))
    assert sink.target.stored(GRANT)[0].next_offset == 0


def test_a_right_that_was_taken_away_stops_the_sink_and_waiting_would_not_help(
    sink_of: SinkOf, database: SinkDatabase, postgres: EmbeddedPostgres, unique: str
) -> None:
    sink = sink_of(FIELDS)
    sink.put(row("a"))
    role, _, place = postgres.database(f"{unique}x").rpartition("@")
    database.run(
        f"GRANT CONNECT ON DATABASE {unique} TO {unique}x", f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {unique}x"
    )
    lesser = SinkDatabase("postgresql", f"{role}@{place.removesuffix('x')}")
    other = SinkAtWork(lesser, layout(FIELDS))
    other.restart()
    other.put(row("b"), *(row(f"r{n}") for n in range(40)))  # without the right to make a table of the session
    assert database.run("SELECT count(*) FROM cut") == [(42,)]
    database.run(f"REVOKE INSERT, UPDATE ON cut FROM {unique}x")
    with pytest.raises(ExchangeError, match=r"E_CONNECTOR.*SQLSTATE 42501"):
        other.put(row("c"))
    other.close()


def test_a_key_that_no_index_holds_refuses_one_record(sink_of: SinkOf, database: SinkDatabase) -> None:
    sink = sink_of(FIELDS)
    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    sink.put(row("a"), row(long), row("b"), row("c\0d"))
    assert database.run("SELECT code FROM cut ORDER BY code") == [("a",), ("b",)]
    assert sink.waiting() == 2
    sink.put(long, "c\0d")
    assert (sink.waiting(), sink.again().applied) == (1, ())


def test_a_constraint_that_is_checked_at_the_commit_refuses_one_record(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run(
        "CREATE TABLE towns (code text PRIMARY KEY)",
        "CREATE TABLE cut (code text PRIMARY KEY, name text REFERENCES towns DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO towns VALUES ('t')",
    )
    sink = sink_of(FIELDS)
    sink.put(row("a", "t"), row("b", "nowhere"))
    assert database.run("SELECT code FROM cut") == [("a",)]
    assert sink.waiting() == 1


def test_records_exchange_a_unique_value_where_the_constraint_can_wait(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code text PRIMARY KEY, name text UNIQUE DEFERRABLE)")
    sink = sink_of(FIELDS)
    sink.put(*(row(f"r{n}", f"v{n}") for n in range(30)))
    sink.put(*(row(f"r{n}", f"v{29 - n}") for n in range(30)))
    assert sink.waiting() == 0
    assert database.run("SELECT name FROM cut WHERE code = 'r0'") == [("v29",)]


def test_a_withdrawal_applies_although_what_came_after_it_is_refused(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code text PRIMARY KEY, name text CHECK (name <> 'bad'))")
    sink = sink_of(FIELDS)
    sink.put(row("a"))
    sink.put("a", row("a", "bad"))
    assert (database.run("SELECT * FROM cut"), sink.waiting()) == ([], 1)


def test_an_amended_share_begins_without_what_waited_of_the_former(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code text PRIMARY KEY, name text CHECK (name <> 'bad'))")
    sink = sink_of(FIELDS)
    sink.put(row("a", "bad"))
    sink.target.begin(GRANT, "share.t", [0], NOW)
    assert sink.waiting() == 0


def test_a_sink_that_ends_while_everything_is_tried_goes_on(
    sink_of: SinkOf, database: SinkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_module, "_TRIED_AT_ONCE", 3)
    monkeypatch.setattr(target_module, "_PORTIONS_AT_ONCE", 2)
    database.run("CREATE TABLE cut (code text PRIMARY KEY, name text CHECK (name <> 'bad'))")
    sink = sink_of(FIELDS)
    sink.put(*(row(f"r{n:02}", "bad") for n in range(20)))
    database.run("ALTER TABLE cut DROP CONSTRAINT cut_name_check")
    sink.restart()
    calls = [len(sink.again().applied) for _ in range(5)]
    assert (calls, sink.waiting()) == ([6, 6, 6, 2, 0], 0)


def test_a_domain_and_a_set_of_values_are_columns_like_others(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run(
        "CREATE DOMAIN short AS varchar(4) CHECK (value <> 'bad')",
        "CREATE TYPE state AS ENUM ('open', 'closed')",
        "CREATE TABLE cut (code text PRIMARY KEY, name short, state state)",
    )
    sink = sink_of({**FIELDS, "state": "string"})
    good = [{**row(f"r{n}", "n"), "state": "open"} for n in range(30)]
    bad, unknown, long = row("a", "bad"), row("b"), row("c", "n    ")
    sink.put(*good, {**bad, "state": "open"}, {**unknown, "state": "ajar"}, {**long, "state": "open"})
    assert database.run("SELECT count(*) FROM cut") == [(30,)]
    assert sink.waiting() == 3
