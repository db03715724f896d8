"""Whose fault it is that rows do not map: the rows' own, or the declaration's."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.market_regulation.registrations import registrations
from exchange.avro.lock import SchemaRepository
from exchange.connect import Unmapped, source, table
from exchange.connect.reading import Page, SourceRow
from exchange.errors import ExchangeError
from exchange.intake.encode import Encoder
from exchange.intake.map import RowMapper
from exchange.settings import Settings
from tests.harness.memory.source import SourceAtWork, mapped, resident_id

SECRET = "不可外传"
REGISTRATION = SchemaRepository.load(Settings().schemas).latest("legal-entity.registration")  # type: ignore[arg-type]


def at_work(folder: Path, mapping: Any, rows: int = 30, **columns: Any) -> SourceAtWork:
    work = SourceAtWork(folder / "state")
    for number in range(rows):
        work.table.put(f"{number}", resident_id(number), **columns)
    work.run()
    work.mapping = mapping
    return work


def renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return mapped({**row, "name": row["entname"]})


def clumsy(row: Mapping[str, Any]) -> dict[str, Any]:
    return mapped({**row, "name": row["name"].no_such_method()})


def refusing(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["name"] != "某人":
        raise Unmapped("name", "not a name")
    return mapped(row)


def test_a_renamed_column_stops_the_source_and_its_changes_come_after_the_repair(tmp_path: Path) -> None:
    work = at_work(tmp_path, mapped)
    for key in ("1", "2", "3"):
        row = work.table.put(key, name=SECRET)
        row.values["entname"] = row.values.pop("name")
    work.compare = ""
    with pytest.raises(ExchangeError) as caught:
        work.run()
    assert caught.value.code == "E_CONNECTOR"
    assert "no column name: 3 rows" in caught.value.detail
    assert SECRET not in str(caught.value)
    assert work.inbox.faults == []
    for key in ("1", "2", "3"):
        values = work.table.rows[key].values
        values["name"] = values.pop("entname")
    assert work.run().submitted == 33
    assert list(work.names().values()).count(SECRET) == 3


@pytest.mark.parametrize(("mapping", "says"), [(renamed, "no column entname"), (lambda row: undefined, "NameError")])  # type: ignore[name-defined]  # noqa: F821
def test_one_row_shows_that_a_column_or_name_is_missing(tmp_path: Path, mapping: Any, says: str) -> None:
    work = at_work(tmp_path, mapping)
    work.compare = ""
    work.table.put("1")
    with pytest.raises(ExchangeError, match=says) as caught:
        work.run()
    assert caught.value.code == "E_CONNECTOR"


def test_an_error_of_programming_in_two_rows_stops_the_source_and_in_one_sets_the_row_aside(tmp_path: Path) -> None:
    work = at_work(tmp_path, clumsy)
    work.compare = ""
    work.table.put("1")
    assert work.run().unmapped == 1
    work.table.put("1")
    work.table.put("2")
    with pytest.raises(ExchangeError, match="AttributeError: 2 rows") as caught:
        work.run()
    assert caught.value.code == "E_CONNECTOR"


def test_a_few_rows_that_the_mapping_refuses_are_set_aside_and_a_page_of_them_stops_the_source(tmp_path: Path) -> None:
    work = at_work(tmp_path, refusing)
    work.compare = ""
    for number in range(19):
        work.table.put(f"{number}", name=SECRET)
    assert work.run().unmapped == 19
    for number in range(20):
        work.table.put(f"{number}", name=SECRET)
    with pytest.raises(ExchangeError, match="name: not a name: 20 rows") as caught:
        work.run()
    assert caught.value.code == "E_CONNECTOR"
    assert SECRET not in str(caught.value)


def test_a_whole_reading_of_which_nothing_maps_stops_the_source(tmp_path: Path) -> None:
    work = at_work(tmp_path, refusing, rows=2)
    work.table.behind("0", name=SECRET)
    work.table.behind("1", name=SECRET)
    with pytest.raises(ExchangeError, match="of 2 rows 0 map") as caught:
        work.run()
    assert caught.value.code == "E_CONNECTOR"
    assert work.inbox.faults == []


def test_a_whole_reading_begins_with_its_first_row_and_not_while_its_reader_waits(tmp_path: Path) -> None:
    work = at_work(tmp_path, refusing, rows=2)
    work.table.behind("0", name=SECRET)
    work.table.behind("1", name=SECRET)
    whole = work.reader.whole

    def patient(limit: int) -> Iterator[Page]:
        yield Page([], {})
        yield from whole(limit)

    work.reader.whole = patient  # type: ignore[method-assign]
    with pytest.raises(ExchangeError, match="of 2 rows 0 map") as caught:
        work.run()
    assert caught.value.code == "E_CONNECTOR"


def test_over_a_thousand_rows_less_than_half_that_map_stop_the_source(tmp_path: Path) -> None:
    work = at_work(tmp_path, refusing, rows=1_200)
    work.compare = ""
    for number in range(1_200):
        work.table.put(f"{number}", name=SECRET if number % 5 else "某人")
    with pytest.raises(ExchangeError, match="not a name") as caught:
        work.run()
    assert caught.value.code == "E_CONNECTOR"


def test_over_a_thousand_rows_half_that_map_go_on(tmp_path: Path) -> None:
    work = at_work(tmp_path, refusing, rows=1_200)
    work.compare = ""
    for number in range(1_200):
        work.table.put(f"{number}", name=SECRET if number % 2 else "某人")
    assert work.run().unmapped == 600


def test_the_key_of_a_key_error_is_told_only_when_the_code_names_it(tmp_path: Path) -> None:
    work = at_work(tmp_path, lambda row: mapped(row[row["name"]]), rows=3, name="secret_word")
    with pytest.raises(ExchangeError, match="KeyError: 3 rows") as caught:
        work.run()
    assert "secret_word" not in str(caught.value)


# fields and columns


def mapper(function: Any) -> RowMapper:
    assert REGISTRATION.record is not None
    return RowMapper(source("legal-entity.registration", table("companies", key="code"))(function), REGISTRATION.record)


def company(**more: Any) -> dict[str, Any]:
    return {
        "credit_code": "91349989EX00000025",
        "name": "公司",
        "established": date(2020, 1, 1),
        "region": "340100",
        "status": "1",
        "registration_authority": "局",
        "authority_code": "11340000EXCH00018B",
        **more,
    }


def test_a_column_that_was_added_to_the_table_does_not_break_a_mapping_that_passes_all_on() -> None:
    values = company(withdrawn=False, updated_at=None, added_by_dba=7)
    assert "added_by_dba" not in mapper(registrations.map).map(SourceRow(values, 1))


@pytest.mark.parametrize(
    "function",
    [
        lambda row: {**row, "adress": "x"},
        lambda row: {**row, "added_by_dba": row["added_by_dba"]},
    ],
)
def test_a_field_that_the_mapping_names_must_exist(function: Any) -> None:
    with pytest.raises(ExchangeError, match=r"no field (adress|added_by_dba)"):
        mapper(function).map(SourceRow(company(added_by_dba=7), 1))


def test_a_value_that_became_the_name_of_a_field_is_not_told() -> None:
    with pytest.raises(ExchangeError) as caught:
        mapper(lambda row: {**row, row["name"]: 1}).map(SourceRow(company(name=SECRET), 1))
    assert SECRET not in str(caught.value)


def test_a_required_column_that_a_mapping_passes_on_and_that_is_gone_is_the_declarations_fault() -> None:
    values = company()
    del values["name"]
    with pytest.raises(ExchangeError, match="gives no field name"):
        mapper(registrations.map).map(SourceRow(values, 1))


# a withdrawn row of which other columns were emptied


def emptied(**values: Any) -> SourceRow:
    return SourceRow({"code": "91349989EX00000025", "name": None, "founded": None, **values}, 2, withdrawn=True)


def by_text(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["founded"] is None:
        raise Unmapped("established", "not a day")
    return {"credit_code": row["code"], "name": row["name"], "established": date.fromisoformat(row["founded"])}


def by_day(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"credit_code": row["code"].upper(), "name": row["name"], "established": row["founded"].replace(day=1)}


@pytest.mark.parametrize("function", [by_text, by_day])
def test_the_key_of_an_emptied_row_is_found_when_the_rest_does_not_map(function: Any) -> None:
    row = emptied()
    sent = Encoder(REGISTRATION).encode(mapper(function).map(row), row)
    assert (sent.key, sent.value) == (b"91349989EX00000025", None)


def test_a_key_that_depends_on_an_emptied_column_is_not_invented() -> None:
    def from_day(row: Mapping[str, Any]) -> dict[str, Any]:
        return {**by_text(row), "credit_code": row["code"] + row["founded"]}

    with pytest.raises(ExchangeError, match="whose key cannot be told"):
        mapper(from_day).map(emptied())


def test_an_emptied_key_is_not_invented() -> None:
    with pytest.raises(ExchangeError, match="whose key cannot be told"):
        mapper(by_text).map(emptied(code=""))
