"""A Kafka with the catalogue in its ledger, one inbox with its registry, and a real admission worker on it."""

import dataclasses
import os
import secrets
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from exchange import names
from exchange.admission.state import BOOKS_KEY, Books, decode
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.enforcement.wanted import own_acls
from exchange.catalogue.load import load
from exchange.clock import Deadline
from exchange.demo.province.people import Population
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.errors import ExchangeError
from exchange.identifiers import credit_code
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.producer import TransactionalProducer
from exchange.kafka.client.reader import read_to_end
from exchange.ledger.events.wire import EventCodec
from exchange.names import Department, RecordType
from exchange.record import Headers, frame
from exchange.settings import Settings
from tests.harness.memory.ledger import MemoryLedger

TYPE = RecordType("legal-entity.registration")
PROVIDER = Department("market-regulation")
INBOX = names.inbox_topic(TYPE, PROVIDER)
REGISTRY = names.registry_topic(TYPE)
STATE = names.admission_topic(TYPE)
QUARANTINE = names.quarantine_topic(PROVIDER)
AUTHORITY = "11340000EXCH00018B"
_READY_SECONDS = 60.0
_PAUSE_SECONDS = 0.25
"""Between two looks at the state of the line, each of which is a client of its own that reads all of it."""

Outgoing = tuple[str, bytes | None, bytes | None, int, Headers | None]
"""(topic, key, value, partition or -1, headers)."""


def companies(number: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Rows of the company register, as records of the registry."""
    return (dataclasses.asdict(company) for company in Population(seed).companies(number, AUTHORITY))


def variants(rows: list[dict[str, Any]], number: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Many rows with keys of their own from a few: the same words under running organisation numbers."""
    for serial in range(first, first + number):
        row = rows[serial % len(rows)]
        body = f"91340100T{serial:08d}"
        yield row | {"credit_code": body + credit_code.check_character(body), "established": date(2020, 1, 1)}


class AdmissionHarness:
    """Makes everything that `exchange serve` would make for one record type, then starts and stops the worker."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka, partitions: int = 2, **inbox_config: str) -> None:
        self.partitions = partitions
        self.schemas = SchemaRepository.load(Settings().schemas)
        schema = self.schemas.latest(TYPE)
        self.frame = frame(schema.id)
        self.encode_body = Codec(schema.schema).encode
        self.kafka = kafka
        self.connection = Connection.of(kafka.admin_settings())
        self.admin = Admin(self.connection)
        self.worker: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._secret = folder / "admission.secret"
        self._secret.write_text(secrets.token_urlsafe(18), encoding="utf-8")
        self.admin.set_secret(names.ADMISSION, self._secret.read_text(encoding="utf-8"))
        self._make(**inbox_config)
        self.admin.grant([acl for acl in own_acls() if acl.principal == names.ADMISSION])
        own_id = f"test-{secrets.token_hex(3)}"
        # an inbox takes batches of at most 262,144 bytes, uncompressed
        self.producer = TransactionalProducer(self.connection, own_id, 60_000, batch_size=200_000)
        self.producer.start(Deadline.after(60))
        self._write_ledger()

    def _make(self, **inbox_config: str) -> None:
        kinds = (
            (INBOX, TopicKind.INBOX, self.partitions),
            (REGISTRY, TopicKind.REGISTRY, self.partitions),
            (STATE, TopicKind.LINE_STATE, self.partitions),
            (QUARANTINE, TopicKind.QUARANTINE, 1),
            (names.LEDGER_TOPIC, TopicKind.LEDGER, 1),
        )
        changed = {INBOX: {name.replace("_", "."): value for name, value in inbox_config.items()}}
        self.admin.create_topics(
            [NewTopicSpec(name, number, topic_config(kind) | changed.get(name, {})) for name, kind, number in kinds], 1
        )

    def _write_ledger(self) -> None:
        ledger = MemoryLedger()
        ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
        codec = EventCodec(self.schemas)
        self.write((names.LEDGER_TOPIC, b"catalogue", codec.encode(event), 0, None) for event in ledger.events)

    def encode(self, row: dict[str, Any]) -> bytes:
        """The framed value of a row."""
        return self.frame + self.encode_body(row)

    def write(self, records: Iterable[Outgoing], before_commit: Callable[[], None] = lambda: None) -> None:
        """Write records in one transaction: all become readable at one moment."""
        self.producer.begin()
        for topic, key, value, partition, headers in records:
            self._produce(topic, value, key, partition, headers)
        before_commit()
        self.producer.commit(Deadline.after(120))

    def _produce(self, topic: str, value: bytes | None, key: bytes | None, partition: int, headers: Any) -> None:
        while True:
            try:
                self.producer.produce(topic, value, key, partition, headers=headers)
                return
            except BufferError:
                self.producer.poll(0.1)

    def start(self, worker_id: str = "admit-test") -> None:
        """Start a worker and wait until it is ready."""
        settings = self.kafka.settings(names.ADMISSION, self._secret)
        own = {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": names.ADMISSION,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(self._secret),
            "EXCHANGE_METRICS__PORT": "0",
            "EXCHANGE_WORKER_ID": worker_id,
        }
        log = self._folder / "worker.log"
        self._log_from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "exchange", "admit"], env={**os.environ, **own}, stdout=out, stderr=out
            )
        self.until(self._ready, _READY_SECONDS)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End the worker; its exit status."""
        assert self.worker is not None
        self.worker.send_signal(how)
        status = self.worker.wait(40)
        self.worker = None
        return status

    def metrics(self) -> str:
        """What the worker shows at /metrics."""
        return self._get("/metrics")

    def _ready(self) -> bool:
        return "health.listening" in self.log() and self._get("/readyz") == "ok\n"

    def _get(self, path: str) -> str:
        port = self.log().rpartition('"port": ')[2].partition(",")[0]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{int(port)}{path}", timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return ""

    def read(self, topic: str) -> list[Message]:
        """Everything that is committed in a topic."""
        places = [(topic, partition) for partition in range(self.admin.topics()[topic])]
        return list(read_to_end(self.connection, places, Deadline.after(60)))

    def books(self) -> Books:
        """The books of all partitions together."""
        last = {
            message.partition(): decode(message.value() or b"")
            for message in self.read(STATE)
            if message.key() == BOOKS_KEY
        }
        total = Books()
        for books in last.values():
            total.add(books)
        return total

    def until(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something holds. Raises ExchangeError with the end of the worker's log when it does not."""
        deadline = Deadline.after(seconds)
        while not holds():
            if deadline.passed or (self.worker is not None and self.worker.poll() is not None):
                raise ExchangeError("E_INTERNAL", f"it did not come to that:\n{self.log()[-4000:]}")
            threading.Event().wait(_PAUSE_SECONDS)

    def log(self) -> str:
        """What the worker has written since its last start."""
        with (self._folder / "worker.log").open(encoding="utf-8") as log:
            log.seek(self._log_from)
            return log.read()
