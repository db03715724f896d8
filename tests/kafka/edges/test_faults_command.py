"""`exchange faults` on a real Kafka, with the rights that a department has and no other."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from exchange.cli.main import app
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.faults.log import Faults, Settled, item_of
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import Department, RecordType, faults_topic, tail_group
from exchange.settings import KafkaSettings

pytestmark = pytest.mark.kafka
AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
MANY = 20_000


class Clerk:
    """A department with its faults log, and somebody who looks at it."""

    def __init__(self, department: str, kafka: KafkaSettings, admin: Admin) -> None:
        self.connector = f"{department}.rows"
        self.faults = Faults(self.connector, RecordType("population.death"))
        self._topic = faults_topic(Department(department))
        self._kafka = kafka
        self._runner = CliRunner(
            env={
                "COLUMNS": "300",
                "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
                "EXCHANGE_KAFKA__USERNAME": department,
                "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
            }
        )
        admin.create_topics([NewTopicSpec(self._topic, 1, topic_config(TopicKind.FAULTS))], 1)
        rights = [Acl(department, "topic", self._topic, right) for right in ("read", "write")]
        admin.grant([*rights, Acl(department, "group", tail_group(department), "describe")])

    def writes(self, *entries: bytes) -> None:
        with closing(IdempotentProducer(Connection.of(self._kafka))) as producer:
            for entry in entries:
                producer.send(self._topic, None, entry)
            producer.flush(Deadline.after(60))

    def runs(self, *words: str) -> Result:
        return self._runner.invoke(app, ["faults", *words])

    def sees(self, *words: str) -> dict[str, Any]:
        done = self.runs(*words, "--json")
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def clerk(admin: Admin, kafka_settings_for: Callable[[str], KafkaSettings], unique: str) -> Clerk:
    return Clerk(unique, kafka_settings_for(unique), admin)


def fault(clerk: Clerk, identity: str, at: datetime = AT, **row: str) -> bytes:
    return clerk.faults.of_row(ExchangeError("E_ROW_UNMAPPED", "field cause: too long"), at, row, identity)


def test_a_department_sees_what_waits_and_not_what_is_settled(clerk: Clerk) -> None:
    assert clerk.sees("list")["items"] == []
    clerk.writes(fault(clerk, "1"), fault(clerk, "2"), clerk.faults.settled("1", Settled.SUBMITTED, AT))
    found = clerk.sees("list")
    assert [one["item"] for one in found["items"]] == [item_of(clerk.connector, "2")]
    assert [one["waiting"] for one in found["counts"]] == [1]


def test_the_row_that_is_shown_is_that_of_the_last_entry(clerk: Clerk) -> None:
    later = AT + timedelta(days=7)
    clerk.writes(fault(clerk, "1", name="张三"), fault(clerk, "2"), fault(clerk, "1", later, name="张三丰"))
    item = item_of(clerk.connector, "1")
    assert clerk.sees("show", item)["row"] == {"name": "“文文文”"}
    assert clerk.sees("show", item, "--unmasked")["row"] == {"name": "张三丰"}


def test_a_long_log_is_read_to_its_end(clerk: Clerk) -> None:
    clerk.writes(*(fault(clerk, str(number)) for number in range(MANY)))
    clerk.writes(*(clerk.faults.settled(str(number), Settled.GONE, AT) for number in range(1, MANY)))
    found = clerk.sees("list", "--limit", "10")
    assert [one["item"] for one in found["items"]] == [item_of(clerk.connector, "0")]


def test_another_departments_log_is_closed(
    clerk: Clerk, admin: Admin, kafka_settings_for: Callable[[str], KafkaSettings], unique: str
) -> None:
    stranger = f"{unique}-x"
    clerk.writes(fault(clerk, "1"))
    topic = faults_topic(Department(stranger))
    admin.create_topics([NewTopicSpec(topic, 1, topic_config(TopicKind.FAULTS))], 1)
    kafka = kafka_settings_for(stranger)
    runner = CliRunner(
        env={
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": unique,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
        }
    )
    done = runner.invoke(app, ["faults", "list"])
    assert done.exit_code != 0
    assert "E_KAFKA_REFUSED" in done.output, "a department's name without its secret"
    done = runner.invoke(app, ["faults", "list"], env={"EXCHANGE_KAFKA__USERNAME": stranger})
    assert done.exit_code != 0
    assert "E_KAFKA_FORBIDDEN" in done.output, "a secret without the right"
