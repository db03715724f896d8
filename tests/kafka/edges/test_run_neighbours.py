"""Connectors of one process on a real Kafka: one that cannot go on, and its neighbour that does."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.clock import Deadline
from exchange.demo.province.people import Population
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.ports import free_port
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import exchange_command
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.reader import read_to_end
from exchange.names import Department, RecordType, faults_topic, inbox_topic, report_topic, tail_group
from tests.harness.source_tables import create, execute, insert_rows

pytestmark = pytest.mark.kafka
OWNER = Department("public-security")
INBOX = inbox_topic(RecordType("population.resident"), OWNER)
ROWS = 50
SECONDS = 60


class Inbox:
    """The inbox of the department, which other tests may have filled before."""

    def __init__(self, admin: Admin, connection: Connection) -> None:
        self._connection = connection
        self._places = [(INBOX, partition) for partition in range(admin.topics()[INBOX])]
        self._begin = admin.end_offsets(self._places)

    def submitted(self) -> int:
        """How many records have come to it since."""
        messages = read_to_end(self._connection, self._places, Deadline.after(20))
        new = [one for one in messages if one.offset() >= self._begin[one.topic(), one.partition()]]
        return len({message.key() for message in new} - {b"~"})


class Process:
    """`exchange run` of a department, with its health."""

    def __init__(self, child: ChildProcess, port: int, inbox: "Inbox") -> None:
        self.child = child
        self._port = port
        self.submitted = inbox.submitted

    def readyz(self) -> tuple[int, list[str]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz") as answer:
                return answer.status, answer.read().decode().splitlines()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode().splitlines()
        except OSError:
            return 0, []

    def wait_for(self, holds: Callable[[], bool]) -> None:
        deadline = Deadline.after(SECONDS)
        while not holds():
            assert not deadline.passed, self.child.log_tail()
            assert self.child.running, self.child.log_tail()


@pytest.fixture
def start(
    admin: Admin,
    admin_connection: Connection,
    kafka_settings_for: Callable[..., Any],
    postgres: EmbeddedPostgres,
    unique: str,
    tmp_path: Path,
) -> Iterator[Callable[..., Process]]:
    topics = {INBOX: TopicKind.INBOX, faults_topic(OWNER): TopicKind.FAULTS, report_topic(OWNER): TopicKind.RECEIPT}
    admin.create_topics([NewTopicSpec(topic, 1, topic_config(kind)) for topic, kind in topics.items()], 1)
    admin.grant([Acl(OWNER, "topic", topic, "write") for topic in topics])
    admin.grant([Acl(OWNER, "group", tail_group(OWNER), "describe")])
    inbox = Inbox(admin, admin_connection)
    kafka, address, port = kafka_settings_for(OWNER), postgres.database(unique), free_port()
    create(address, OWNER)
    insert_rows(address, "residents", Population().residents(ROWS))
    execute(address, "ALTER TABLE residents DISABLE TRIGGER USER")
    execute(address, "UPDATE residents SET updated_at = now() - interval '1 hour'")
    environment = {
        "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
        "EXCHANGE_KAFKA__USERNAME": OWNER,
        "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
        "EXCHANGE_CONNECTOR__DATABASE": address,
        "EXCHANGE_CONNECTOR__STATE_FOLDER": str(tmp_path / "state"),
        "EXCHANGE_METRICS__PORT": str(port),
    }
    started: list[ChildProcess] = []

    def one(*words: str) -> Process:
        log = tmp_path / f"run-{len(started)}.log"
        child = ChildProcess(Command("run", exchange_command("run", *words), log, environment))
        started.append(child)
        child.start()
        return Process(child, port, inbox)

    yield one
    for child in started:
        child.stop()


def test_a_sink_without_its_token_stops_and_the_source_beside_it_works_on(start: Callable[..., Process]) -> None:
    process = start("public-security.births", "public-security.residents")
    process.wait_for(lambda: process.submitted() == ROWS)
    process.wait_for(lambda: process.readyz()[0] == 503 and len(process.readyz()[1]) == 1)
    (line,) = process.readyz()[1]
    assert line.startswith("public-security.births: stopped since ")
    assert line.endswith("(E_SETTINGS)")


def test_a_process_ends_with_the_status_of_the_one_that_could_not_go_on(start: Callable[..., Process]) -> None:
    process = start(
        "public-security.births", "public-security.no-such-connector", "public-security.residents", "--once"
    )
    assert process.child.wait(Deadline.after(SECONDS)) == 2, process.child.log_tail()
    assert process.submitted() == ROWS
    log = process.child.log_tail()
    assert "Traceback" not in log


def test_one_that_works_alone_is_ready_and_ends_well_when_told_to(start: Callable[..., Process]) -> None:
    process = start("public-security.residents")
    process.wait_for(lambda: process.readyz() == (200, ["ok"]))
    process.child.stop()
    assert process.child.exit_status == 0
