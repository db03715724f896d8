"""A department with a grant, its share and its table, and a broker service that says so: the harness for sinks."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.clock import Clock, Deadline, SystemClock
from exchange.connect import Sink, sink, table
from exchange.connect.find import Connector
from exchange.errors import ExchangeError
from exchange.handover import receipt
from exchange.handover.granted import Run
from exchange.handover.receipt import Receipt
from exchange.handover.start import serve
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.reader import read_to_end
from exchange.names import (
    Department,
    GrantId,
    RecordType,
    SchemaId,
    ShareName,
    faults_topic,
    grant_group,
    receipt_topic,
    share_topic,
    tail_group,
)
from exchange.observe.condition import Condition
from exchange.record import frame
from exchange.settings import ApiSettings, ConnectorSettings, KafkaSettings, Settings

PARTITIONS = 2
SHARE_SCHEMA_ID = SchemaId(100_007)
RECORD_TYPE = RecordType("legal-entity.registration")
FIELDS = ["credit_code", "name", "established"]
SCHEMA = subset_schema(
    SchemaRepository.load(Settings().schemas).latest(RECORD_TYPE).schema, FIELDS, {}, "CompaniesOfATest"
)
TOKEN = "t0ken"
_WAIT_SECONDS = 30.0
_READ_SECONDS = 20.0
_PAUSE_SECONDS = 0.05


class BrokerService:
    """The paths of the broker service that a sink asks, over real HTTP. schemas: of shares, by their ids."""

    def __init__(self, schemas: Mapping[SchemaId, dict[str, Any]] | None = None) -> None:
        self._schemas = {SHARE_SCHEMA_ID: SCHEMA} if schemas is None else schemas
        self.grants: list[dict[str, Any]] = []
        self.asked = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked += 1
                body = json.dumps(service.answer(self.path.partition("?")[0])).encode()
                self.send_response(200 if self.headers["Authorization"] == f"Bearer {TOKEN}" else 401)
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
        """What stands under a path."""
        if path == "/v1/grants":
            return {"items": [grant for grant in self.grants if grant["active"]], "next": None}
        if path.startswith("/v1/grants/"):
            return next(grant for grant in self.grants if path.endswith(grant["grant"]))
        assert path.startswith("/schemas/ids/")
        return {"schema": json.dumps(self._schemas[SchemaId(int(path.rpartition("/")[2]))])}

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Desk:
    """A department with a grant, its share, its table."""

    def __init__(
        self, department: str, kafka: KafkaSettings, database: str, service: BrokerService, admin: Connection
    ) -> None:
        self.department = Department(department)
        self.grant = GrantId(f"{department}-g")
        self.topic = share_topic(ShareName(department))
        self.settings = Settings(
            kafka=kafka,
            api=ApiSettings(url=service.url, token=TOKEN),  # type: ignore[arg-type]
            connector=ConnectorSettings(database=database),  # type: ignore[arg-type]
            worker_id="desk",
        )
        self.service = service
        self._admin = admin
        self._codec = Codec(SCHEMA)

    def open(self, admin: Admin, active: bool = True, **share_config: str) -> None:
        """Make the topics, give the rights and activate the grant. share_config: what is different from a usual one."""
        share = topic_config(TopicKind.SHARE) | {name.replace("_", "."): value for name, value in share_config.items()}
        receipts, faults = receipt_topic(self.grant), faults_topic(self.department)
        admin.create_topics([NewTopicSpec(self.topic, PARTITIONS, share)], 1)
        admin.create_topics([NewTopicSpec(receipts, 1, topic_config(TopicKind.RECEIPT))], 1)
        admin.create_topics([NewTopicSpec(faults, 1, topic_config(TopicKind.FAULTS))], 1)
        log = [Acl(self.department, "topic", faults, what) for what in ("read", "write")]
        tail = Acl(self.department, "group", tail_group(self.department), "describe")
        admin.grant([*self.reads(self.department), *log, tail])
        if active:
            self.activate()

    def reads(self, principal: str) -> list[Acl]:
        """The rights of who reads the share."""
        return [
            Acl(principal, "topic", self.topic, "read"),
            Acl(principal, "group", grant_group(self.grant), "read"),
            Acl(principal, "topic", receipt_topic(self.grant), "write"),
        ]

    def activate(self, active: bool = True) -> None:
        """Let the broker service say that the grant is active, or is not."""
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

    def run(
        self,
        stop: threading.Event | None = None,
        clock: Clock | None = None,
        condition: Condition | None = None,
    ) -> None:
        """The sink in this thread: until `stop`, or without one until the share is read to its end."""
        declared: Sink = sink(RECORD_TYPE, table("companies"))
        connector = Connector(f"{self.department}.companies", self.department, declared)
        own = condition or Condition()
        run = Run(stop or threading.Event(), once=stop is None, clock=clock or SystemClock(), condition=own)
        serve(connector, declared, self.settings, run)

    def environment(self, kafka: KafkaSettings, token_file: str) -> dict[str, str]:
        """What `exchange run` needs to be this sink in a process of its own. kafka: as whom."""
        return {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": kafka.username,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(kafka.password_file),
            "EXCHANGE_API__URL": self.service.url,
            "EXCHANGE_API__TOKEN_FILE": token_file,
            "EXCHANGE_CONNECTOR__DATABASE": self.settings.connector.database.get_secret_value(),
            "EXCHANGE_WORKER_ID": "killed",
            "EXCHANGE_METRICS__PORT": "0",
        }

    def send(self, *records: tuple[str, bytes | None]) -> None:
        """Write into the share."""
        producer = IdempotentProducer(self._admin)
        for key, value in records:
            producer.send(self.topic, key.encode(), value)
        producer.flush(Deadline.after(_READ_SECONDS))
        producer.close()

    def company(self, code: str, name: str) -> tuple[str, bytes]:
        """Key and value of a record."""
        body = self._codec.encode({"credit_code": code, "name": name, "established": date(2003, 5, 6)})
        return code, frame(SHARE_SCHEMA_ID) + body

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The department's database; every statement is a transaction."""
        address = self.settings.connector.database.get_secret_value().replace("+psycopg", "")
        return psycopg.connect(address, autocommit=True)

    def tables(self) -> set[str]:
        """What tables there are."""
        question = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        with self.connect() as connection:
            return {name for (name,) in connection.execute(question)}

    def rows(self) -> list[tuple[Any, ...]]:
        """(credit code, name) of the table."""
        with self.connect() as connection:
            return connection.execute("SELECT credit_code, name FROM companies ORDER BY 1").fetchall()

    def receipts(self) -> dict[int, Receipt]:
        """The newest receipt of each partition."""
        found = {}
        for message in read_to_end(self._admin, [(receipt_topic(self.grant), 0)], Deadline.after(_READ_SECONDS)):
            decoded = receipt.decode(message.value() or b"")
            assert decoded is not None
            assert message.key() == str(decoded.partition).encode()
            found[decoded.partition] = decoded
        return found

    def handed_over(self) -> Receipt:
        """The sums of all receipts."""
        found = list(self.receipts().values())
        return replace(
            found[0],
            upserted=sum(one.upserted for one in found),
            deleted=sum(one.deleted for one in found),
            faulty=sum(one.faulty for one in found),
        )

    def faults(self) -> list[dict[str, Any]]:
        """What the sink has reported."""
        place: tuple[str, int] = (faults_topic(self.department), 0)
        return [
            json.loads(message.value() or b"")
            for message in read_to_end(self._admin, [place], Deadline.after(_READ_SECONDS))
        ]


class Running:
    """A sink at work in a thread; what ended it, if anything did."""

    def __init__(self, desk: Desk) -> None:
        self.stop = threading.Event()
        self.ended: ExchangeError | None = None
        self.condition = Condition()
        self._desk = desk
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(_WAIT_SECONDS)

    def _run(self) -> None:
        try:
            self._desk.run(self.stop, condition=self.condition)
        except ExchangeError as error:
            self.ended = error

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        deadline = Deadline.after(_WAIT_SECONDS)
        while not holds():
            assert not deadline.passed
            assert self.ended is None or holds(), self.ended
            self.stop.wait(_PAUSE_SECONDS)
