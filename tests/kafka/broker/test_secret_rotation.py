"""A department's secret changes while its source and its sink work: both go on, nothing is lost or comes twice."""

import io
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from confluent_kafka import KafkaError, TopicPartition

from connectors.health.deaths import deaths
from exchange.clock import Deadline
from exchange.connect.find import Connector
from exchange.demo.province.people import Population
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.intake.line import IntakeLine
from exchange.intake.start import open_line
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.reader import read_to_end
from exchange.kafka.client.told_offsets import ToldOffsets
from exchange.names import inbox_topic
from exchange.observe import logs
from exchange.record import header
from exchange.settings import ConnectorSettings, Settings
from tests.harness.kafka.sink import BrokerService, Desk, Running
from tests.harness.source_tables import create, execute, insert_rows

pytestmark = pytest.mark.kafka
HEALTH_CODE = "11340000EXCH000341"
ROWS = 15
REFUSED, RENEWED = "_AUTHENTICATION", "kafka.secret-renewed"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A Kafka that has its clients authenticate again every second: five minutes would be long to wait."""
    options = KafkaOptions(properties={"connections.max.reauth.ms": "1000"})
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka"), options).start() as running:
        yield running


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process of the product logs."""
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()


class Department:
    """Its source, its sink, its secret and the file that both read it from."""

    def __init__(self, kafka: EmbeddedKafka, postgres: EmbeddedPostgres, unique: str, folder: Path) -> None:
        self.name, self.file = unique, folder / "kafka.secret"
        self.admin_connection = Connection.of(kafka.admin_settings())
        self.admin = Admin(self.admin_connection)
        self.file.write_text(self.rotate(), encoding="utf-8")
        self.settings = kafka.settings(unique, self.file)
        self.service = BrokerService()
        self.desk = Desk(unique, self.settings, postgres.database(unique), self.service, self.admin_connection)
        self.desk.open(self.admin)
        self.inbox = str(inbox_topic(deaths.record_type, self.desk.department))
        self.admin.create_topics([NewTopicSpec(self.inbox, 1, topic_config(TopicKind.INBOX))], 1)
        self.admin.grant([Acl(unique, "topic", self.inbox, "write")])
        self._address = postgres.database(f"{unique}s")
        create(self._address, "health")
        execute(self._address, "ALTER TABLE deaths ALTER COLUMN updated_at SET DEFAULT now() - interval '1 hour'")
        people = Population(seed=5)
        self._rows = list(people.deaths(people.residents(4 * ROWS), HEALTH_CODE, share=1.0))
        self._state = folder / "state"
        self._written = 0

    def rotate(self) -> str:
        """A new secret, as `exchange department rotate-secret` sets it."""
        secret = secrets.token_urlsafe(18)
        self.admin.set_secret(self.name, secret)
        return secret

    def source(self) -> IntakeLine:
        own = ConnectorSettings(database=self._address, state_folder=self._state, poll_seconds=0.05)  # type: ignore[arg-type]
        connector = Connector(f"{self.name}.deaths", self.desk.department, deaths)
        return open_line(connector, deaths, Settings(kafka=self.settings, connector=own))

    def more(self) -> None:
        """More rows for the source, more records for the sink."""
        insert_rows(self._address, "deaths", self._rows[self._written : self._written + ROWS])
        self.desk.send(*(self.desk.company(f"C{self._written + at:04}", "a name") for at in range(ROWS)))
        self._written += ROWS

    def submitted(self) -> Counter[bytes | None]:
        """How often each version stands in the inbox."""
        found = read_to_end(self.admin_connection, [(self.inbox, 0)], Deadline.after(20))
        return Counter(header(one.headers(), "ce_id") for one in found if one.value() is not None)

    def arrived(self) -> bool:
        """Whether everything there is has arrived on both sides."""
        if "companies" not in self.desk.tables() or len(self.desk.rows()) < self._written:
            return False
        return len(self.submitted()) == self._written


def refuse_next_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next commit of a sink meets the refusal, as one that is under way does when Kafka asks for the secret."""
    answered = ToldOffsets.answered

    def refused(told: ToldOffsets, _problem: KafkaError | None, places: list[TopicPartition]) -> None:
        monkeypatch.setattr(ToldOffsets, "answered", answered)
        answered(told, KafkaError(KafkaError._AUTHENTICATION), places)

    monkeypatch.setattr(ToldOffsets, "answered", refused)


@pytest.mark.parametrize("commits", ["in peace", "when it is refused"])
def test_source_and_sink_go_on_over_a_new_secret_with_nothing_lost_or_doubled(  # noqa: PLR0917 - fixtures
    kafka: EmbeddedKafka,
    postgres: EmbeddedPostgres,
    unique: str,
    tmp_path: Path,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    commits: str,
) -> None:
    department = Department(kafka, postgres, unique, tmp_path)
    line, stop = department.source(), threading.Event()
    source = threading.Thread(target=line.run, args=(stop,))
    with closing(department.service), Running(department.desk) as sink:
        source.start()
        try:
            department.more()
            sink.until(department.arrived)
            if commits != "in peace":
                refuse_next_commit(monkeypatch)
            secret = department.rotate()
            department.more()
            sink.until(lambda: log.getvalue().count(REFUSED) >= 3)
            assert RENEWED not in log.getvalue()
            department.file.write_text(secret, encoding="utf-8")
            department.more()
            sink.until(department.arrived)
            assert source.is_alive()
        finally:
            stop.set()
            source.join()
            line.close()
    assert sink.ended is None
    assert set(department.submitted().values()) == {1}
    assert department.desk.handed_over().upserted == 3 * ROWS
    assert log.getvalue().count(RENEWED) >= 2
    assert secret not in log.getvalue()
