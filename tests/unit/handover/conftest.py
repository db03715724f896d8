"""One behaviour over every database that sinks are tried on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.embedded.postgres import EmbeddedPostgres
from tests.harness.mariadb import MariaDb, mariadb
from tests.harness.sink_databases import KINDS, SinkAtWork, SinkDatabase, layout


@pytest.fixture(scope="session")
def maria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A running MariaDB."""
    with mariadb(tmp_path_factory.mktemp("mariadb")) as running:
        yield running


def database_of(kind: str, request: pytest.FixtureRequest, unique: str, folder: Path) -> SinkDatabase:
    """An empty database of one kind."""
    if kind == "postgresql":
        running: EmbeddedPostgres = request.getfixturevalue("postgres")
        return SinkDatabase(kind, running.database(unique))
    if kind == "mariadb":
        server: MariaDb = request.getfixturevalue("maria")
        return SinkDatabase(kind, server.database(unique))
    return SinkDatabase(kind, f"sqlite:///{folder / 'sink.sqlite'}")


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, unique: str, tmp_path: Path) -> Iterator[SinkDatabase]:
    """An empty database of each kind."""
    made = database_of(request.param, request, unique, tmp_path)
    yield made
    made.close()


@pytest.fixture
def sink_of(database: SinkDatabase) -> Iterator[Callable[..., SinkAtWork]]:
    """Makes a sink: its fields with their types, its key, and whatever else `SinkAtWork` takes."""
    made: list[SinkAtWork] = []

    def make(fields: dict[str, Any], key: tuple[str, ...] = ("code",), **more: Any) -> SinkAtWork:
        made.append(SinkAtWork(database, layout(fields, key), **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
