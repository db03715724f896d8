"""What tests with a Kafka share: a running province, started when the first of them asks, and a department's desk."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from exchange.embedded.postgres import EmbeddedPostgres
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.settings import KafkaSettings
from tests.harness.kafka.province import Province
from tests.harness.kafka.sink import BrokerService, Desk


@pytest.fixture
def desk(
    admin: Admin,
    admin_connection: Connection,
    kafka_settings_for: Callable[[str], KafkaSettings],
    postgres: EmbeddedPostgres,
    unique: str,
) -> Iterator[Desk]:
    """A department of this test alone with an active grant, on the shared Kafka and PostgreSQL."""
    with closing(BrokerService()) as service:
        desk = Desk(unique, kafka_settings_for(unique), postgres.database(unique), service, admin_connection)
        desk.open(admin)
        yield desk


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    """A province of some 600 rows in which everything has arrived. Whoever changes a row waits with `settle`."""
    with Province(tmp_path_factory.mktemp("province")) as running:
        yield running.start(600)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Stop the province behind its last test: a dozen processes would weigh on every test that follows."""
    last = next(
        one for one in reversed(item.session.items) if "province" in getattr(one, "fixturenames", ()) or one is item
    )
    running = getattr(item, "funcargs", {}).get("province")
    if running is not None and item is last:
        running.close()
