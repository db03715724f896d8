"""Tables of a real PostgreSQL as sinks: made, kept equal, exactly once, one bad record aside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.handover.layout import RECORD_KEY, Change, Layout
from exchange.handover.table.progress import Progress
from exchange.handover.table.target import Batch, Refusal, SqlTarget
from exchange.names import GrantId
from tests.harness.source_tables import execute

GRANT = GrantId("grant-1")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}
SCHEMA = {
    "type": "record",
    "name": "Cut",
    "fields": [
        {"name": "code", "type": "string"},
        {"name": "name", "type": ["null", "string"], "default": None},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "amount", "type": ["null", DECIMAL], "default": None},
        {"name": "open", "type": "boolean"},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}
LAYOUT = Layout.of(SCHEMA, ("code",), pseudonymous=False)
NUL = "a\0b"


def row(code: str, name: str | None = "n", **more: Any) -> dict[str, Any]:
    return {
        "code": code,
        "name": name,
        "day": date(2026, 1, 2),
        "amount": Decimal("1.50"),
        "open": True,
        "tags": ["x"],
        **more,
    }


def change(offset: int, code: str, record: dict[str, Any] | None) -> Change:
    return Change(offset, code.encode(), record)


class Reports:
    def __init__(self) -> None:
        self.seen: list[Refusal] = []

    def __call__(self, refusals: Sequence[Refusal]) -> None:
        self.seen += refusals


@pytest.fixture
def address(postgres: EmbeddedPostgres, unique: str) -> str:
    return postgres.database(unique)


@pytest.fixture
def target_of(address: str) -> Iterator[Callable[..., SqlTarget]]:
    made: list[SqlTarget] = []

    def make(layout: Layout = LAYOUT, name: str = "cut") -> SqlTarget:
        target = SqlTarget(name, address, layout)
        made.append(target)
        target.prepare(GRANT)
        return target

    yield make
    for target in made:
        target.close()


def batch(
    changes: list[Change], end: int | None = None, faulty: Mapping[int, bytes | None] | None = None, partition: int = 0
) -> Batch:
    return Batch(GRANT, partition, changes, changes[-1].offset + 1 if end is None else end, NOW, faulty or {})


def rows_of(address: str, statement: str = "SELECT code, name FROM cut ORDER BY code") -> list[tuple[Any, ...]]:
    with psycopg.connect(address.replace("+psycopg", "")) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


def test_a_missing_table_is_made_with_the_granted_fields_only(
    address: str, target_of: Callable[..., SqlTarget]
) -> None:
    target_of()
    columns = rows_of(
        address,
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'cut' ORDER BY ordinal_position",
    )
    assert columns == [
        ("code", "text", "NO"),
        ("name", "text", "YES"),
        ("day", "date", "NO"),
        ("amount", "numeric", "YES"),
        ("open", "boolean", "NO"),
        ("tags", "json", "NO"),
    ]


def test_the_last_change_of_a_key_remains_and_all_are_counted(
    address: str, target_of: Callable[..., SqlTarget]
) -> None:
    changes = [
        change(0, "a", row("a", "first")),
        change(1, "b", row("b")),
        change(2, "a", row("a", "last")),
        change(3, "b", None),
        change(4, "c", None),
    ]
    progress = target_of().apply(batch(changes), Reports())
    assert rows_of(address) == [("a", "last")]
    assert progress == Progress(next_offset=5, upserted=3, deleted=2, faulty=0)
    assert rows_of(address, "SELECT day, amount, open, tags FROM cut") == [
        (date(2026, 1, 2), Decimal("1.50"), True, ["x"])
    ]


def test_a_batch_that_comes_again_changes_nothing_and_counts_nothing(
    address: str, target_of: Callable[..., SqlTarget]
) -> None:
    target = target_of()
    target.apply(batch([change(0, "a", row("a", "old")), change(1, "b", row("b"))]), Reports())
    target.apply(batch([change(2, "a", row("a", "new"))]), Reports())
    again = target.apply(batch([change(0, "a", row("a", "old")), change(1, "b", row("b"))]), Reports())
    assert again == Progress(next_offset=3, upserted=3, deleted=0, faulty=0)
    assert rows_of(address) == [("a", "new"), ("b", "n")]
    assert target.stored(GRANT) == {0: again}


def test_offsets_without_changes_move_the_progress(target_of: Callable[..., SqlTarget]) -> None:
    target = target_of()
    assert target.apply(batch([], end=7, faulty={1: b"a", 4: None}, partition=3), Reports()) == Progress(
        next_offset=7, faulty=2
    )
    assert target.stored(GRANT)[3].next_offset == 7


def test_a_record_that_the_database_refuses_is_reported_and_the_others_go_on(
    address: str, target_of: Callable[..., SqlTarget]
) -> None:
    reports = Reports()
    changes = [
        change(10, "a", row("a")),
        change(11, "b", row("b", NUL)),
        change(12, "c", row("c", amount=Decimal(10) ** 30)),
        change(13, "d", {**row("d"), "day": None}),
        change(14, "e", row("e")),
    ]
    progress = target_of().apply(batch(changes), reports)
    assert rows_of(address) == [("a", "n"), ("e", "n")]
    assert [offset for offset, _ in reports.seen] == [11, 12, 13]
    assert progress == Progress(next_offset=15, upserted=2, deleted=0, faulty=3)
    assert NUL not in str(reports.seen)


def test_nothing_is_applied_when_a_refusal_cannot_be_reported(
    address: str, target_of: Callable[..., SqlTarget]
) -> None:
    def broken(_: Sequence[Refusal]) -> None:
        raise ExchangeError("E_SUBMIT", "away")

    target = target_of()
    with pytest.raises(ExchangeError) as caught:
        target.apply(batch([change(0, "a", row("a")), change(1, "b", row("b", NUL))]), broken)
    assert caught.value.code == "E_SUBMIT"
    assert rows_of(address) == []
    assert target.stored(GRANT) == {}


def test_a_pseudonymous_share_has_its_key_in_a_column_of_its_own(
    address: str, target_of: Callable[..., SqlTarget]
) -> None:
    layout = Layout.of(SCHEMA, ("code",), pseudonymous=True)
    target = target_of(layout)
    target.apply(batch([change(0, "p1", row("x")), change(1, "p2", row("y")), change(2, "p1", None)]), Reports())
    assert layout.key == (RECORD_KEY,)
    assert rows_of(address, f"SELECT {RECORD_KEY}, code FROM cut") == [("p2", "y")]


def test_a_share_without_the_natural_key_has_its_key_in_a_column_of_its_own() -> None:
    assert Layout.of(SCHEMA, ("provider", "code"), pseudonymous=False).key == (RECORD_KEY,)
    assert Layout.of(SCHEMA, ("day",), pseudonymous=False).key == (RECORD_KEY,)


def test_the_parts_of_a_composite_key_are_columns(address: str, target_of: Callable[..., SqlTarget]) -> None:
    layout = Layout.of(SCHEMA, ("code", "name"), pseudonymous=False)
    named = {**SCHEMA, "fields": [{**f, "type": "string"} if f["name"] == "name" else f for f in SCHEMA["fields"]]}
    layout = Layout.of(named, ("code", "name"), pseudonymous=False)
    target = target_of(layout)
    target.apply(batch([change(0, "a/x%2Fy", row("a", "x/y")), change(1, "a/z", row("a", "z"))]), Reports())
    assert rows_of(address) == [("a", "x/y"), ("a", "z")]
    target.apply(batch([change(2, "a/x%2Fy", None)]), Reports())
    assert rows_of(address) == [("a", "z")]


def test_a_key_with_another_number_of_parts_is_refused_alone(address: str, target_of: Callable[..., SqlTarget]) -> None:
    reports = Reports()
    target_of().apply(batch([change(0, "a/b", row("a")), change(1, "c", row("c"))]), reports)
    assert [offset for offset, _ in reports.seen] == [0]
    assert rows_of(address) == [("c", "n")]


def test_a_table_without_the_right_key_is_refused(address: str, target_of: Callable[..., SqlTarget]) -> None:
    execute(address, "CREATE TABLE cut (code text, name text, day date, amount numeric, open bool, tags json)")
    with pytest.raises(ExchangeError) as caught:
        target_of()
    assert caught.value.code == "E_CONNECTOR"


def test_an_existing_table_with_more_columns_is_used(address: str, target_of: Callable[..., SqlTarget]) -> None:
    execute(
        address,
        "CREATE TABLE cut (code text PRIMARY KEY, name text, day date, amount numeric, open bool, tags json,"
        " taken timestamptz DEFAULT now())",
    )
    target_of().apply(batch([change(0, "a", row("a"))]), Reports())
    assert rows_of(address) == [("a", "n")]


def test_a_database_that_is_away_is_an_error_to_wait_for() -> None:
    target = SqlTarget("cut", "postgresql://nobody:secret-word@127.0.0.1:1/none", LAYOUT)
    with pytest.raises(ExchangeError) as caught:
        target.apply(batch([change(0, "a", row("a"))]), Reports())
    target.close()
    assert caught.value.code == "E_SINK_UNREACHABLE"
    assert "secret-word" not in str(caught.value)
