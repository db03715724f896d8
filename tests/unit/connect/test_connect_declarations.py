"""Declarations, cleaning, finding connectors by name."""

from pathlib import Path

import pytest

from exchange.connect import Sink, Source, csv_file, folder, query, sink, source, table, text
from exchange.connect.find import find
from exchange.connect.reading import sequence_of_cursor
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings


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
