"""A source that is killed again and again: every row arrives, the books close, nothing new for admission."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from exchange.clock import Deadline
from exchange.demo.province.people import Population
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import exchange_command
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.reader import read_to_end
from exchange.names import Department, RecordType, faults_topic, inbox_topic, report_topic
from exchange.record import header
from tests.harness.source_tables import create, execute, insert_rows, source_books

pytestmark = pytest.mark.kafka
KILLS = 3
MOST_BYTES = 110_000_000
ROWS = 12_000
PARTITIONS = 2
OWNER = Department("public-security")
INBOX = inbox_topic(RecordType("population.resident"), OWNER)


@pytest.fixture
def environment(
    admin: Admin, kafka_settings_for: Callable[..., Any], postgres: EmbeddedPostgres, unique: str, tmp_path: Path
) -> dict[str, str]:
    admin.create_topics([NewTopicSpec(INBOX, PARTITIONS, topic_config(TopicKind.INBOX))], 1)
    own = (faults_topic(OWNER), report_topic(OWNER))
    admin.create_topics([NewTopicSpec(topic, 1, topic_config(TopicKind.FAULTS)) for topic in own], 1)
    admin.grant([Acl(OWNER, "topic", topic, "write") for topic in (INBOX, *own)])
    kafka = kafka_settings_for(OWNER)
    address = postgres.database(unique)
    create(address, OWNER)
    insert_rows(address, "residents", Population().residents(ROWS))
    execute(address, "ALTER TABLE residents DISABLE TRIGGER USER")
    execute(address, "UPDATE residents SET updated_at = now() - interval '1 hour'")
    return {
        "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
        "EXCHANGE_KAFKA__USERNAME": OWNER,
        "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
        "EXCHANGE_CONNECTOR__DATABASE": address,
        "EXCHANGE_CONNECTOR__STATE_FOLDER": str(tmp_path),
        "EXCHANGE_METRICS__PORT": "0",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., ChildProcess]]:
    started: list[ChildProcess] = []

    def one(*more: str) -> ChildProcess:
        name = f"source-{len(started)}"
        command = Command(
            name, exchange_command("run", "public-security.residents", *more), tmp_path / f"{name}.log", environment
        )
        child = ChildProcess(command)
        started.append(child)
        child.start()
        return child

    yield one
    for child in started:
        child.stop()


def books(folder: Path) -> dict[str, int]:
    """What the memory says, as others may look at it while the source runs."""
    return source_books(folder, "public-security.residents")


def test_a_source_killed_and_started_again_loses_nothing_and_repeats_only_ids_sent_before(
    start: Callable[..., ChildProcess], admin_connection: Connection, tmp_path: Path
) -> None:
    memory: list[int] = []
    for _ in range(KILLS):
        before = books(tmp_path)["collected"]
        child = start()
        deadline = Deadline.after(60)
        while books(tmp_path)["collected"] == before:
            assert not deadline.passed, child.log_tail()
        memory.append(psutil.Process(child.pid).memory_info().rss)
        child.kill()
    last = start("--once")
    assert last.wait(Deadline.after(60)) == 0, last.log_tail()
    found = books(tmp_path)
    assert (found["collected"], found["submitted"], found["unmapped"]) == (ROWS, ROWS, 0)
    assert max(memory) < MOST_BYTES
    places = [(INBOX, number) for number in range(PARTITIONS)]
    sent = [message for message in read_to_end(admin_connection, places, Deadline.after(30)) if message.key() != b"~"]
    assert len({message.key() for message in sent}) == ROWS
    assert len({header(message.headers(), "ce_id") for message in sent}) == ROWS
    for key in {message.key() for message in sent[:1]}:
        assert key not in (tmp_path / f"source-{KILLS}.log").read_bytes()
