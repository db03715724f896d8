"""A reading of a real database that is cut in the middle withdraws nothing, and the next whole one all that is gone."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exchange.connect import table
from exchange.connect.reading import Page
from exchange.connect.sql.fetching import READS_ONLY
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.intake.compare import Order
from exchange.settings import ConnectorSettings
from tests.harness.cut_connection import cut_way
from tests.harness.mariadb import mariadb
from tests.harness.memory.source import SourceAtWork, resident_id
from tests.harness.source_tables import execute, insert_dicts

ROWS = 5_000
DELETED = 1_000
PEOPLE = table("people", key="id")


@pytest.fixture(scope="module")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def address(request: pytest.FixtureRequest, unique: str) -> str:
    server = request.getfixturevalue("postgres" if request.param == "postgresql" else "maria")
    return filled(str(server.database(unique)))


def filled(address: str) -> str:
    execute(address, "CREATE TABLE people (id varchar(40) PRIMARY KEY, name varchar(200) NOT NULL)")
    insert_dicts(address, "people", [{"id": resident_id(number), "name": "某人" * 50} for number in range(ROWS)])
    return address


def delete(address: str) -> set[str]:
    """Delete rows from the beginning to the end of the table; who is gone."""
    gone = [resident_id(number) for number in range(0, ROWS, ROWS // DELETED)]
    listed = ", ".join(f"'{one}'" for one in gone)
    assert execute(address, f"DELETE FROM people WHERE id IN ({listed})") == DELETED
    return set(gone)


@pytest.fixture
def source(tmp_path: Path) -> SourceAtWork:
    source = SourceAtWork(tmp_path / "state", follows=False)
    source.part = 0.5
    return source


def read_from(source: SourceAtWork, address: str) -> Any:
    """Let the next process of the source read from there."""
    reader = PEOPLE.reader(ConnectorSettings(database=address))  # type: ignore[arg-type]
    source.reader = reader  # type: ignore[assignment]
    return reader


def broken_reading(source: SourceAtWork) -> None:
    """A process of the source whose whole reading breaks off."""
    with closing(source.open()) as line, pytest.raises(ExchangeError) as caught:
        line._steps.comparer.compare(Order(), False, threading.Event(), lambda: None)
    assert caught.value.code == "E_SOURCE_UNREACHABLE"


def withdrawn(source: SourceAtWork) -> set[str]:
    return {resident for resident, name in source.names().items() if name is None}


def test_of_rows_deleted_meanwhile_a_reading_cut_at_half_withdraws_none_and_the_next_whole_one_all(
    source: SourceAtWork, address: str
) -> None:
    with cut_way(address) as way:
        read_from(source, way.address)
        source.run()
        assert len(source.names()) == ROWS
        gone = delete(address)
        way.cut_after = way.carried + way.carried // 2
        read_from(source, way.address)
        broken_reading(source)
        assert way.cuts
        assert withdrawn(source) == set()
        way.cut_after = None
        read_from(source, way.address)
        source.run()
    assert withdrawn(source) == gone
    assert len(source.inbox.records) == ROWS + DELETED


def test_a_session_that_an_administrator_ends_at_half_withdraws_nothing(
    source: SourceAtWork, postgres: EmbeddedPostgres, unique: str
) -> None:
    address = filled(postgres.database(unique))
    read_from(source, address)
    source.run()
    gone = delete(address)
    reader = read_from(source, address)
    pages = reader.whole

    def ended(limit: int) -> Iterator[Page]:
        for number, page in enumerate(pages(limit)):
            if number == ROWS // limit // 2:
                found = execute(
                    address,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = :name AND datname = current_database()",
                    name=READS_ONLY,
                )
                assert found
            yield page

    reader.whole = ended
    broken_reading(source)
    assert withdrawn(source) == set()
    read_from(source, address)
    source.run()
    assert withdrawn(source) == gone
