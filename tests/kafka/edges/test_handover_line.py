"""The handover line on a real Kafka and a real PostgreSQL: from a share into a table, whatever is away or ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from exchange.clock import Deadline, parse_time
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import exchange_command
from exchange.errors import ExchangeError
from exchange.handover import receipt
from exchange.handover.receipt import Receipt
from exchange.kafka.admin.admin import Acl, Admin
from exchange.kafka.client.partitioner import partition_of
from exchange.names import Department, GrantId, grant_group
from exchange.settings import ConnectorSettings
from tests.harness.kafka.sink import PARTITIONS, TOKEN, Desk, Running
from tests.harness.process_memory import memory_of

pytestmark = pytest.mark.kafka


def test_the_table_equals_the_share_and_receipts_and_offsets_say_so(desk: Desk, admin: Admin) -> None:
    desk.send(desk.company("A", "one"), desk.company("B", "two"), desk.company("C", "three"), ("~", None))
    desk.send(desk.company("A", "one again"), ("B", None), ("Z", None))
    desk.run()
    assert desk.rows() == [("A", "one again"), ("C", "three")]
    receipts = desk.receipts()
    assert sum(one.upserted for one in receipts.values()) == 4
    assert sum(one.deleted for one in receipts.values()) == 2
    committed = admin.committed(grant_group(desk.grant))
    assert committed == {(desk.topic, number): one.next_offset for number, one in receipts.items()}
    assert desk.faults() == []


def test_a_restart_goes_on_and_counts_on(desk: Desk) -> None:
    desk.send(desk.company("A", "one"))
    desk.run()
    desk.send(desk.company("A", "two"), desk.company("A", "three"))
    desk.run()
    assert desk.rows() == [("A", "three")]
    assert [one.handed_over for one in desk.receipts().values()] == [3]


def test_a_sink_whose_group_forgot_goes_on_where_its_table_stands(desk: Desk, admin: Admin) -> None:
    desk.send(desk.company("A", "one"), desk.company("A", "two"))
    desk.run()
    forgetful = grant_group(GrantId(f"{desk.department}-other"))
    admin.grant([Acl(desk.department, "group", forgetful, "read")])
    desk.service.grants[0]["group"] = forgetful
    desk.send(desk.company("A", "three"))
    desk.run()
    assert desk.rows() == [("A", "three")]
    assert [one.handed_over for one in desk.receipts().values()] == [3]


def test_a_record_that_does_not_decode_is_reported_by_its_place_and_the_others_go_on(desk: Desk) -> None:
    key, good = desk.company("A", "secret-name")
    desk.send((key, b"plain text"), (key, good[:-2]), (key, good), ("A/B", good))
    desk.run()
    assert desk.rows() == [("A", "secret-name")]
    faults = desk.faults()
    assert sorted(fault["code"] for fault in faults) == ["E_APPLY", "E_SHARE_DECODE", "E_SHARE_DECODE"]
    assert {(fault["topic"], fault["partition"]) for fault in faults if fault["code"] == "E_SHARE_DECODE"} == {
        (desk.topic, partition_of(b"A", PARTITIONS))
    }
    assert "secret-name" not in json.dumps(faults)
    assert sum(one.faulty for one in desk.receipts().values()) == 3


def has_rows(desk: Desk, *rows: tuple[str, str]) -> Callable[[], bool]:
    def holds() -> bool:
        try:
            return desk.rows() == list(rows)
        except psycopg.Error:
            return False

    return holds


def test_a_sink_waits_for_its_grant(desk: Desk) -> None:
    desk.activate(False)
    desk.send(desk.company("A", "one"))
    with Running(desk) as running:
        running.until(lambda: desk.service.asked >= 1)
        desk.activate()
        running.until(has_rows(desk, ("A", "one")))


def test_a_revoked_grant_ends_the_sink_with_its_code(desk: Desk, admin: Admin) -> None:
    desk.send(desk.company("A", "one"))
    with Running(desk) as running:
        running.until(has_rows(desk, ("A", "one")))
        desk.activate(False)
        admin.revoke([Acl(desk.department, "topic", desk.topic, "read")])
        running.until(lambda: running.ended is not None)
    assert running.ended is not None
    assert running.ended.code == "E_GRANT_REFUSED"


def test_a_database_that_goes_away_is_waited_for_and_nothing_is_lost(desk: Desk, tmp_path_factory: Any) -> None:
    with EmbeddedPostgres(tmp_path_factory.mktemp("pg")) as own:
        desk.settings = desk.settings.model_copy(
            update={"connector": ConnectorSettings(database=own.database(desk.department))}  # type: ignore[arg-type]
        )
        desk.send(desk.company("A", "one"))
        with Running(desk) as running:
            running.until(has_rows(desk, ("A", "one")))
            own.kill()
            desk.send(desk.company("A", "two"), desk.company("B", "new"))
            own.stop()
            own.start()
            running.until(has_rows(desk, ("A", "two"), ("B", "new")))
        assert running.ended is None
        assert sum(one.handed_over for one in desk.receipts().values()) == 3


def test_two_grants_of_one_type_need_a_choice(desk: Desk) -> None:
    desk.service.grants *= 2
    with pytest.raises(ExchangeError) as caught:
        desk.run()
    assert caught.value.code == "E_CONNECTOR"


def test_a_receipt_from_a_stranger_is_none() -> None:
    good = receipt.encode(Receipt(1, 2, 3, 4, 5, parse_time("2026-11-24T08:00:00Z")))[1]
    assert receipt.decode(good) is not None
    for value in (b"", b"{}", b"[1]", good.replace(b"2,", b"-2,", 1), good.replace(b"3", b"true", 1), b"\xff"):
        assert receipt.decode(value) is None


KILLS = 3
MOST_BYTES = 106_000_000
VERSIONS = 12_000
COMPANIES = 3_000


def test_a_sink_killed_and_started_again_applies_every_version_exactly_once(
    desk: Desk, admin: Admin, kafka_settings_for: Callable[..., Any], tmp_path: Path
) -> None:
    """The command itself, as the department's own process, killed while it works."""
    owner = Department("taxation")
    kafka = kafka_settings_for(owner)
    admin.grant(desk.reads(owner))
    codes = [f"C{number % COMPANIES:05d}" for number in range(VERSIONS)]
    desk.send(*(desk.company(code, f"version {number}") for number, code in enumerate(codes)))
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    environment = desk.environment(kafka, str(tmp_path / "token"))
    done = most = 0
    for attempt in range(KILLS + 1):
        more = ("--once",) if attempt == KILLS else ()
        arguments = exchange_command("run", "taxation.companies", *more)
        child = ChildProcess(Command("sink", arguments, tmp_path / "sink.log", environment))
        child.start()
        try:
            if more:
                assert child.wait(Deadline.after(60)) == 0, child.log_tail()
            else:
                done = applied_more_than(done, desk, child)
                most = max(most, memory_of(child.pid).most)
        finally:
            child.kill()
    print(f"the sink took at most {most / 1_000_000:.1f} MB")
    assert most < MOST_BYTES
    assert desk.rows() == [(f"C{n:05d}", f"version {VERSIONS - COMPANIES + n}") for n in range(COMPANIES)]
    assert sum(one.handed_over for one in desk.receipts().values()) == VERSIONS
    assert b"version 1" not in (tmp_path / "sink.log").read_bytes()


def applied_more_than(before: int, desk: Desk, child: ChildProcess) -> int:
    """Wait until the sink has applied more, and give how many versions it has applied."""
    deadline = Deadline.after(60)
    with desk.connect() as connection:
        while not deadline.passed and child.wait(Deadline.after(0.01)) is None:
            try:
                row = connection.execute("SELECT coalesce(sum(upserted), 0) FROM exchange_progress").fetchone()
            except psycopg.errors.UndefinedTable:
                continue
            if row is not None and (row[0] > before or row[0] == VERSIONS):
                return int(row[0])
    raise AssertionError(child.log_tail())
