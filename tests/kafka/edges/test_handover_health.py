"""A sink that is in trouble says so, and goes on without a restart: on a real Kafka and a real PostgreSQL."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.handover import set_aside
from exchange.handover.table import target
from exchange.handover.table.batch import AppliedAgain
from exchange.kafka.admin.admin import Acl, Admin
from exchange.kafka.client.connection import Connection
from exchange.names import GrantId, ShareName, grant_group, share_topic
from exchange.settings import ConnectorSettings, KafkaSettings
from tests.harness.kafka.sink import BrokerService, Desk, Running

pytestmark = pytest.mark.kafka


def has(desk: Desk, *rows: tuple[str, str]) -> Callable[[], bool]:
    def holds() -> bool:
        try:
            return desk.rows() == list(rows)
        except psycopg.Error:
            return False

    return holds


def test_a_sink_is_ready_while_it_works_and_not_while_its_database_is_away(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with EmbeddedPostgres(tmp_path_factory.mktemp("pg")) as own:
        desk.settings = desk.settings.model_copy(
            update={"connector": ConnectorSettings(database=own.database(desk.department))}  # type: ignore[arg-type]
        )
        desk.send(desk.company("A", "one"))
        with Running(desk) as running:
            running.until(has(desk, ("A", "one")))
            running.until(lambda: running.condition.ready)
            own.kill()
            desk.send(desk.company("A", "two"))
            running.until(lambda: "E_SINK_UNREACHABLE" in running.condition.reason)
            assert not running.condition.ready
            own.stop()
            own.start()
            running.until(has(desk, ("A", "two")))
            running.until(lambda: running.condition.ready)
        assert running.ended is None


def test_a_new_password_of_the_database_needs_no_restart(
    desk: Desk, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    address = desk.settings.connector.database.get_secret_value()
    file = tmp_path / "database"
    file.write_text(address, encoding="utf-8")
    desk.settings = desk.settings.model_copy(update={"connector": ConnectorSettings(database_file=file)})
    desk.send(desk.company("A", "one"))
    with Running(desk) as running:
        running.until(lambda: "companies" in tables(address) and rows(address) == [("A", "one")])
        changed = renewed(address, "another-password")
        desk.send(desk.company("A", "two"))
        running.until(lambda: "E_SINK_UNREACHABLE" in running.condition.reason)
        file.unlink()  # as it is replaced
        file.write_text(changed, encoding="utf-8")
        running.until(lambda: rows(changed) == [("A", "two")])
    assert running.ended is None
    desk.settings = desk.settings.model_copy(
        update={"connector": ConnectorSettings(database=changed)}  # type: ignore[arg-type]
    )
    assert desk.handed_over().upserted == 2


def plain(address: str) -> str:
    return address.replace("+psycopg", "")


def tables(address: str) -> set[str]:
    with psycopg.connect(plain(address)) as connection:
        found = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        return {name for (name,) in found}


def rows(address: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(plain(address)) as connection:
        return connection.execute("SELECT credit_code, name FROM companies ORDER BY 1").fetchall()


def renewed(address: str, password: str) -> str:
    """Change the role's password and end its sessions, as a database administrator does; the new address."""
    with psycopg.connect(plain(address), autocommit=True) as connection:
        role, old = connection.info.user, connection.info.password
        change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        connection.execute(change)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND pid <> pg_backend_pid()",
            (role,),
        )
    return address.replace(f":{old}@", f":{password}@")


def test_a_sink_is_not_ready_while_kafka_is_away_and_reads_on_when_it_is_back(
    postgres: EmbeddedPostgres, unique: str, tmp_path: Path
) -> None:
    with EmbeddedKafka(tmp_path / "kafka").start() as kafka, closing(BrokerService()) as service:
        super_user = Connection.of(kafka.admin_settings())
        admin, secret = Admin(super_user), tmp_path / "secret"
        secret.write_text("a-secret-of-this-test", encoding="utf-8")
        admin.set_secret(unique, "a-secret-of-this-test")
        desk = Desk(unique, kafka.settings(unique, secret), postgres.database(unique), service, super_user)
        desk.open(admin)
        desk.send(desk.company("A", "one"))
        with Running(desk) as running:
            running.until(has(desk, ("A", "one")))
            running.until(lambda: running.condition.ready)
            kafka.kill()
            running.until(lambda: "E_KAFKA_UNREACHABLE" in running.condition.reason)
            assert not running.condition.ready
            kafka.stop()
            kafka.start()
            running.until(lambda: running.condition.ready)  # although nothing new has come
            desk.send(desk.company("A", "two"))
            running.until(has(desk, ("A", "two")))
        assert running.ended is None
        assert desk.handed_over().upserted == 2


def test_two_sinks_fill_one_table_and_neither_loses_a_record(
    desk: Desk,
    admin: Admin,
    admin_connection: Connection,
    kafka_settings_for: Callable[[str], KafkaSettings],
    unique: str,
) -> None:
    with closing(BrokerService()) as service:
        name = f"{unique}-b"
        address = desk.settings.connector.database.get_secret_value()
        other = Desk(name, kafka_settings_for(name), address, service, admin_connection)
        other.open(admin)
        for round_ in range(5):
            desk.send(*(desk.company(f"A{number:03}", f"version {round_}") for number in range(100)))
            other.send(*(other.company(f"B{number:03}", f"version {round_}") for number in range(100)))
            if round_ == 0:
                continue
            with Running(desk) as one, Running(other) as two:
                wanted = [(f"{who}{number:03}", f"version {round_}") for who in "AB" for number in range(100)]
                one.until(has(desk, *wanted))
            assert (one.ended, two.ended) == (None, None)
        assert desk.handed_over().upserted == other.handed_over().upserted == 500


def test_what_a_crash_left_untold_is_told_at_the_next_start_though_nothing_new_has_come(
    desk: Desk, admin: Admin
) -> None:
    desk.send(desk.company("A", "one"), desk.company("B", "two"), desk.company("C", "three"))
    desk.run()
    told = admin.committed(grant_group(desk.grant))
    before = desk.receipts()
    with_other_group = grant_group(GrantId(f"{desk.department}-other"))  # which is as one that was never told
    admin.grant([Acl(desk.department, "group", with_other_group, "read")])
    desk.service.grants[0]["group"] = with_other_group
    desk.run()
    assert admin.committed(with_other_group) == told
    after = desk.receipts()
    assert {number: one.next_offset for number, one in after.items()} == {
        number: one.next_offset for number, one in before.items()
    }
    assert all(after[number].at > one.at for number, one in before.items())


def test_a_sink_whose_grant_is_suspended_and_resumed_goes_on_where_it_stood(desk: Desk, admin: Admin) -> None:
    desk.send(desk.company("A", "one"))
    with Running(desk) as running:
        running.until(has(desk, ("A", "one")))
        desk.activate(False)
        admin.revoke([Acl(desk.department, "topic", desk.topic, "read")])
        running.until(lambda: running.ended is not None)
    assert running.ended is not None
    assert running.ended.code == "E_GRANT_REFUSED"
    desk.send(desk.company("A", "two"))
    admin.grant(desk.reads(desk.department))
    desk.activate()
    desk.run()
    assert desk.rows() == [("A", "two")]
    assert desk.handed_over().upserted == 2


def test_a_sink_whose_share_is_deleted_is_not_ready_and_goes_on_with_the_next_one(desk: Desk, admin: Admin) -> None:
    desk.send(desk.company("A", "one"))
    with Running(desk) as running:
        running.until(has(desk, ("A", "one")))
        admin.delete_topics([desk.topic])
        running.until(lambda: "E_KAFKA_TOPIC_MISSING" in running.condition.reason)
        assert not running.condition.ready
        desk.topic = share_topic(ShareName(f"{desk.department}-recovered"))
        desk.open(admin, active=False)
        desk.send(desk.company("A", "one"), desk.company("B", "two"))
        desk.activate()
        running.until(has(desk, ("A", "one"), ("B", "two")))
        running.until(lambda: running.condition.ready)
    assert running.ended is None


def test_a_broker_service_that_goes_away_while_a_sink_starts_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = desk.service.answer
    away = threading.Event()
    away.set()

    def answers(path: str) -> Any:
        if path.startswith("/schemas/") and away.is_set():
            return None  # no answer of ours
        return answer(path)

    monkeypatch.setattr(desk.service, "answer", answers)
    desk.send(desk.company("A", "one"))
    with Running(desk) as running:
        running.until(lambda: "E_API_UNREACHABLE" in running.condition.reason)
        assert not running.condition.ready
        away.clear()
        running.until(has(desk, ("A", "one")))
        running.until(lambda: running.condition.ready)
    assert running.ended is None


class Refusing:
    """Answers for a table of which one record waits until it is mended."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.waits = True
        self.mended = threading.Event()
        self.asked: list[bool] = []

    def apply_again(self, _grant: GrantId, _now: Any, all: bool = False) -> AppliedAgain:
        self.asked.append(all)
        if not self.waits:
            return AppliedAgain()
        if not self.mended.is_set():
            return AppliedAgain(waiting=1)
        self.waits = False
        return AppliedAgain(applied=(self._key,))

    def set_aside(self, _grant: GrantId) -> dict[int, int]:
        return {0: 1} if self.waits else {}


def test_what_waits_is_in_the_receipts_and_is_settled_in_the_faults_when_the_table_takes_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Refusing(b"A")
    monkeypatch.setattr(set_aside, "_NEXT_PORTION_SECONDS", 0.0)
    monkeypatch.setattr(target.SqlTarget, "apply_again", refusing.apply_again)
    monkeypatch.setattr(target.SqlTarget, "set_aside", refusing.set_aside)
    desk.send(*(desk.company(f"C{number}", "one") for number in range(20)))
    with Running(desk) as running:
        running.until(lambda: 0 in desk.receipts() and desk.receipts()[0].set_aside == 1)
        assert desk.receipts()[1].set_aside == 0
        refusing.mended.set()
        running.until(lambda: desk.receipts()[0].set_aside == 0)
        running.until(lambda: [fault["settled"] for fault in desk.faults()] == ["applied"])
    assert running.ended is None
    assert set(refusing.asked) == {False}


def test_a_topic_of_receipts_that_may_not_be_written_keeps_no_record_from_the_table(desk: Desk, admin: Admin) -> None:
    receipts = [Acl(desk.department, "topic", f"receipt.{desk.grant}", "write")]
    admin.revoke(receipts)
    key, good = desk.company("A", "one")
    desk.send((key, good), (key, b"no record"), desk.company("B", "two"))
    desk.run()
    assert desk.rows() == [("A", "one"), ("B", "two")]
    assert [fault["code"] for fault in desk.faults()] == ["E_SHARE_DECODE"]
    assert desk.receipts() == {}
    admin.grant(receipts)
    desk.run()
    assert desk.handed_over().upserted == 2
