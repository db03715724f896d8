"""The grantee's half on a real Kafka and a real PostgreSQL: what differs is found and named, what is equal is not."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from exchange.cli import reconcile as command
from exchange.clock import Deadline
from exchange.connect import Sink, sink, table
from exchange.connect.find import Connector
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Acl, Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.partitioner import partition_of
from exchange.kafka.client.reader import read_to_end
from exchange.names import receipt_topic, tail_group
from exchange.reconcile import halves
from exchange.reconcile.result import RESULT_KEY, Finding, Half, decode
from exchange.reconcile.sink import Pace
from exchange.web.client import ApiClient
from tests.harness.kafka.sink import FIELDS, PARTITIONS, RECORD_TYPE, Desk, Running

pytestmark = pytest.mark.kafka
SINK: Sink = sink(RECORD_TYPE, table("companies"))
CODES = [f"C{number:03}" for number in range(40)]


@pytest.fixture
def filled(desk: Desk, admin: Admin) -> Iterator[Desk]:
    """A department whose table equals its share, and has been so for long."""
    describe(desk)
    admin.grant([Acl(desk.department, "group", tail_group(desk.department), "describe")])
    desk.send(*(desk.company(code, f"company {code}") for code in CODES), ("~", None))
    desk.send(desk.company("C000", "another name"), ("C001", None))
    desk.run()
    yield desk


def describe(desk: Desk, **more: Any) -> None:
    """What `/v1/grants` says of the grant beyond what a sink asks."""
    told = {"record_type": RECORD_TYPE, "fields": FIELDS, "masks": {}, "scope": [], "demander": desk.department}
    desk.service.grants[0] |= {**told, "share": desk.topic.removeprefix("share."), **more}


def compared(desk: Desk, patience: float = 30.0) -> Finding:
    with ApiClient(desk.settings.api) as api:
        return halves.grantee_half(desk.settings, api, desk.service.grants[0], SINK, Pace(patience))


def named(finding: Finding) -> set[tuple[str, str]]:
    return {(one.kind.value, one.key) for one in finding.differences}


def run(desk: Desk, statement: str) -> None:
    with desk.connect() as connection:
        connection.execute(statement.encode())


def test_a_table_that_its_sink_has_filled_is_equal(filled: Desk) -> None:
    finding = compared(filled)
    assert named(finding) == set()
    assert (finding.result.compared, finding.result.equal, finding.result.holds) == (39, 39, True)


def test_an_altered_a_missing_and_an_extra_row_are_each_found_and_named(filled: Desk) -> None:
    run(filled, "UPDATE companies SET name = 'forged' WHERE credit_code = 'C010'")
    run(filled, "UPDATE companies SET established = DATE '2003-05-07' WHERE credit_code = 'C011'")
    run(filled, "DELETE FROM companies WHERE credit_code = 'C012'")
    run(filled, "INSERT INTO companies VALUES ('X1/ä', 'of the department', DATE '2020-01-01')")
    finding = compared(filled)
    assert named(finding) == {
        ("altered", "C010"),
        ("altered", "C011"),
        ("missing", "C012"),
        ("extra", "X1%2F%C3%A4"),
    }
    assert (finding.result.equal, finding.result.differences, finding.result.holds) == (36, 4, False)


def test_of_an_altered_row_the_fields_are_named_and_never_a_value(filled: Desk) -> None:
    run(filled, "UPDATE companies SET name = 'forged' WHERE credit_code IN ('C010', 'C013', 'C014', 'C015')")
    run(filled, "UPDATE companies SET name = 'x', established = DATE '2003-05-07' WHERE credit_code = 'C011'")
    run(filled, "DELETE FROM companies WHERE credit_code = 'C012'")
    finding = compared(filled)
    fields = {one.key: one.fields for one in finding.differences}
    name = ("name",)
    assert fields == {
        "C010": name, "C011": ("name", "established"), "C012": (), "C013": name, "C014": name, "C015": name,
    }  # fmt: skip
    shown = json.dumps(command._view(finding, None))
    assert "forged" not in shown and "company" not in shown and '"fields": ["name"]' in shown


def test_a_null_in_the_place_of_a_value_is_an_alteration(filled: Desk) -> None:
    run(filled, "ALTER TABLE companies ALTER COLUMN name DROP NOT NULL")
    run(filled, "UPDATE companies SET name = NULL WHERE credit_code = 'C010'")
    assert named(compared(filled)) == {("altered", "C010")}


def test_a_half_applied_table_says_what_waits_and_not_that_it_differs(filled: Desk) -> None:
    first, *waiting = [code for code in CODES if partition_of(code.encode(), PARTITIONS) == 0][3:6]
    filled.send(*(filled.company(code, "newer") for code in waiting), (CODES[-1], None), filled.company("N1", "new"))
    run(filled, f"UPDATE companies SET name = 'forged' WHERE credit_code = '{first}'")
    finding = compared(filled, patience=0.0)
    assert named(finding) == {("altered", first), *(("waiting", code) for code in (*waiting, CODES[-1], "N1"))}
    assert not finding.result.holds


def test_a_pair_is_found_equal_while_it_is_written(filled: Desk) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            code = CODES[2 + number % 30]
            filled.send(filled.company(code, f"version {number}"))

    writing = threading.Thread(target=write)
    with Running(filled) as running:
        writing.start()
        try:
            findings = [compared(filled, patience=5.0) for _ in range(3)]
        finally:
            stop.set()
            writing.join()
        assert running.ended is None
        assert compared(filled).result.holds
    assert {kind for finding in findings for kind, _ in named(finding)} <= {"waiting"}


def test_a_record_that_the_sink_has_set_aside_is_named_as_such(filled: Desk) -> None:
    run(filled, "DROP TABLE IF EXISTS exchange_set_aside")
    run(filled, "CREATE TABLE exchange_set_aside (grant_id text, record_key text, partition_number int)")
    run(filled, f"INSERT INTO exchange_set_aside VALUES ('{filled.grant}', 'C012', 0), ('{filled.grant}', 'W', 0)")
    run(filled, "DELETE FROM companies WHERE credit_code IN ('C012', 'C013')")
    run(filled, "INSERT INTO companies VALUES ('W', 'its withdrawal was refused', DATE '2020-01-01')")
    assert named(compared(filled)) == {("set_aside", "C012"), ("set_aside", "W"), ("missing", "C013")}


def test_rows_of_another_active_grant_in_the_same_table_are_not_extra(filled: Desk) -> None:
    for key, grant in (("P1", "g-other"), ("P2", "g-past")):
        run(filled, f"INSERT INTO companies VALUES ('{key}', 'of another provider', DATE '2020-01-01')")
        run(filled, f"INSERT INTO exchange_columns VALUES ('{grant}', 'companies', 'name')")
        run(filled, f"INSERT INTO exchange_rows VALUES ('{grant}', '{key}', 0, 1)")
    filled.service.grants.append({**filled.service.grants[0], "grant": "g-other", "provider": "civil-affairs"})
    assert named(compared(filled)) == {("extra", "P2")}


def test_the_grantee_tells_the_exchange_counts_and_no_key(filled: Desk, admin_connection: Connection) -> None:
    run(filled, "UPDATE companies SET name = 'forged' WHERE credit_code = 'C010'")
    connector = Connector(f"{filled.department}.companies", filled.department, SINK)
    with ApiClient(filled.settings.api) as api:
        (finding,) = halves.reconcile_all(connector, filled.settings, api, Pace())
    assert named(finding) == {("altered", "C010")}
    told = [message for message in messages(filled, admin_connection) if message.key() == RESULT_KEY]
    result = decode(told[-1].value(), Half.GRANTEE)
    assert result is not None
    assert (result.altered, result.equal) == (1, 38)
    assert b"C010" not in (told[-1].value() or b"")


def messages(desk: Desk, connection: Connection) -> list[Message]:
    return list(read_to_end(connection, [(receipt_topic(desk.grant), 0)], Deadline.after(20)))


def test_a_table_that_is_not_there_or_lacks_a_column_is_the_declarations_fault(filled: Desk) -> None:
    run(filled, "ALTER TABLE companies RENAME COLUMN name TO title")
    with pytest.raises(ExchangeError, match="no column name") as caught:
        compared(filled)
    assert caught.value.code == "E_CONNECTOR"
    run(filled, "DROP TABLE companies")
    with pytest.raises(ExchangeError, match="no table companies"):
        compared(filled)


def test_the_command_mends_what_differs_beside_the_running_sink(filled: Desk, monkeypatch: Any) -> None:
    run(filled, "UPDATE companies SET name = 'forged' WHERE credit_code = 'C010'")
    run(filled, "DELETE FROM companies WHERE credit_code = 'C012'")
    run(filled, "INSERT INTO companies VALUES ('X1', 'of the department', DATE '2020-01-01')")
    connector = Connector(f"{filled.department}.companies", filled.department, SINK)
    monkeypatch.setattr(halves, "of_department", lambda _department: [connector])
    with Running(filled) as running, ApiClient(filled.settings.api) as api:
        running.until(lambda: bool(filled.receipts()))
        one = filled.service.grants[0]
        settings = filled.settings
        finding, mended = command._compared(settings, api, one, ([], True, False, 60.0))
        assert (mended, finding is not None and named(finding)) == (True, {("extra", "X1")})
        finding, mended = command._compared(settings, api, one, ([], True, True, 60.0))
        assert (mended, finding is not None and named(finding)) == (True, set())
        assert running.ended is None
    assert ("C010", "company C010") in filled.rows()
    assert ("X1", "of the department") not in filled.rows()
