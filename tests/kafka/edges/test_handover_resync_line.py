"""Sinks that come back after long, or whose place in the share is gone: on a real Kafka and a real PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from exchange.clock import Deadline
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.processes import exchange_command
from exchange.handover import grants
from exchange.kafka.admin.admin import Acl, Admin
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.kafka.client.partitioner import partition_of
from exchange.names import Department, ShareName, faults_topic, grant_group, share_topic
from tests.harness.kafka.sink import PARTITIONS, TOKEN, Desk, Running

pytestmark = pytest.mark.kafka
COMPANIES = 3_000
VERSIONS = 9_000
GHOSTS = 22_000
"""More than one transaction sweeps."""


class Later:
    """A clock that is ahead."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


def remember(desk: Desk, *codes: str) -> None:
    """Rows that the share once brought, and whose tombstones came and went while the sink was away."""
    with desk.connect() as connection, connection.cursor() as cursor:
        rows = [(code, partition_of(code.encode(), PARTITIONS)) for code in codes]
        cursor.executemany("INSERT INTO companies VALUES (%s, 'withdrawn', '2003-05-06')", [row[:1] for row in rows])
        cursor.executemany(f"INSERT INTO exchange_rows VALUES ('{desk.grant}', %s, %s, 1)", rows)


def test_a_sink_away_longer_than_tombstones_are_kept_drops_what_was_withdrawn_meanwhile(
    desk: Desk, admin: Admin
) -> None:
    desk.send(desk.company("A", "one"), desk.company("B", "two"), ("~", None))
    desk.run()
    remember(desk, "G1", "G2", "G3")
    desk.run(clock=Later(TOMBSTONES_KEPT - timedelta(days=2)))
    assert len(desk.rows()) == 5
    desk.run(clock=Later(2 * TOMBSTONES_KEPT))
    assert desk.rows() == [("A", "one"), ("B", "two")]
    done = desk.handed_over()
    assert (done.upserted, done.deleted, done.faulty) == (2, 3, 0)
    desk.send(desk.company("A", "new"), ("B", None))
    desk.run(clock=Later(2 * TOMBSTONES_KEPT))
    assert desk.rows() == [("A", "new")]
    done = desk.handed_over()
    assert (done.upserted, done.deleted, done.faulty) == (3, 4, 0)
    committed = admin.committed(grant_group(desk.grant))
    receipts = desk.receipts().items()
    assert committed == {(desk.topic, number): one.next_offset for number, one in receipts if one.next_offset}


def test_a_sink_that_comes_often_enough_reads_on_though_its_share_is_quiet(desk: Desk) -> None:
    desk.send(desk.company("A", "one"))
    desk.run()
    for days in (20, 40, 60):
        remember(desk, f"G{days}")
        desk.run(clock=Later(timedelta(days=days)))
    assert len(desk.rows()) == 4


def test_a_place_beyond_the_end_of_the_share_is_no_silence(desk: Desk) -> None:
    desk.send(desk.company("A", "one"), desk.company("B", "two"), desk.company("C", "three"))
    desk.run()
    remember(desk, "G")
    with desk.connect() as connection:
        connection.execute("UPDATE exchange_progress SET next_offset = next_offset + 1000")
    with Running(desk) as running:
        running.until(lambda: desk.rows() == [("A", "one"), ("B", "two"), ("C", "three")])
        desk.send(desk.company("C", "four"))
        running.until(lambda: ("C", "four") in desk.rows())
    assert running.ended is None
    done = desk.handed_over()
    assert (done.upserted, done.deleted) == (4, 1)


def test_a_sink_that_lost_its_table_reads_the_share_again_whatever_its_group_says(desk: Desk) -> None:
    desk.send(desk.company("A", "one"), desk.company("B", "two"))
    desk.run()
    with desk.connect() as connection:
        connection.execute("DROP TABLE companies, exchange_progress, exchange_rows")
    desk.run()
    assert desk.rows() == [("A", "one"), ("B", "two")]


def test_a_running_sink_follows_its_grant_into_another_share(
    desk: Desk, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "_LOOK_SECONDS", 0.2)
    desk.send(desk.company("A", "one"), desk.company("B", "two"), desk.company("C", "three"))
    with Running(desk) as running:
        running.until(lambda: "companies" in desk.tables() and len(desk.rows()) == 3)
        desk.topic = share_topic(ShareName(f"{desk.department}-next"))
        desk.open(admin, active=False)
        desk.send(desk.company("A", "cut again"), desk.company("D", "four"))
        desk.activate()
        running.until(lambda: desk.rows() == [("A", "cut again"), ("D", "four")])
    assert running.ended is None
    done = desk.handed_over()
    assert (done.upserted, done.deleted, done.faulty) == (5, 2, 0)


def test_a_sink_killed_again_and_again_in_a_resync_ends_with_the_share_and_exact_counts(
    desk: Desk, admin: Admin, kafka_settings_for: Callable[..., Any], tmp_path: Path
) -> None:
    """The command itself, as the department's own process, killed while it reads again and while it sweeps."""
    owner = Department("taxation")
    kafka = kafka_settings_for(owner)
    admin.grant([*desk.reads(owner), Acl(owner, "topic", faults_topic(desk.department), "write")])
    codes = [f"C{number % COMPANIES:05d}" for number in range(VERSIONS)]
    desk.send(*(desk.company(code, f"version {number}") for number, code in enumerate(codes)))
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    command = Command(
        "sink",
        exchange_command("run", "taxation.companies"),
        tmp_path / "sink.log",
        desk.environment(kafka, str(tmp_path / "token")),
    )
    desk.run()
    remember(desk, *(f"G{number:05d}" for number in range(GHOSTS)))
    with desk.connect() as connection:
        connection.execute("UPDATE exchange_progress SET current_at = current_at - interval '40 days'")
    moments = (
        "SELECT coalesce(sum(next_offset), 0) > 0 FROM exchange_progress WHERE reading = 2",
        f"SELECT sum(next_offset) > {VERSIONS // 2} FROM exchange_progress WHERE reading = 2",
        f"SELECT count(*) < {COMPANIES + GHOSTS} FROM companies",
        f"SELECT count(*) = {COMPANIES} AND NOT (SELECT bool_or(resyncing) FROM exchange_progress) FROM companies",
    )
    with desk.connect() as connection:
        for moment in moments:
            killed_when(lambda moment=moment: answer(connection, moment), command)  # type: ignore[misc]
    last = [desk.company(code, f"version {VERSIONS - COMPANIES + n}") for n, code in enumerate(codes[:COMPANIES])]
    desk.send(*last)  # a receipt that a kill has cost is made good by the next one
    killed_when(lambda: counted(desk) == (VERSIONS + COMPANIES, GHOSTS, 0), command)
    assert desk.rows() == [(f"C{n:05d}", f"version {VERSIONS - COMPANIES + n}") for n in range(COMPANIES)]
    with desk.connect() as connection:
        assert connection.execute("SELECT DISTINCT reading FROM exchange_progress").fetchall() == [(2,)]
    assert b"version 1" not in (tmp_path / "sink.log").read_bytes()


def killed_when(holds: Callable[[], bool], command: Command) -> None:
    """Start the sink, and kill it as soon as something holds."""
    child = ChildProcess(command)
    child.start()
    deadline = Deadline.after(60)
    try:
        while not holds():
            assert not deadline.passed, child.log_tail()
            assert child.wait(Deadline.after(0.01)) is None, child.log_tail()
    finally:
        child.kill()


def answer(connection: psycopg.Connection[tuple[Any, ...]], question: str) -> bool:
    row = connection.execute(question).fetchone()
    return row is not None and bool(row[0])


def counted(desk: Desk) -> tuple[int, int, int]:
    done = desk.handed_over()
    return done.upserted, done.deleted, done.faulty
