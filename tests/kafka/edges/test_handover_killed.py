"""A sink killed behind a transaction of its table, before Kafka has heard of it: what it did is told when it starts.

The database does not answer the commit until the sink is dead.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from exchange.clock import Deadline
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import exchange_command
from exchange.faults.log import item_of
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.names import Department, faults_topic, grant_group, tail_group
from exchange.settings import ConnectorSettings
from tests.harness.kafka.sink import TOKEN, Desk

pytestmark = pytest.mark.kafka
OWNER = Department("taxation")
_WAIT_SECONDS = 90.0
_PAUSE_SECONDS = 0.05


@dataclass
class Victim:
    """The sink as the department's own process."""

    desk: Desk
    postgres: EmbeddedPostgres
    make: Callable[[], ChildProcess]

    @contextmanager
    def running(self) -> Iterator[ChildProcess]:
        """From here on; killed at the end."""
        child = self.make()
        child.start()
        try:
            yield child
        finally:
            child.kill()

    @contextmanager
    def commits_are_not_answered(self) -> Iterator[None]:
        """They wait for a standby that there is not; what waits is committed when this ends."""
        with self.postgres._session() as superuser:
            superuser.execute("ALTER SYSTEM SET synchronous_standby_names = 'not_there'")
            superuser.execute("SELECT pg_reload_conf()")
            try:
                yield
            finally:
                superuser.execute("ALTER SYSTEM RESET synchronous_standby_names")
                superuser.execute("SELECT pg_reload_conf()")

    def kill_in_its_commit(self, child: ChildProcess) -> None:
        question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        self.until(lambda: self.one(question) > 0, child)
        child.kill()

    def execute(self, *statements: str) -> None:
        with self.desk.connect() as connection:
            connection.execute("SET synchronous_commit = local")
            for statement in statements:
                connection.execute(statement.encode())

    def until(self, holds: Callable[[], bool], child: ChildProcess) -> None:
        deadline = Deadline.after(_WAIT_SECONDS)
        while not holds():
            assert not deadline.passed, child.log_tail()
            assert child.wait(Deadline.after(_PAUSE_SECONDS)) is None, child.log_tail()

    def one(self, question: str) -> int:
        """The number that the department's database answers; -1 as long as a table is missing."""
        with self.desk.connect() as connection:
            try:
                row = connection.execute(question.encode()).fetchone()
            except psycopg.errors.UndefinedTable:
                return -1
        assert row is not None
        return int(row[0])

    def told(self, key: str) -> list[str]:
        """What the department's faults say of a record, in their order."""
        name = item_of(f"{OWNER}.companies", key)
        return [fault.get("settled", fault.get("code")) for fault in self.desk.faults() if fault["item"] == name]


@pytest.fixture
def victim(desk: Desk, admin: Admin, kafka_settings_for: Callable[..., Any], tmp_path: Path) -> Iterator[Victim]:
    """On a PostgreSQL of its own, whose commits can be held up."""
    log, tail = faults_topic(OWNER), Acl(OWNER, "group", tail_group(OWNER), "describe")
    if log not in admin.topics():
        admin.create_topics([NewTopicSpec(log, 1, topic_config(TopicKind.FAULTS))], 1)
    admin.grant([*desk.reads(OWNER), *(Acl(OWNER, "topic", log, what) for what in ("read", "write")), tail])
    desk.department = OWNER
    kafka = kafka_settings_for(OWNER)
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    with EmbeddedPostgres(tmp_path / "postgres").start() as own:
        database = ConnectorSettings(database=own.database("desk"))  # type: ignore[arg-type]
        desk.settings = desk.settings.model_copy(update={"connector": database})
        environment = desk.environment(kafka, str(tmp_path / "token"))
        command = Command("sink", exchange_command("run", "taxation.companies"), tmp_path / "sink.log", environment)
        yield Victim(desk, own, lambda: ChildProcess(command))


def test_a_sink_killed_behind_its_transaction_tells_the_group_and_gives_its_receipt_when_it_starts(
    victim: Victim, admin: Admin
) -> None:
    desk = victim.desk

    def handed_over() -> int:
        return sum(one.handed_over for one in desk.receipts().values())

    def committed() -> int:
        return sum(admin.committed(grant_group(desk.grant)).values())

    desk.send(desk.company("A", "one"))
    with victim.running() as child:
        victim.until(lambda: handed_over() == 1, child)  # first: the client dies of a group that nobody coordinates yet
        victim.until(lambda: committed() == 1, child)
        with victim.commits_are_not_answered():
            desk.send(desk.company("A", "two"))
            victim.kill_in_its_commit(child)
    assert (committed(), handed_over()) == (1, 1)
    with victim.running() as child:
        victim.until(lambda: handed_over() == 2, child)
        victim.until(lambda: committed() == 2, child)
    assert desk.rows() == [("A", "two")]


def test_a_record_whose_application_the_log_was_not_told_of_is_not_open_there_for_ever(victim: Victim) -> None:
    desk = victim.desk
    desk.send(desk.company("A", "one"))
    with victim.running() as child:
        victim.until(lambda: victim.one("SELECT count(*) FROM companies") == 1, child)
        victim.execute("ALTER TABLE companies ADD CONSTRAINT short CHECK (length(name) <= 5)")
        desk.send(desk.company("B", "too long"), desk.company("C", "too long as well"))
        victim.until(lambda: victim.one("SELECT count(*) FROM exchange_set_aside") == 2, child)
        victim.until(lambda: victim.told("B") == ["E_APPLY"], child)
        with victim.commits_are_not_answered():
            victim.execute(
                "ALTER TABLE companies DROP CONSTRAINT short",
                "ALTER TABLE companies ADD CONSTRAINT short CHECK (length(name) <= 8)",
                "UPDATE exchange_set_aside SET asked = true",
            )
            victim.kill_in_its_commit(child)
    assert victim.told("B") == ["E_APPLY"]
    with victim.running() as child:
        victim.until(lambda: victim.told("B") == ["E_APPLY", "cleared"], child)
    assert victim.told("C") == ["E_APPLY"]
    assert ("B", "too long") in desk.rows()
