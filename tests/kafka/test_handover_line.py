"""The handover line on a real Kafka and a real PostgreSQL: from a share into a table, whatever is away or ends."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.clock import Deadline
from exchange.connect import Sink, sink, table
from exchange.connect.find import Connector
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.embedded.processes import exchange_command
from exchange.errors import ExchangeError
from exchange.handover import receipt
from exchange.handover.receipt import Receipt
from exchange.handover.start import Run, serve
from exchange.kafka.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.connection import Connection
from exchange.kafka.partitioner import partition_of
from exchange.kafka.producer import IdempotentProducer
from exchange.kafka.reader import read_to_end
from exchange.kafka.topics import TopicKind, topic_config
from exchange.names import (
    Department,
    GrantId,
    SchemaId,
    ShareName,
    faults_topic,
    grant_group,
    receipt_topic,
    share_topic,
)
from exchange.record import frame
from exchange.settings import ApiSettings, ConnectorSettings, Settings

pytestmark = pytest.mark.kafka
PARTITIONS = 2
SHARE_SCHEMA_ID = SchemaId(100_007)
RECORD_TYPE = "legal-entity.registration"
FIELDS = ["credit_code", "name", "established"]
SCHEMA = subset_schema(
    SchemaRepository.load(Settings().schemas).latest(RECORD_TYPE).schema, FIELDS, {}, "CompaniesOfATest"
)


class BrokerService:
    """The two paths of the broker service that a sink asks, over real HTTP."""

    def __init__(self) -> None:
        self.grants: list[dict[str, Any]] = []
        self.asked = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked += 1
                body = json.dumps(service.answer(self.path.partition("?")[0])).encode()
                self.send_response(200 if self.headers["Authorization"] == "Bearer t0ken" else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str) -> Any:
        if path == "/v1/grants":
            return {"items": [grant for grant in self.grants if grant["active"]], "next": None}
        if path.startswith("/v1/grants/"):
            return next(grant for grant in self.grants if path.endswith(grant["grant"]))
        assert path == f"/schemas/ids/{SHARE_SCHEMA_ID}"
        return {"schema": json.dumps(SCHEMA)}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Desk:
    """A department with a grant, its share, its table."""

    def __init__(self, department: str, settings: Settings, service: BrokerService, admin: Connection) -> None:
        self.department = department
        self.grant = GrantId(f"{department}-g")
        self.topic = share_topic(ShareName(department))
        self.settings = settings
        self.service = service
        self._admin = admin
        self._codec = Codec(SCHEMA)

    def activate(self, active: bool = True) -> None:
        self.service.grants = [
            {
                "grant": self.grant,
                "active": active,
                "provider": "market-regulation",
                "topic": self.topic,
                "group": grant_group(self.grant),
                "schema_id": SHARE_SCHEMA_ID,
                "pseudonymous": False,
            }
        ]

    def run(self, stop: threading.Event | None = None) -> None:
        declared: Sink = sink(RECORD_TYPE, table("companies"))
        connector = Connector(f"{self.department}.companies", Department(self.department), declared)
        serve(connector, declared, self.settings, Run(stop or threading.Event(), once=stop is None))

    def send(self, *records: tuple[str, bytes | None]) -> None:
        producer = IdempotentProducer(self._admin)
        for key, value in records:
            producer.send(self.topic, key.encode(), value)
        producer.flush(Deadline.after(20))
        producer.close()

    def company(self, code: str, name: str) -> tuple[str, bytes]:
        body = self._codec.encode({"credit_code": code, "name": name, "established": date(2003, 5, 6)})
        return code, frame(SHARE_SCHEMA_ID) + body

    def rows(self) -> list[tuple[Any, ...]]:
        address = self.settings.connector.database.get_secret_value().replace("+psycopg", "")
        with psycopg.connect(address) as connection:
            return connection.execute("SELECT credit_code, name FROM companies ORDER BY 1").fetchall()

    def receipts(self) -> dict[int, Receipt]:
        """The newest receipt of each partition."""
        found = {}
        for message in read_to_end(self._admin, [(receipt_topic(self.grant), 0)], Deadline.after(20)):
            decoded = receipt.decode(message.value() or b"")
            assert decoded is not None
            assert message.key() == str(decoded.partition).encode()
            found[decoded.partition] = decoded
        return found

    def faults(self) -> list[dict[str, Any]]:
        messages = read_to_end(self._admin, [(faults_topic(Department(self.department)), 0)], Deadline.after(20))
        return [json.loads(message.value() or b"") for message in messages]


@pytest.fixture
def service() -> Iterator[BrokerService]:
    service = BrokerService()
    yield service
    service.close()


@pytest.fixture
def desk(
    admin: Admin,
    admin_connection: Connection,
    kafka_settings_for: Callable[..., Any],
    postgres: EmbeddedPostgres,
    service: BrokerService,
    unique: str,
) -> Desk:
    settings = Settings(
        kafka=kafka_settings_for(unique),
        api=ApiSettings(url=service.url, token="t0ken"),  # type: ignore[arg-type]
        connector=ConnectorSettings(database=postgres.database(unique)),  # type: ignore[arg-type]
        worker_id="desk",
    )
    desk = Desk(unique, settings, service, admin_connection)
    receipts, faults = receipt_topic(desk.grant), faults_topic(Department(unique))
    admin.create_topics([NewTopicSpec(desk.topic, PARTITIONS, topic_config(TopicKind.SHARE))], 1)
    admin.create_topics([NewTopicSpec(receipts, 1, topic_config(TopicKind.RECEIPT))], 1)
    admin.create_topics([NewTopicSpec(faults, 1, topic_config(TopicKind.FAULTS))], 1)
    admin.grant(
        [
            Acl(unique, "topic", desk.topic, "read"),
            Acl(unique, "group", grant_group(desk.grant), "read"),
            Acl(unique, "topic", receipts, "write"),
            Acl(unique, "topic", faults, "write"),
        ]
    )
    desk.activate()
    return desk


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


class Running:
    """A sink at work in a thread; what ended it, if anything did."""

    def __init__(self, desk: Desk) -> None:
        self.stop = threading.Event()
        self.ended: ExchangeError | None = None
        self._desk = desk
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            self._desk.run(self.stop)
        except ExchangeError as error:
            self.ended = error

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = Deadline.after(30)
        while not holds():
            assert not deadline.passed
            assert self.ended is None or holds()


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
    good = receipt.encode(Receipt(1, 2, 3, 4, 5, receipt.parse_time("2026-11-24T08:00:00Z")))[1]
    assert receipt.decode(good) is not None
    for value in (b"", b"{}", b"[1]", good.replace(b"2,", b"-2,", 1), good.replace(b"3", b"true", 1), b"\xff"):
        assert receipt.decode(value) is None


KILLS = 3
MOST_BYTES = 100_000_000
VERSIONS = 12_000
COMPANIES = 3_000


def test_a_sink_killed_and_started_again_applies_every_version_exactly_once(
    desk: Desk, admin: Admin, kafka_settings_for: Callable[..., Any], tmp_path: Path
) -> None:
    """The command itself, as the department's own process, killed while it works."""
    owner = Department("taxation")
    kafka = kafka_settings_for(owner)
    reads = [Acl(owner, "topic", desk.topic, "read"), Acl(owner, "group", grant_group(desk.grant), "read")]
    admin.grant([*reads, Acl(owner, "topic", receipt_topic(desk.grant), "write")])
    codes = [f"C{number % COMPANIES:05d}" for number in range(VERSIONS)]
    desk.send(*(desk.company(code, f"version {number}") for number, code in enumerate(codes)))
    (tmp_path / "token").write_text("t0ken", encoding="utf-8")
    environment = {
        "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
        "EXCHANGE_KAFKA__USERNAME": owner,
        "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
        "EXCHANGE_API__URL": desk.service.url,
        "EXCHANGE_API__TOKEN_FILE": str(tmp_path / "token"),
        "EXCHANGE_CONNECTOR__DATABASE": desk.settings.connector.database.get_secret_value(),
        "EXCHANGE_WORKER_ID": "killed",
        "EXCHANGE_METRICS__PORT": "0",
    }
    done = 0
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
                assert psutil.Process(child.pid).memory_info().rss < MOST_BYTES
        finally:
            child.kill()
    assert desk.rows() == [(f"C{n:05d}", f"version {VERSIONS - COMPANIES + n}") for n in range(COMPANIES)]
    assert sum(one.handed_over for one in desk.receipts().values()) == VERSIONS
    assert b"version 1" not in (tmp_path / "sink.log").read_bytes()


def applied_more_than(before: int, desk: Desk, child: ChildProcess) -> int:
    """Wait until the sink has applied more, and give how many versions it has applied."""
    address = desk.settings.connector.database.get_secret_value().replace("+psycopg", "")
    deadline = Deadline.after(60)
    with psycopg.connect(address, autocommit=True) as connection:
        while not deadline.passed:
            try:
                row = connection.execute("SELECT coalesce(sum(upserted), 0) FROM exchange_progress").fetchone()
            except psycopg.errors.UndefinedTable:
                continue
            if row is not None and (row[0] > before or row[0] == VERSIONS):
                return int(row[0])
    raise AssertionError(child.log_tail())
