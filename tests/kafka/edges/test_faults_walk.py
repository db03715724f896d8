"""A clerk's walk: something is set aside, seen, mended, tried again, and settled. The commands as they are typed."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app
from exchange.clock import Deadline
from exchange.demo.province.people import Population
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import exchange_command
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.names import Department, RecordType, faults_topic, inbox_topic, report_topic, tail_group
from exchange.settings import KafkaSettings
from tests.harness.kafka.sink import TOKEN, Desk
from tests.harness.source_tables import create, execute, insert_rows

pytestmark = pytest.mark.kafka
HEALTH, TAXATION = Department("health"), Department("taxation")
SECONDS = 60
DEATHS, COMPANIES = "health.deaths", "taxation.companies"
KafkaOf = Callable[[str], KafkaSettings]


class Clerk:
    """Who types commands with the settings of a department's connector while it runs."""

    def __init__(self, environment: Mapping[str, str], connector: str, folder: Path) -> None:
        self._runner = CliRunner(env={**environment, "COLUMNS": "300"})
        command = Command("connector", exchange_command("run", connector), folder / "run.log", dict(environment))
        self.child = ChildProcess(command)
        self._connector = connector

    def types(self, *words: str) -> str:
        done = self._runner.invoke(app, words)
        assert done.exit_code == 0, done.output
        return done.stdout

    def waiting(self) -> list[str]:
        return [one["item"] for one in json.loads(self.types("faults", "list", "--json"))["items"]]

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.types("connector", "status", self._connector, "--json"))
        return found

    def has_memory(self) -> bool:
        return self._runner.invoke(app, ("connector", "status", self._connector)).exit_code == 0

    def wait_for(self, holds: Callable[[], bool]) -> None:
        deadline = Deadline.after(SECONDS)
        while not holds():
            assert not deadline.passed, self.child.log_tail()
            assert self.child.running, self.child.log_tail()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.child.start()
        try:
            yield
        finally:
            self.child.stop()


def kafka_environment(kafka: KafkaSettings) -> dict[str, str]:
    return {
        "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
        "EXCHANGE_KAFKA__USERNAME": kafka.username,
        "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
        "EXCHANGE_METRICS__PORT": "0",
    }


def open_department(admin: Admin, department: Department, topics: Mapping[str, TopicKind]) -> None:
    admin.create_topics([NewTopicSpec(topic, 1, topic_config(kind)) for topic, kind in topics.items()], 1)
    admin.grant([Acl(department, "topic", topic, right) for topic in topics for right in ("read", "write")])
    admin.grant([Acl(department, "group", tail_group(department), "describe")])


@pytest.fixture
def health(
    admin: Admin, kafka_settings_for: KafkaOf, postgres: EmbeddedPostgres, unique: str, tmp_path: Path
) -> Iterator[tuple[Clerk, str]]:
    inbox = inbox_topic(RecordType("population.death"), HEALTH)
    topics = {inbox: TopicKind.INBOX, faults_topic(HEALTH): TopicKind.FAULTS, report_topic(HEALTH): TopicKind.RECEIPT}
    open_department(admin, HEALTH, topics)
    address = postgres.database(unique)
    create(address, HEALTH)
    population = Population(seed=3)
    insert_rows(address, "deaths", list(population.deaths(population.residents(100), "11340000EXCH000341", share=0.5)))
    execute(address, "ALTER TABLE deaths ALTER COLUMN name DROP NOT NULL")
    environment = kafka_environment(kafka_settings_for(HEALTH))
    environment |= {
        "EXCHANGE_CONNECTOR__DATABASE": address,
        "EXCHANGE_CONNECTOR__STATE_FOLDER": str(tmp_path / "state"),
        "EXCHANGE_CONNECTOR__POLL_SECONDS": "0.1",
    }
    clerk = Clerk(environment, DEATHS, tmp_path)
    with clerk.at_work():
        clerk.wait_for(clerk.has_memory)
        clerk.wait_for(lambda: (clerk.status()["report"] or {}).get("compared_at") is not None)
        yield clerk, address


def test_a_row_without_a_name_is_seen_mended_replayed_and_settled(health: tuple[Clerk, str]) -> None:
    clerk, address = health
    chosen = "resident_id = (SELECT min(resident_id) FROM deaths)"
    execute(address, f"UPDATE deaths SET name = NULL WHERE {chosen}")
    clerk.wait_for(lambda: bool(clerk.waiting()))
    (item,) = clerk.waiting()
    assert clerk.status()["set_aside"] == 1
    told = clerk.types("faults", "show", item)
    assert "field name" in told
    assert "“99999999" in told
    execute(address, f"UPDATE deaths SET name = '王小明' WHERE {chosen}")
    told = clerk.types("faults", "replay", item)
    assert "takes it up within a few seconds" in told or "waits no longer: submitted" in told, "it was quicker"
    clerk.wait_for(lambda: clerk.waiting() == [])
    assert "submitted" in clerk.types("faults", "show", item)
    clerk.wait_for(lambda: clerk.status()["requests"] == [])
    assert clerk.status()["set_aside"] == 0


def test_what_is_still_wrong_goes_on_waiting_after_a_replay(health: tuple[Clerk, str]) -> None:
    clerk, address = health
    execute(address, "UPDATE deaths SET name = NULL WHERE resident_id = (SELECT min(resident_id) FROM deaths)")
    clerk.wait_for(lambda: bool(clerk.waiting()))
    (item,) = clerk.waiting()
    clerk.types("faults", "replay", "--connector", DEATHS, "--all")
    clerk.wait_for(lambda: clerk.status()["requests"] == [])
    assert clerk.waiting() == [item]


def test_a_row_is_sent_again_when_somebody_asks_for_it(health: tuple[Clerk, str]) -> None:
    clerk, _ = health
    before = clerk.status()["report"]["compared_at"]
    assert "takes it up" in clerk.types("connector", "reread", DEATHS, "--all")
    clerk.wait_for(lambda: clerk.status()["requests"] == [])
    clerk.wait_for(lambda: bool(clerk.status()["report"]["compared_at"] != before))
    report = clerk.status()["report"]
    assert (report["missing"], report["changed"], report["gone"]) == (0, 0, 0)
    assert report["equal"] == report["rows"]


def test_a_record_that_the_table_refused_is_seen_and_applied_when_the_table_is_mended(
    desk: Desk, admin: Admin, kafka_settings_for: KafkaOf, tmp_path: Path
) -> None:
    open_department(admin, TAXATION, {faults_topic(TAXATION): TopicKind.FAULTS})
    admin.grant(desk.reads(TAXATION))
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    environment = desk.environment(kafka_settings_for(TAXATION), str(tmp_path / "token"))
    environment |= {"EXCHANGE_CONNECTOR__STATE_FOLDER": str(tmp_path)}
    clerk = Clerk(environment, COMPANIES, tmp_path)
    desk.send(desk.company("C1", "one"))
    with ExitStack() as stack:
        stack.enter_context(clerk.at_work())
        clerk.wait_for(lambda: "companies" in desk.tables() and desk.rows() == [("C1", "one")])
        with desk.connect() as database:
            database.execute("ALTER TABLE companies ADD CONSTRAINT short CHECK (length(name) < 10)")
        desk.send(desk.company("C2", "a name that is long"), desk.company("C3", "three"))
        clerk.wait_for(lambda: desk.rows() == [("C1", "one"), ("C3", "three")])
        clerk.wait_for(lambda: len(clerk.waiting()) == 1)
        assert clerk.status()["set_aside"] == 1
        with desk.connect() as database:
            database.execute("ALTER TABLE companies DROP CONSTRAINT short")
        (item,) = clerk.waiting()
        assert "1" in clerk.types("faults", "replay", item)
        clerk.wait_for(lambda: len(desk.rows()) == 3)
        clerk.wait_for(lambda: clerk.waiting() == [])
        assert "applied" in clerk.types("faults", "show", item)
        assert clerk.status()["set_aside"] == 0
