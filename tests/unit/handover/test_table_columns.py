"""A sink's table follows its amended grant, on a real PostgreSQL: columns that come, columns that are emptied."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.handover.layout import Change, Layout
from exchange.handover.table.target import Batch, SqlTarget
from exchange.names import GrantId
from tests.harness.source_tables import execute

GRANT, OTHER = GrantId("grant-1"), GrantId("grant-2")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DATE = {"type": "int", "logicalType": "date"}
TYPES: dict[str, Any] = {"code": "string", "name": "string", "day": DATE, "phone": "string"}
Open = Callable[..., SqlTarget]


def layout(*fields: str, **types: Any) -> Layout:
    """The layout of a share with these fields."""
    schema = {
        "type": "record",
        "name": "Cut",
        "fields": [{"name": name, "type": types.get(name, TYPES[name])} for name in fields],
    }
    return Layout.of(schema, ("code",), pseudonymous=False)


@pytest.fixture
def address(postgres: EmbeddedPostgres, unique: str) -> str:
    return postgres.database(unique)


@pytest.fixture
def open_(address: str) -> Iterator[Open]:
    made: list[SqlTarget] = []

    def open_(*fields: str, grant: GrantId = GRANT, at: str = address, **types: Any) -> SqlTarget:
        made.append(SqlTarget("cut", at, layout(*fields, **types)))
        made[-1].prepare(grant)
        return made[-1]

    yield open_
    for target in made:
        target.close()


def put(target: SqlTarget, *rows: dict[str, Any], grant: GrantId = GRANT, topic: str = "share.s") -> None:
    """Let a sink read a share from its beginning, which holds these rows."""
    place = target.begin(grant, topic, [0], NOW)[0]
    changes = [Change(offset, row["code"].encode(), row) for offset, row in enumerate(rows)]
    target.apply(Batch(grant, 0, changes, len(rows), NOW, {}, place.reading), refuse)
    target.complete(grant, 0, place.reading, NOW)


def refuse(refusals: Any) -> None:
    assert not refusals


def rows_of(address: str, columns: str = "*") -> list[tuple[Any, ...]]:
    with psycopg.connect(address.replace("+psycopg", "")) as connection:
        return connection.execute(f"SELECT {columns} FROM cut ORDER BY code").fetchall()  # type: ignore[arg-type]


def test_a_field_that_is_granted_later_gets_a_column_and_its_values(address: str, open_: Open) -> None:
    put(open_("code", "name"), {"code": "a", "name": "n"})
    after = open_("code", "name", "day")
    assert rows_of(address) == [("a", "n", None)]
    put(after, {"code": "a", "name": "n", "day": date(2026, 1, 2)}, topic="share.t")
    assert rows_of(address) == [("a", "n", date(2026, 1, 2))]


def test_a_field_that_is_granted_no_more_is_emptied_and_holds_nothing_up(address: str, open_: Open) -> None:
    row = {"code": "a", "name": "n", "phone": "secret"}
    put(open_("code", "name", "phone"), row, row | {"code": "b"})
    put(open_("code", "name"), {"code": "a", "name": "n"}, {"code": "c", "name": "n"}, topic="share.t")
    assert rows_of(address) == [("a", "n", None), ("c", "n", None)]
    again = open_("code", "name")
    put(again, {"code": "d", "name": "n"}, topic="share.u")
    assert rows_of(address) == [("d", "n", None)]


def test_a_field_that_is_granted_again_is_filled_again(address: str, open_: Open) -> None:
    put(open_("code", "phone"), {"code": "a", "phone": "1"})
    put(open_("code"), {"code": "a"}, topic="share.t")
    put(open_("code", "phone"), {"code": "a", "phone": "2"}, topic="share.u")
    assert rows_of(address, "code, phone") == [("a", "2")]


def test_a_column_of_the_department_or_of_another_grant_is_not_touched(address: str, open_: Open) -> None:
    put(open_("code", "phone", grant=OTHER), {"code": "x", "phone": "1"}, grant=OTHER)
    execute(address, "ALTER TABLE cut ADD COLUMN note text")
    execute(address, "ALTER TABLE cut ALTER COLUMN phone DROP NOT NULL")
    put(open_("code", "name"), {"code": "a", "name": "n"})
    execute(address, "UPDATE cut SET note = 'mine', phone = 'mine too' WHERE code = 'a'")
    put(open_("code", "name"), {"code": "a", "name": "o"}, topic="share.t")
    assert rows_of(address, "code, phone, name, note") == [("a", "mine too", "o", "mine"), ("x", "1", None, None)]


def test_a_former_column_that_the_department_has_dropped_is_forgotten(address: str, open_: Open) -> None:
    put(open_("code", "phone"), {"code": "a", "phone": "1"})
    execute(address, "ALTER TABLE cut DROP COLUMN phone")
    put(open_("code"), {"code": "b"}, topic="share.t")
    assert rows_of(address) == [("b",)]


def test_a_column_that_must_be_filled_but_is_not_granted_is_named_with_what_helps(address: str, open_: Open) -> None:
    execute(
        address, 'CREATE TABLE cut (code text PRIMARY KEY, "Own" text NOT NULL, at timestamptz NOT NULL DEFAULT now())'
    )
    with pytest.raises(ExchangeError, match=r'E_CONNECTOR.*ALTER TABLE cut ALTER COLUMN "Own" DROP NOT NULL') as caught:
        open_("code")
    execute(address, caught.value.detail.partition("run: ")[2])
    put(open_("code"), {"code": "a"})
    assert rows_of(address, "code") == [("a",)]


def test_a_field_that_is_masked_to_text_does_not_fit_its_column_and_what_helps_is_said(
    address: str, open_: Open
) -> None:
    put(open_("code", "day"), {"code": "a", "day": date(2026, 1, 2)})
    with pytest.raises(ExchangeError, match=r"E_CONNECTOR.*ALTER TABLE cut ALTER COLUMN day TYPE TEXT") as caught:
        open_("code", "day", day="string")
    execute(address, caught.value.detail.partition(": ")[2])
    put(open_("code", "day", day="string"), {"code": "a", "day": "2026"}, topic="share.t")
    assert rows_of(address) == [("a", "2026")]


def test_a_sink_that_may_not_change_its_table_says_what_to_run(
    address: str, open_: Open, unique: str, postgres: EmbeddedPostgres
) -> None:
    put(open_("code", "name"), {"code": "a", "name": "n"})
    role, _, place = postgres.database(f"{unique}x").rpartition("@")
    lesser = f"{role}@{place.removesuffix('x')}"
    execute(address, f"GRANT CONNECT ON DATABASE {unique} TO {unique}x")
    execute(address, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {unique}x")
    with pytest.raises(ExchangeError, match=r"E_CONNECTOR: .*ALTER TABLE cut ADD COLUMN day DATE") as caught:
        open_("code", "name", "day", at=lesser)
    execute(address, caught.value.detail.partition("run: ")[2])
    put(open_("code", "name", "day", at=lesser), {"code": "b", "name": "n", "day": date(2026, 1, 2)}, topic="share.t")
    assert rows_of(address) == [("b", "n", date(2026, 1, 2))]
