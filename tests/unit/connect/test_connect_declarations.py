"""Declarations, cleaning, finding connectors by name."""

import gzip
import os
import time
from pathlib import Path

import pytest

from exchange.connect import Sink, Source, csv_file, folder, query, sink, source, table, text
from exchange.connect.find import find
from exchange.connect.reading import sequence_of_cursor
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings

LONG_AGO = time.time() - 3600


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        (None, None),
        ("", None),
        (" \u3000", None),
        ("N/A", None),
        (" N/A ", None),
        ("\u3000一二 ", "一二"),
        ("１２ＡＢ（三）", "12AB（三）"),
        (7, "7"),
    ],
)
def test_text_is_cleaned_and_nothing_is_none(dirty: object, clean: str | None) -> None:
    assert text(dirty) == clean


def test_all_shipped_connectors_are_found_by_name() -> None:
    kinds = {
        "market-regulation.registrations": Source,
        "market-regulation.registrations-file": Source,
        "public-security.residents": Source,
        "health.deaths": Source,
        "taxation.companies": Sink,
        "human-resources.deaths": Sink,
        "emergency-management.companies-as-files": Sink,
    }
    for name, kind in kinds.items():
        found = find(name)
        assert (found.name, type(found.declaration)) == (name, kind)


@pytest.mark.parametrize(
    "name", ["taxation", "taxation.", "taxation.nothing", "nobody.deaths", "taxation.__init__", "taxation.os.path"]
)
def test_a_name_without_connector_is_refused(name: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        find(name)
    assert caught.value.code == "E_CONNECTOR"


def test_a_module_of_a_folder_that_declares_nothing_is_no_connector() -> None:
    with pytest.raises(ExchangeError, match="declares 0"):
        find("market-regulation.capital")


def test_a_record_type_of_no_registry_is_refused() -> None:
    with pytest.raises(ExchangeError) as caught:
        source("weather.rain", csv_file())
    assert caught.value.code == "E_NAME_INVALID"


def test_a_sink_into_a_query_is_refused() -> None:
    with pytest.raises(ExchangeError) as caught:
        sink("population.death", query("SELECT 1", key="a"))
    assert caught.value.code == "E_CONNECTOR"


def test_a_source_table_without_key_is_refused() -> None:
    with pytest.raises(ExchangeError) as caught:
        table("deaths").reader(ConnectorSettings())
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize("value", ["2026", None, -1, 1.5])
def test_a_version_that_is_neither_number_nor_time_is_refused(value: object) -> None:
    with pytest.raises(ExchangeError) as caught:
        sequence_of_cursor(value)
    assert caught.value.code == "E_ROW_UNMAPPED"


def write(path: Path, rows: int, modified: float = LONG_AGO) -> Path:
    content = "甲,乙\n" + "".join(f"{n},x{n}\n" for n in range(rows))
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode("utf-8-sig"))
    os.utime(path, (modified, modified))
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_a_file_is_read_whole_in_pages(tmp_path: Path, name: str) -> None:
    reader = csv_file().reader(ConnectorSettings(path=write(tmp_path / name, 7)))
    cursor, seen = None, []
    while (page := reader.page(cursor, 3)) is not None:
        cursor = page.cursor
        seen += page.rows
    assert [row.values["甲"] for row in seen] == [str(n) for n in range(7)]
    assert {row.sequence // 1_000_000 for row in seen} == {int(LONG_AGO)}


def test_an_interrupted_file_goes_on_at_its_row_in_another_process(tmp_path: Path) -> None:
    settings = ConnectorSettings(path=write(tmp_path / "rows.csv", 5))
    killed, again = csv_file().reader(settings), csv_file().reader(settings)
    first = killed.page(None, 2)
    killed.close()
    assert first is not None
    rest = again.page(first.cursor, 10)
    assert rest is not None
    assert [row.values["甲"] for row in rest.rows] == ["2", "3", "4"]


def test_a_finished_file_is_read_again_at_the_next_start_and_when_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", 2)
    reader = csv_file().reader(ConnectorSettings(path=path))
    done = reader.page(None, 10)
    assert done is not None
    assert reader.page(done.cursor, 10) is None
    again = csv_file().reader(ConnectorSettings(path=path)).page(done.cursor, 10)
    assert again is not None
    assert len(again.rows) == 2
    write(path, 3, LONG_AGO + 60)
    changed = reader.page(done.cursor, 10)
    assert changed is not None
    assert len(changed.rows) == 3
    assert changed.rows[0].sequence > done.rows[0].sequence


def test_a_file_that_is_still_written_waits(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", 2, time.time() + 60)
    reader = csv_file().reader(ConnectorSettings(path=path))
    assert reader.page(None, 10) is None
    assert reader.waiting


@pytest.mark.parametrize(
    "content",
    [None, b"\x1f\x8bnot gzip", gzip.compress(b"a,b\n1,2\n" * 999)[:-20]],
    ids=["no file", "no gzip", "cut off"],
)
def test_a_file_that_cannot_be_read_is_an_error_with_a_code(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rows.csv.gz"
    if content is not None:
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
    reader = csv_file().reader(ConnectorSettings(path=path))
    with pytest.raises(ExchangeError) as caught:
        reader.page(None, 10_000)
    assert caught.value.code == "E_SOURCE_UNREACHABLE"


@pytest.mark.parametrize("name", ["", "../elsewhere", "a/b", ".hidden", "Name", "a b"])
def test_a_drop_folder_lies_where_the_settings_say_and_nowhere_else(name: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        folder(name)
    assert caught.value.code == "E_CONNECTOR"


def test_a_drop_folder_needs_a_place(tmp_path: Path) -> None:
    assert folder("companies").path(ConnectorSettings(drop_folder=tmp_path)) == tmp_path / "companies"
    with pytest.raises(ExchangeError) as caught:
        folder("companies").path(ConnectorSettings())
    assert caught.value.code == "E_SETTINGS"
