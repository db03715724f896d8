"""What tests of sources have in common: readings that are closed, and a MariaDB for all of them."""

from collections.abc import Iterator

import pytest

from exchange.connect.reading import Cursor
from exchange.connect.tables import Query, Table
from tests.harness.mariadb import MariaDb, mariadb
from tests.harness.sql_reading import Reading, Start


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts readings, which end with the test."""
    started: list[Reading] = []

    def begin(declared: Table | Query, address: str, cursor: Cursor | None = None, limit: int = 2) -> Reading:
        started.append(Reading(declared, address, cursor, limit))
        return started[-1]

    yield begin
    for reading in started:
        reading.close()


@pytest.fixture(scope="session")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A MariaDB of the run; its clock is that of China, as a department's is."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TZ", "Asia/Shanghai")
    try:
        with mariadb(tmp_path_factory.mktemp("mariadb")) as server:
            yield server
    finally:
        patch.undo()
