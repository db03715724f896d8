"""What a sink promises on every database that it is tried on: PostgreSQL, MariaDB and SQLite."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from exchange.errors import ExchangeError
from exchange.handover.layout import Change
from exchange.handover.table.rows import Shape
from exchange.handover.table.set_aside import SetAsideView
from exchange.handover.table.target import Batch
from tests.harness.sink_databases import GRANT, NOW, SinkAtWork, SinkDatabase

SinkOf = Callable[..., SinkAtWork]
TEXT = "string"
MAYBE = ["null", "string"]
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 6}
DATE = {"type": "int", "logicalType": "date"}


def amount(code: str, value: str) -> dict[str, Any]:
    return {"code": code, "amount": Decimal(value)}


def row(code: str, name: str | None = "n") -> dict[str, Any]:
    return {"code": code, "name": name}


def test_records_come_change_and_go(sink_of: SinkOf, database: SinkDatabase) -> None:
    sink = sink_of({"code": TEXT, "name": MAYBE})
    sink.put(row("a"), row("b"), row("a", "newer"), "b", row("c", None))
    sink.put(row("c", "later"), "nobody")
    assert database.run("SELECT code, name FROM cut ORDER BY code") == [("a", "newer"), ("c", "later")]
    assert sink.target.stored(GRANT)[0].upserted == 5


def test_keys_that_differ_in_case_or_in_a_blank_at_the_end_are_two_rows(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "1"), row("A", "2"), row("a ", "3"), row("ä", "4"), row("é", "5"), row("e", "6"))
    sink.put("A", "e")
    assert sink.waiting() == 0
    assert sorted(database.run("SELECT code, name FROM cut")) == [("a", "1"), ("a ", "3"), ("ä", "4"), ("é", "5")]


def test_a_key_of_several_parts_is_as_long_as_admission_allows(sink_of: SinkOf, database: SinkDatabase) -> None:
    sink = sink_of({"code": TEXT, "part": TEXT, "name": TEXT}, key=("code", "part"))
    sink.put({"code": "a" * 250, "part": "b" * 250, "name": "n"}, {"code": "a", "part": "b/c", "name": "n"})
    assert database.run("SELECT count(*) FROM cut") == [(2,)]
    single = sink_of({"code": TEXT, "name": TEXT}, name="single")
    single.put(row("x" * 512))
    assert database.run("SELECT count(*) FROM single") == [(1,)]


@pytest.mark.parametrize("size", [1, 3, 40, 500])
def test_one_record_that_the_table_refuses_waits_and_the_others_go_on(
    sink_of: SinkOf, database: SinkDatabase, size: int
) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(100) NOT NULL CHECK (name <> 'bad'))")
    sink = sink_of({"code": TEXT, "name": MAYBE})
    records = [row(f"r{n}") for n in range(size)]
    records[size // 2] = row("refused", "bad")
    progress = sink.put(*records)
    assert database.run("SELECT count(*) FROM cut") == [(size - 1,)]
    assert (progress.upserted, progress.faulty, progress.next_offset) == (size - 1, 1, size)
    assert [offset for offset, _ in sink.refused] == [size // 2]
    assert sink.target.set_aside(GRANT) == {0: 1}


def test_what_was_refused_is_applied_when_its_parent_has_come(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run(
        "CREATE TABLE towns (code varchar(100) PRIMARY KEY)",
        "CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(100),"
        " FOREIGN KEY (name) REFERENCES towns (code))",
    )
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "t"), row("b", "u"))
    assert sink.waiting() == 2
    database.run("INSERT INTO towns VALUES ('t')")
    sink.restart()
    assert sink.again().applied == (b"a",)
    assert database.run("SELECT code FROM cut") == [("a",)]
    assert sink.target.stored(GRANT)[0].upserted == 1
    database.run("INSERT INTO towns VALUES ('u')")
    assert sink.again(NOW + timedelta(seconds=30)).applied == ()
    assert sink.again(NOW + timedelta(minutes=3)).applied == (b"b",)
    assert sink.waiting() == 0


def test_what_was_refused_is_applied_when_somebody_asks(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(100) UNIQUE)")
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "taken"), row("b", "taken"))
    sink.again()
    assert sink.waiting() == 1
    database.run("DELETE FROM cut")
    view = SetAsideView(lambda: database.address, "cut")
    (listed,) = view.listed()
    assert (listed.grant, listed.record_key, listed.partition, listed.offset) == (GRANT, "b", 0, 1)
    assert "taken" not in listed.detail
    assert sink.again(NOW + timedelta(seconds=10)).applied == ()
    assert view.ask([listed]) == 1
    assert sink.again(NOW + timedelta(seconds=20)).applied == (b"b",)
    assert view.listed() == []
    view.close()


def test_what_was_refused_is_applied_when_its_column_has_become_wide_enough(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    if database.kind == "sqlite":
        pytest.skip("SQLite keeps texts of any length in every column")
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(4))")
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "four"), row("b", "of five"), row("c", "four  "))
    sink.again()
    assert [why for _, why in sink.refused] == [
        "name: 7 characters, the column keeps 4",
        "name: 6 characters, the column keeps 4",
    ]
    wider = "MODIFY name varchar(40)" if database.kind == "mariadb" else "ALTER name TYPE varchar(40)"
    database.run(f"ALTER TABLE cut {wider}")
    applied = sink.again(NOW + timedelta(minutes=1, seconds=1))
    assert (applied.applied, applied.waiting) == ((b"b", b"c"), 0)
    assert database.run("SELECT name FROM cut ORDER BY code") == [("four",), ("of five",), ("four  ",)]


def test_an_older_version_never_overtakes_a_newer_one(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(100) CHECK (name <> 'bad'))")
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "first"), row("b", "first"), row("c", "first"))
    sink.put(row("a", "bad"), row("b", "bad"), row("c", "bad"))
    assert sink.waiting() == 3
    sink.put(row("a", "newer"), "b")
    assert sorted(sink.again().replaced) == [b"a", b"b"]
    assert sink.waiting() == 1
    sink.again(NOW + timedelta(days=1), everything=True)
    assert database.run("SELECT code, name FROM cut ORDER BY code") == [("a", "newer"), ("c", "first")]


def test_a_withdrawal_that_the_table_refuses_waits_too(sink_of: SinkOf, database: SinkDatabase) -> None:
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a"), row("b"))
    key = "varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" if database.kind == "mariadb" else "text"
    database.run(f"CREATE TABLE cases (company {key}, FOREIGN KEY (company) REFERENCES cut (code))")
    database.run("INSERT INTO cases VALUES ('a')")
    sink.put("a", "b")
    assert database.run("SELECT code FROM cut") == [("a",)]
    assert sink.waiting() == 1
    database.run("DELETE FROM cases")
    assert sink.again(NOW + timedelta(hours=1)).applied == (b"a",)
    assert database.run("SELECT code FROM cut") == []
    assert sink.target.stored(GRANT)[0].deleted == 2


def test_a_row_that_the_table_does_not_give_up_in_a_sweep_stops_nothing(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a"), row("b"))
    key = "varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" if database.kind == "mariadb" else "text"
    database.run(f"CREATE TABLE cases (company {key}, FOREIGN KEY (company) REFERENCES cut (code))")
    database.run("INSERT INTO cases VALUES ('a')")
    sink.target.read_again(GRANT, 0, NOW, 2)
    progress = sink.target.complete(GRANT, 0, 2, NOW)
    assert progress is not None
    assert (progress.deleted, progress.resyncing) == (1, False)
    assert (database.run("SELECT code FROM cut"), sink.waiting()) == ([("a",)], 1)


def test_a_value_that_is_unique_elsewhere_never_changes_the_row_of_another_record(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(100) UNIQUE, own varchar(10))")
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "x"), row("b", "y"))
    database.run("UPDATE cut SET own = 'mine'")
    sink.put(row("c", "x"), row("b", "x"))
    assert database.run("SELECT code, name, own FROM cut ORDER BY code") == [("a", "x", "mine"), ("b", "y", "mine")]
    assert sink.waiting() == 2


def test_a_table_whose_key_does_not_tell_case_apart_gives_no_row_to_another_record(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    if database.kind != "mariadb":
        pytest.skip("only MySQL and MariaDB compare so unless told otherwise")
    database.run("CREATE TABLE cut (code varchar(100) COLLATE utf8mb4_general_ci PRIMARY KEY, name varchar(100))")
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "1"))
    sink.put(row("A", "2"), "À")
    assert database.run("SELECT code, name FROM cut") == [("a", "1")]
    assert sink.waiting() == 1


def test_a_declaration_that_does_not_fit_stops_the_sink_and_moves_nothing(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a"))
    database.run("DROP TABLE cut")
    with pytest.raises(ExchangeError) as caught:
        sink.put(row("b"))
    assert caught.value.code == "E_CONNECTOR"
    assert sink.target.stored(GRANT)[0].next_offset == 1


def test_a_table_that_was_dropped_is_filled_anew_from_the_start_of_the_share(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a"), row("b"))
    database.run("DROP TABLE cut")
    assert sink.restart().next_offset == 0


def test_a_column_that_was_renamed_is_not_made_anew(sink_of: SinkOf, database: SinkDatabase) -> None:
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "old"))
    database.run("ALTER TABLE cut RENAME COLUMN name TO mingzi")
    with pytest.raises(ExchangeError, match=r"E_CONNECTOR.*column name.*ADD COLUMN name") as caught:
        sink.put(row("b"))
    with pytest.raises(ExchangeError, match=r"E_CONNECTOR.*column name.*columns=.*ADD COLUMN name"):
        sink.restart()
    assert [one[0] for one in database.run("SELECT mingzi FROM cut")] == ["old"]
    database.run(caught.value.detail.partition("run: ")[2])
    if database.kind != "sqlite":  # where the sink's own columns may be null from the start
        with pytest.raises(ExchangeError, match=r"E_CONNECTOR.*nothing is granted for the column mingzi") as caught:
            sink.restart()
        database.run(caught.value.detail.partition("run: ")[2])
    assert sink.restart().next_offset == 0
    assert sink.restart().reading == 2


def test_a_column_that_was_renamed_can_be_declared(sink_of: SinkOf, database: SinkDatabase) -> None:
    sink = sink_of({"code": TEXT, "name": TEXT})
    sink.put(row("a", "old"))
    database.run("ALTER TABLE cut RENAME COLUMN name TO mingzi")
    sink.shape = Shape(columns={"name": "mingzi"})
    assert sink.restart().next_offset == 0
    sink.put(row("a", "old"), row("b", "new"))
    assert database.run("SELECT code, mingzi FROM cut ORDER BY code") == [("a", "old"), ("b", "new")]


def test_a_decimal_is_never_rounded(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, amount numeric(18,2))")
    sink = sink_of({"code": TEXT, "amount": DECIMAL})
    if database.kind == "sqlite":
        sink.put(amount("a", "1.25"), amount("b", "1234567890123.456789"))
        assert [why for _, why in sink.refused] == ["amount: 19 digits, the column keeps 15"]
        return
    sink.put(amount("a", "1.25"), amount("b", "1.255"), amount("c", "1.250000"), amount("d", "0"))
    assert [why for _, why in sink.refused] == ["amount: 3 decimals, the column keeps 2"]
    assert database.run("SELECT amount FROM cut ORDER BY code") == [(Decimal("1.25"),), (Decimal("1.25"),), (0,)]
    narrower = "MODIFY amount numeric(18,1)" if database.kind == "mariadb" else "ALTER amount TYPE numeric(18,1)"
    database.run("DELETE FROM cut", f"ALTER TABLE cut {narrower}")
    sink.put(amount("e", "1.25"))
    assert sink.refused[-1][1] == "amount: 2 decimals, the column keeps 1"
    assert database.run("SELECT amount FROM cut") == []


def test_a_decimal_in_a_column_of_whole_numbers_or_binary_fractions_is_never_rounded(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, amount integer)")
    sink = sink_of({"code": TEXT, "amount": DECIMAL})
    sink.put(amount("a", "7"), amount("b", "7.5"))
    assert database.run("SELECT amount FROM cut") == [(7,)]
    database.run("CREATE TABLE other (code varchar(100) PRIMARY KEY, amount double precision)")
    other = sink_of({"code": TEXT, "amount": DECIMAL}, name="other", grant="grant-2")
    other.put(amount("a", "0.1"), amount("b", "12345678901234.567891"))
    assert database.run("SELECT amount FROM other") == [(0.1,)]
    assert [why for _, why in other.refused] == ["amount: 20 digits, the column keeps 15"]


def test_codes_and_names_of_the_departments_own(sink_of: SinkOf, database: SinkDatabase) -> None:
    def mapped(record: dict[str, Any]) -> dict[str, Any]:
        return {"zt": {"1": "open", "2": "closed"}[record["name"]], "day": record["day"]}

    database.run("CREATE TABLE cut (dm varchar(100) PRIMARY KEY, zt varchar(100), day date, own varchar(10))")
    sink = sink_of({"code": TEXT, "name": TEXT, "day": DATE}, shape=Shape({"code": "dm"}, mapped))
    day = date(2026, 1, 2)
    sink.put({**row("a", "1"), "day": day}, {**row("b", "9"), "day": day}, {**row("c", "2"), "day": day})
    sink.put("c")
    assert [str(cell) for one in database.run("SELECT dm, zt, day FROM cut") for cell in one] == [
        "a",
        "open",
        "2026-01-02",
    ]
    assert [why for _, why in sink.refused] == ["the mapping raised KeyError"]


def _patiently(act: Callable[[], object]) -> None:
    """As the line does: a database that is busy is asked again."""
    for _ in range(50):
        try:
            act()
            return
        except ExchangeError as error:
            assert error.code == "E_SINK_UNREACHABLE"
    raise AssertionError("the database was busy at every try")


def test_two_processes_of_one_sink_apply_every_record_once(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(100) CHECK (name <> 'bad'))")
    first, second = sink_of({"code": TEXT, "name": TEXT}), sink_of({"code": TEXT, "name": TEXT})
    changes = [Change(n, f"r{n}".encode(), row(f"r{n}", "bad" if n % 50 == 7 else "n")) for n in range(400)]
    batches = [Batch(GRANT, 0, changes[n : n + 40], n + 40, NOW) for n in range(0, 400, 40)]

    def work(sink: SinkAtWork) -> None:
        for batch in batches:
            _patiently(partial(sink.target.apply, batch, lambda _: None))

    assert [one.target for one in (first, second)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (first, second)))
    progress = first.target.stored(GRANT)[0]
    assert (progress.upserted, progress.faulty, progress.next_offset) == (392, 8, 400)
    assert (database.run("SELECT count(*) FROM cut"), first.waiting()) == ([(392,)], 8)


def test_several_grants_fill_one_table_at_the_same_time(sink_of: SinkOf, database: SinkDatabase) -> None:
    sinks = [sink_of({"code": TEXT, "name": TEXT}, grant=f"grant-{n}") for n in range(3)]
    assert [sink.target for sink in sinks]

    def work(n: int) -> None:
        grant = sinks[n].grant
        for start in range(0, 200, 20):
            keys = [f"r{(offset * 37) % 200}-{n}" for offset in range(start, start + 20)]
            changes = [Change(start + m, key.encode(), row(key)) for m, key in enumerate(keys)]
            _patiently(partial(sinks[n].target.apply, Batch(grant, 0, changes, start + 20, NOW), lambda _: None))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert database.run("SELECT count(*) FROM cut") == [(600,)]
    assert [sink.waiting() for sink in sinks] == [0, 0, 0]
