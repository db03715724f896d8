"""What all tests share: one real Kafka and one real PostgreSQL for the whole run, started when the first test asks."""

import secrets
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadFileScheduling

from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.settings import KafkaSettings
from tests.harness.kafka.java_cache import use_java_cache

PrincipalSettings = Callable[[str], KafkaSettings]


structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
"""What a service in the process of a test logs is no part of what a command prints."""


@pytest.fixture(scope="module", autouse=True)
def logs_as_before() -> Iterator[None]:
    """A module that sends logs into a stream of its own does not leave that to the next one."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A running Kafka. Shared by all tests: use names of your own (`unique`)."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL. `postgres.database(unique)` is the SQLAlchemy address of a database of this test alone."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")).start() as running:
        yield running


@pytest.fixture(scope="session")
def admin_settings(kafka: EmbeddedKafka) -> KafkaSettings:
    """How the super user reaches Kafka."""
    return kafka.admin_settings()


@pytest.fixture(scope="session")
def admin_connection(admin_settings: KafkaSettings) -> Connection:
    """The connection of the super user."""
    return Connection.of(admin_settings)


@pytest.fixture(scope="session")
def admin(admin_connection: Connection) -> Admin:
    """The super user's administrative client."""
    return Admin(admin_connection)


@pytest.fixture(scope="session")
def kafka_settings_for(
    kafka: EmbeddedKafka, admin: Admin, tmp_path_factory: pytest.TempPathFactory
) -> PrincipalSettings:
    """Settings of any principal, which gets a secret at the first call and no right at all."""
    folder = tmp_path_factory.mktemp("secrets")

    def settings(principal: str) -> KafkaSettings:
        file = folder / f"{principal}.secret"
        if not file.exists():
            secret = secrets.token_urlsafe(18)
            admin.set_secret(principal, secret)
            file.write_text(secret, encoding="utf-8")
            file.chmod(0o600)
        return kafka.settings(principal, file)

    return settings


@pytest.fixture
def unique() -> str:
    """A word of this test alone, in kebab case, to keep its topics, groups, departments and record types apart."""
    return f"t{secrets.token_hex(4)}"


def pytest_configure(config: pytest.Config) -> None:
    """Before the processes of the run are started: they inherit what is set here."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        use_java_cache()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that short tests fill the end: the province, then all with a Kafka."""
    items.sort(key=lambda item: ("/test_province_" not in item.nodeid, item.get_closest_marker("kafka") is None))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """A file stays on one process, and so do all files that share the running province: it is started once."""
    return ProvinceTogether(config, log)


class ProvinceTogether(LoadFileScheduling):
    """Files as units, but those of the province are one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "province" if "/test_province_" in file else file
