"""A sink's table read back from PostgreSQL, MariaDB and SQLite: the same content has the same digest in each."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.connect.reading import CHINA
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.names import GrantId
from exchange.reconcile.canonical import Canon
from exchange.reconcile.keys import RECORD_KEY, KeyColumns
from exchange.reconcile.table import SinkTable
from tests.harness.mariadb import MariaDb, mariadb
from tests.harness.source_tables import execute, insert_dicts

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}
SCHEMA = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "code", "type": "string"},
        {"name": "part", "type": "string"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "amount", "type": ["null", DECIMAL]},
        {"name": "open", "type": ["null", "boolean"]},
        {"name": "number", "type": "long"},
        {"name": "ratio", "type": ["null", "double"]},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
    ],
}
DDL = {
    "postgresql": "CREATE TABLE r (code text, part text, name text, day date, amount numeric(18,4), open boolean, "
    "number bigint, ratio double precision, at timestamptz, PRIMARY KEY (code, part))",
    "mysql": "CREATE TABLE r (code varchar(255) COLLATE utf8mb4_bin, part varchar(255) COLLATE utf8mb4_bin, name text, "
    "day date, amount decimal(18,4), open boolean, number bigint, ratio double, at datetime(6), "
    "PRIMARY KEY (code, part))",
    "sqlite": "CREATE TABLE r (code text, part text, name text, day text, amount text, open integer, number integer, "
    "ratio real, at text, PRIMARY KEY (code, part))",
}
KEY = KeyColumns(("code", "part"))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).map(lambda it: f"{it}.")
RECORDS = st.fixed_dictionaries(
    {
        "name": st.none() | TEXT,
        "day": st.none() | st.dates(date(1840, 1, 1)),
        "amount": st.none() | st.decimals(-(10**13), 10**13, places=4),
        "open": st.none() | st.booleans(),
        "number": st.integers(-(2**63), 2**63 - 1),
        "ratio": st.none() | st.floats(-1e300, 1e300).map(lambda it: it + 0.0),
        "at": st.none() | st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1), timezones=st.just(UTC)),
    }
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    with mariadb(tmp_path_factory.mktemp("mariadb")) as running:
        yield running


@pytest.fixture(params=sorted(DDL))
def address(request: Any, postgres: EmbeddedPostgres, unique: str, tmp_path: Path) -> str:
    if request.param == "postgresql":
        found = postgres.database(unique)
    elif request.param == "mysql":
        found = request.getfixturevalue("server").database(unique)
    else:
        found = f"sqlite:///{tmp_path / 'r.db'}"
    execute(found, DDL[request.param])
    return str(found)


def stored(address: str, records: list[dict[str, Any]]) -> None:
    """Write rows as a sink does: moments of China where there are no zones, and what SQLite has no type for as text."""
    execute(address, "DELETE FROM r")
    plain = []
    for record in records:
        row = dict(record)
        if row["at"] is not None and address.startswith("mysql"):
            row["at"] = row["at"].astimezone(CHINA).replace(tzinfo=None)
        if address.startswith("sqlite"):
            row = {name: str(it) if isinstance(it, Decimal | date) else it for name, it in row.items()}
        plain.append(row)
    insert_dicts(address, "r", plain)


def table_at(address: str, key: KeyColumns = KEY) -> SinkTable:
    return SinkTable(address, "r", key, [field["name"] for field in SCHEMA["fields"]])  # type: ignore[index]


def test_what_was_stored_is_read_back_with_the_digest_of_the_share(address: str) -> None:
    canon = Canon(SCHEMA)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.dictionaries(st.tuples(TEXT, TEXT), RECORDS, min_size=1, max_size=8))
    def holds(records: dict[tuple[str, str], dict[str, Any]]) -> None:
        whole = [{"code": code, "part": part, **record} for (code, part), record in records.items()]
        stored(address, whole)
        with closing(table_at(address)) as table:
            table.check()
            read = {key: canon.digest(row) for page in table.pages() for key, row in page}
            assert read == {KEY.key_of(record): canon.digest(record) for record in whole}
            assert table.rows(list(read)).keys() == read.keys()

    holds()


ROW = {"code": "a/b", "part": "%", "name": "n", "day": date(2026, 1, 2), "amount": Decimal("1.5"), "open": True}
ROW |= {"number": 7, "ratio": 0.1, "at": datetime(2026, 1, 2, tzinfo=UTC)}
CHANGES = {
    "name": "'N'",
    "day": "'2026-01-03'",
    "amount": "'1.5001'",
    "open": "NULL",
    "number": "8",
    "ratio": "0.2",
    "at": "'2026-01-02 00:00:00.000001'",
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_of_any_single_field_is_found(address: str, field: str) -> None:
    stored(address, [ROW])
    execute(address, f"UPDATE r SET {field} = {CHANGES[field]}")
    with closing(table_at(address)) as table:
        ((key, row),) = next(table.pages())
    assert key == b"a%2Fb/%25"
    assert Canon(SCHEMA).digest(row) != Canon(SCHEMA).digest(ROW)


def test_only_the_rows_that_are_named_are_removed(address: str) -> None:
    stored(address, [ROW, {**ROW, "part": "x"}, {**ROW, "part": "y"}])
    with closing(table_at(address)) as table:
        assert table.remove([b"a%2Fb/x", b"a%2Fb/nowhere", b"another/number/of/parts"]) == 1
        assert {key for page in table.pages() for key, _ in page} == {b"a%2Fb/%25", b"a%2Fb/y"}


def test_a_table_without_the_sinks_notes_is_read_all_the_same(address: str) -> None:
    stored(address, [ROW])
    with closing(table_at(address)) as table:
        table.check()
        assert table.progress(GrantId("g-1")) == {}
        assert table.other_grants(GrantId("g-1"), ["g-2"]) == []
        assert table.set_aside(GrantId("g-1"), [b"a"]) == set()


def test_fields_may_stand_in_columns_of_other_names(address: str) -> None:
    stored(address, [ROW])
    columns = {"number": "nummer", "code": "kennung"}
    for field, column in columns.items():
        execute(address, f"ALTER TABLE r RENAME COLUMN {field} TO {column}")
    fields = [field["name"] for field in SCHEMA["fields"]]  # type: ignore[index]
    with closing(SinkTable(address, "r", KEY, fields, columns)) as table:
        table.check()
        ((key, row),) = next(table.pages())
        assert Canon(SCHEMA).digest(row) == Canon(SCHEMA).digest(ROW)
        assert table.rows([key]).keys() == {key}
        assert table.remove([key]) == 1


def test_a_missing_column_is_named_and_no_value(address: str) -> None:
    stored(address, [{**ROW, "name": "secret"}])
    with closing(SinkTable(address, "r", KEY, ["name", "renamed"])) as table:
        with pytest.raises(ExchangeError) as caught:
            table.check()
        assert (caught.value.code, "renamed" in caught.value.detail) == ("E_CONNECTOR", True)
        with pytest.raises(ExchangeError) as caught:
            list(table.pages())
        assert caught.value.code == "E_CONNECTOR"
        assert "secret" not in caught.value.detail


def test_a_database_that_is_away_is_unreachable(tmp_path: Path) -> None:
    for address in ("postgresql://x@127.0.0.1:1/none", "mysql+pymysql://x@127.0.0.1:1/none"):
        with closing(table_at(address)) as table, pytest.raises(ExchangeError) as caught:
            table.check()
        assert caught.value.code == "E_SINK_UNREACHABLE"


def test_a_share_with_hidden_keys_is_keyed_by_its_pseudonyms(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'p.db'}"
    execute(address, "CREATE TABLE r (record_key text PRIMARY KEY, name text)")
    insert_dicts(address, "r", [{"record_key": "0af3", "name": "n"}])
    key = KeyColumns.of(SCHEMA, ("code", "part"), pseudonymous=True)
    assert key == KeyColumns((RECORD_KEY,))
    with closing(SinkTable(address, "r", key, ["name"])) as table:
        assert [one for page in table.pages() for one, _ in page] == [b"0af3"]
        assert table.rows([b"0af3"]) == {b"0af3": {"record_key": "0af3", "name": "n"}}


def test_blanks_at_the_end_of_a_column_of_fixed_width_mean_nothing(postgres: EmbeddedPostgres, unique: str) -> None:
    address = postgres.database(unique)
    execute(address, "CREATE TABLE r (code char(18) PRIMARY KEY, name varchar(9))")
    insert_dicts(address, "r", [{"code": "short", "name": "n "}])
    with closing(SinkTable(address, "r", KeyColumns(("code",)), ["name"])) as table:
        table.check()
        assert [*table.pages()] == [[(b"short", {"code": "short", "name": "n "})]]
