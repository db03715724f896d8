"""What a sink writes reads back equal, in the columns that it makes and in those of a department."""

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.harness.mariadb import MariaDb
from tests.harness.sink_databases import SinkAtWork, SinkDatabase

SinkOf = Callable[..., SinkAtWork]
CHINA = timezone(timedelta(hours=8))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def maybe(type_: Any) -> list[Any]:
    return ["null", type_]


FIELDS: dict[str, Any] = {
    "code": "string",
    "text": maybe("string"),
    "code_set": maybe({"type": "enum", "name": "E", "symbols": ["A", "B"]}),
    "small": maybe("int"),
    "big": maybe("long"),
    "amount": maybe({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 12}),
    "huge": maybe({"type": "bytes", "logicalType": "decimal", "precision": 80, "scale": 40}),
    "ratio": maybe("double"),
    "flag": maybe("boolean"),
    "data": maybe("bytes"),
    "day": maybe({"type": "int", "logicalType": "date"}),
    "clock": maybe({"type": "long", "logicalType": "time-micros"}),
    "at": maybe({"type": "long", "logicalType": "timestamp-micros"}),
    "there": maybe({"type": "long", "logicalType": "local-timestamp-micros"}),
    "number": maybe({"type": "string", "logicalType": "uuid"}),
    "tags": maybe({"type": "array", "items": "string"}),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
DAYS = st.dates(date(1, 1, 3), date(9999, 12, 28))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28), timezones=st.just(UTC))


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    largest = 10**precision - 1
    return st.integers(-largest, largest).map(lambda unscaled: _scaled(unscaled, scale))


def _scaled(unscaled: int, scale: int) -> Decimal:
    sign, digits = (1 if unscaled < 0 else 0), tuple(map(int, str(abs(unscaled))))
    return Decimal((sign, digits, -scale))


VALUES = {
    "text": TEXTS,
    "code_set": st.sampled_from(["A", "B"]),
    "small": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "amount": decimals(38, 12),
    "huge": decimals(80, 40),
    "ratio": st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
    "flag": st.booleans(),
    "data": st.binary(max_size=60),
    "day": DAYS,
    "clock": st.times(),
    "at": MOMENTS,
    "there": st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28)),
    "number": st.uuids(),
    "tags": st.lists(TEXTS, max_size=4),
}
RECORDS = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})


def moment(cell: Any, kind: str) -> datetime:
    """A cell of a column without a zone is China's time; SQLite's text has its own."""
    if isinstance(cell, str):
        return datetime.fromisoformat(cell)
    return cell.replace(tzinfo=CHINA) if kind == "mariadb" else cell  # type: ignore[no-any-return]


def clock(cell: Any) -> time:
    if isinstance(cell, timedelta):
        return (datetime(1, 1, 1) + cell).time()
    return time.fromisoformat(cell) if isinstance(cell, str) else cell


def read(name: str, cell: Any, kind: str) -> Any:
    """A cell as the value that it stands for."""
    if cell is None:
        return None
    readers: dict[str, Callable[[], Any]] = {
        "amount": lambda: Decimal(cell),
        "huge": lambda: Decimal(cell),
        "flag": lambda: bool(cell),
        "data": lambda: bytes(cell),
        "day": lambda: date.fromisoformat(str(cell)),
        "clock": lambda: clock(cell),
        "at": lambda: moment(cell, kind),
        "there": lambda: datetime.fromisoformat(str(cell)),
        "number": lambda: cell if isinstance(cell, UUID) else UUID(cell),
        "tags": lambda: json.loads(cell) if isinstance(cell, str) else cell,
    }
    return readers[name]() if name in readers else cell


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(records=st.lists(RECORDS, min_size=1, max_size=40))
def test_what_was_written_reads_back_equal(
    sink_of: SinkOf, database: SinkDatabase, records: list[dict[str, Any]]
) -> None:
    sink = _kept(sink_of, database)
    sink.refused.clear()
    sent = {f"k{n}": record for n, record in enumerate(records)}
    sink.put(*({"code": code, **record} for code, record in sent.items()))
    assert sink.refused == []
    columns = ", ".join(VALUES)
    found = {
        row[0]: dict(zip(VALUES, row[1:], strict=True)) for row in database.run(f"SELECT code, {columns} FROM cut")
    }
    for code, record in sent.items():
        assert {name: read(name, cell, database.kind) for name, cell in found[code].items()} == record


_SINKS: dict[str, SinkAtWork] = {}


def _kept(sink_of: SinkOf, database: SinkDatabase) -> SinkAtWork:
    """One sink for all examples of a test."""
    if database.address not in _SINKS:
        _SINKS.clear()
        _SINKS[database.address] = sink_of(FIELDS)
    return _SINKS[database.address]


@pytest.mark.parametrize("several", [1, 60], ids=["one by one", "many at once"])
def test_a_value_that_the_database_cannot_hold_waits_and_holds_up_nobody(
    sink_of: SinkOf, database: SinkDatabase, several: int
) -> None:
    sink = sink_of({"code": "string", "text": maybe("string"), "ratio": maybe("double"), "big": maybe("long")})
    bad: list[dict[str, Any]] = [{"text": "a lone \ud800"}, {"big": 2**70}]
    if database.kind == "postgresql":
        bad += [{"text": "a\0b"}, {"big": "no number"}, {"text": 5j}]
    else:
        bad += [{"ratio": math.nan}, {"ratio": math.inf}]
    empty = {"text": None, "ratio": None, "big": None}
    records = [{"code": f"bad{n}", **empty, **one} for n, one in enumerate(bad)]
    for n in range(several):
        records.insert(n * 2 % len(records), {"code": f"good{n}", **empty, "text": "well"})
    sink.put(*records)
    assert database.run("SELECT count(*) FROM cut") == [(several,)]
    assert sink.waiting() == len(bad)
    assert all("lone" not in why and "a\0b" not in why for _, why in sink.refused)


def test_a_moment_without_zone_is_chinas_and_no_part_of_a_second_is_lost(
    sink_of: SinkOf, database: SinkDatabase
) -> None:
    if database.kind == "sqlite":
        pytest.skip("SQLite has no type for moments")
    whole = "datetime" if database.kind == "mariadb" else "timestamp(0)"
    milli = "datetime(3)" if database.kind == "mariadb" else "timestamp(3)"
    database.run(f"CREATE TABLE cut (code varchar(100) PRIMARY KEY, at {whole}, there {milli})")
    type_ = {"type": "long", "logicalType": "timestamp-micros"}
    local = {"type": "long", "logicalType": "local-timestamp-micros"}
    sink = sink_of({"code": "string", "at": type_, "there": local})
    midnight, local_time = datetime(2025, 12, 31, 16, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 123000)
    sink.put(
        {"code": "a", "at": midnight, "there": local_time},
        {"code": "b", "at": midnight + timedelta(milliseconds=500), "there": local_time},
        {"code": "c", "at": midnight, "there": local_time + MICROSECOND},
    )
    assert database.run("SELECT code, at, there FROM cut") == [("a", datetime(2026, 1, 1), local_time)]
    assert [why for _, why in sink.refused] == [
        "at: a part of a second, of which the column keeps 0 digits",
        "there: a part of a second, of which the column keeps 3 digits",
    ]


def test_an_instant_is_an_instant_in_a_timestamp_of_mariadb(sink_of: SinkOf, database: SinkDatabase) -> None:
    if database.kind != "mariadb":
        pytest.skip("a type of MySQL and MariaDB")
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, at timestamp(6) NULL)")
    sink = sink_of({"code": "string", "at": {"type": "long", "logicalType": "timestamp-micros"}})
    sink.put({"code": "a", "at": EPOCH + timedelta(seconds=1)}, {"code": "b", "at": EPOCH - timedelta(days=1)})
    assert [float(one[0]) for one in database.run("SELECT UNIX_TIMESTAMP(at) FROM cut")] == [1.0]
    assert sink.waiting() == 1


def test_a_moment_in_a_column_of_days_keeps_its_day_in_china_or_waits(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, at date)")
    sink = sink_of({"code": "string", "at": {"type": "long", "logicalType": "timestamp-micros"}})
    midnight = datetime(2025, 12, 31, 16, tzinfo=UTC)
    sink.put({"code": "a", "at": midnight}, {"code": "b", "at": midnight - timedelta(seconds=1)})
    assert [str(one[0]) for one in database.run("SELECT at FROM cut")] == ["2026-01-01"]
    assert [why for _, why in sink.refused] == ["at: a time of day, the column keeps days"]


def test_a_blank_at_the_end_is_not_lost_in_a_column_of_a_fixed_length(sink_of: SinkOf, database: SinkDatabase) -> None:
    if database.kind == "sqlite":
        pytest.skip("SQLite keeps texts of any length in every column")
    database.run("CREATE TABLE cut (code varchar(100) PRIMARY KEY, name char(4))")
    sink = sink_of({"code": "string", "name": "string"})
    sink.put({"code": "a", "name": "four"}, {"code": "b", "name": "abc "}, {"code": "c", "name": "fifth"})
    assert database.run("SELECT code, name FROM cut") == [("a", "four")]
    assert len(sink.refused) == 2


@pytest.fixture
def lenient(request: pytest.FixtureRequest, database: SinkDatabase) -> Iterator[None]:
    """A MariaDB that cuts what does not fit and warns."""
    if database.kind != "mariadb":
        pytest.skip("MySQL and MariaDB alone cut in silence")
    server: MariaDb = request.getfixturevalue("maria")
    before = server.run("SELECT @@GLOBAL.sql_mode")[0][0]
    server.run("SET GLOBAL sql_mode = ''")
    yield
    server.run(f"SET GLOBAL sql_mode = '{before}'")


@pytest.mark.usefixtures("lenient")
def test_nothing_is_cut_by_a_server_that_is_not_strict(sink_of: SinkOf, database: SinkDatabase) -> None:
    database.run(
        "CREATE TABLE cut (code varchar(100) PRIMARY KEY, name varchar(20) CHARACTER SET utf8mb3,"
        " n smallint, t tinytext)"
    )
    sink = sink_of({"code": "string", "name": "string", "n": "long", "t": "string"})
    good = {"name": "中文", "n": 1, "t": "t"}
    sink.put(
        {"code": "a", **good},
        {"code": "b", **good, "name": "𠮷"},
        {"code": "c", **good, "n": 40_000},
        {"code": "d", **good, "t": "x" * 300},
    )
    assert database.run("SELECT code, name FROM cut") == [("a", "中文")]
    assert sink.waiting() == 3


def test_a_uuid_is_a_key(sink_of: SinkOf, database: SinkDatabase) -> None:
    uuid = {"type": "string", "logicalType": "uuid"}
    sink = sink_of({"code": uuid, "name": "string"})
    one, two = UUID(int=1), UUID(int=2)
    sink.put({"code": one, "name": "n"}, {"code": two, "name": "n"}, {"code": one, "name": "m"}, str(two))
    found = [(read("number", row[0], database.kind), row[1]) for row in database.run("SELECT code, name FROM cut")]
    assert found == [(one, "m")]
    sink.put("not a uuid", str(UUID(int=0xABC)).upper())
    assert len(sink.refused) == 2


def test_a_text_that_is_a_uuid_fits_a_column_for_uuids(sink_of: SinkOf, database: SinkDatabase) -> None:
    if database.kind == "sqlite":
        pytest.skip("SQLite has no type for it")
    database.run("CREATE TABLE cut (code uuid PRIMARY KEY, name varchar(20))")
    sink = sink_of({"code": "string", "name": "string"})
    one = str(UUID(int=0xABC))
    sink.put({"code": one, "name": "n"}, {"code": one.upper(), "name": "other"}, {"code": "x", "name": "n"})
    sink.put({"code": one, "name": "m"})
    assert [(str(row[0]), row[1]) for row in database.run("SELECT code, name FROM cut")] == [(one, "m")]
    assert len(sink.refused) == 2


def test_a_null_of_a_structure_is_no_value_in_the_table(sink_of: SinkOf, database: SinkDatabase) -> None:
    sink = sink_of({"code": "string", "tags": maybe({"type": "array", "items": "string"})})
    sink.put({"code": "a", "tags": None})
    assert database.run("SELECT count(*) FROM cut WHERE tags IS NULL") == [(1,)]
