"""What was withdrawn is off the disks of the brokers within the bound, on topics where nothing else happens.

Real lines on a Kafka of its own, with the settings of `topics.py` in seconds instead of days. The log files themselves
are searched, for a value and for the key.
"""

import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange import names
from exchange.admission.factory import AdmissionFactory
from exchange.admission.rules import Rules
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.load import load
from exchange.clock import Deadline, SystemClock, format_time
from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.ledger_shares import LedgerShares
from exchange.delivery.line import LINE, DeliveryFactory, Parts
from exchange.delivery.line_metrics import LineMetrics
from exchange.delivery.writers import writers_of
from exchange.demo.province.people import Population
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TOMBSTONES_KEPT, TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.line.line import Line
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.state.ledger_state import Condition, Terms
from exchange.ledger.state.share_terms import terms_to_json
from exchange.ledger.store.follower import LedgerFollower
from exchange.names import Department, ShareName
from exchange.record import frame
from exchange.settings import Settings
from tests.harness.kafka.sink import FIELDS, PARTITIONS, RECORD_TYPE, SCHEMA, SHARE_SCHEMA_ID, BrokerService, Desk
from tests.harness.memory.ledger import MemoryLedger

pytestmark = pytest.mark.kafka
PROVIDER = Department("market-regulation")
INBOX = names.inbox_topic(RECORD_TYPE, PROVIDER)
REGISTRY = names.registry_topic(RECORD_TYPE)
STATE = names.delivery_topic(RECORD_TYPE)
SCOPED = names.share_topic(ShareName("scoped"))
WITHOUT = "registry.without-heartbeats"
LAG = timedelta(seconds=6)
HEARTBEAT = LAG / 3
CLEANER = timedelta(seconds=12)
"""For the cleaner's own work, on a machine that is busy with other things."""
QUICK = {
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": str(LAG // timedelta(milliseconds=1)),
    "segment.ms": "1000",
    "delete.retention.ms": "4000",
    "min.cleanable.dirty.ratio": "1.0",  # no other reason to clean than age
    "file.delete.delay.ms": "200",
    "compression.type": "uncompressed",  # the brokers store what the lines write so that it can be searched
}
BROKER = {"log.cleaner.backoff.ms": "200", "log.retention.check.interval.ms": "500", "log.initial.task.delay.ms": "500"}
WAIT_SECONDS = 60.0


class Later:
    """A clock that is ahead by more than tombstones are kept."""

    def now(self) -> datetime:
        return datetime.now(UTC) + TOMBSTONES_KEPT


class Exchange:
    """Both lines in threads, one inbox, one registry, two shares of it."""

    def __init__(self, kafka: EmbeddedKafka, share: ShareName) -> None:
        self.kafka = kafka
        self.connection = Connection.of(kafka.admin_settings())
        self.admin = Admin(self.connection)
        self.schemas = SchemaRepository.load(Settings().schemas)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        schema = self.schemas.latest(RECORD_TYPE)
        self._encode = Codec(schema.schema).encode
        self._frame = frame(schema.id)
        self._make_topics()
        self._write_ledger(share)

    def _make_topics(self) -> None:
        inbox = {"retention.ms": "8000", "segment.ms": "1000", "file.delete.delay.ms": "200"}
        topics = {
            INBOX: topic_config(TopicKind.INBOX) | inbox,
            REGISTRY: topic_config(TopicKind.REGISTRY) | QUICK,
            WITHOUT: topic_config(TopicKind.REGISTRY) | QUICK,
            SCOPED: topic_config(TopicKind.SHARE) | QUICK,
            STATE: topic_config(TopicKind.LINE_STATE) | QUICK,
            names.admission_topic(RECORD_TYPE): topic_config(TopicKind.LINE_STATE) | QUICK,
        }
        specs = [NewTopicSpec(name, PARTITIONS, config) for name, config in topics.items()]
        ledger = NewTopicSpec(names.LEDGER_TOPIC, 1, topic_config(TopicKind.LEDGER))
        self.admin.create_topics([*specs, ledger], 1)

    def _write_ledger(self, share: ShareName) -> None:
        ledger = MemoryLedger()
        ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
        events = list(ledger.events)
        everyone = (Condition("credit_code", "prefix", ("9",)),)
        for name, scope, schema_id in ((share, (), SHARE_SCHEMA_ID), ("scoped", everyone, SHARE_SCHEMA_ID + 1)):
            terms = terms_to_json(Terms(RECORD_TYPE, PROVIDER, tuple(FIELDS), (), scope))
            data = {"share": name, "terms": terms, "schema": SCHEMA, "schema_id": schema_id, "master_version": 1}
            last, now = events[-1], format_time(SystemClock().now())
            events.append(LedgerEvent(last.seq + 1, "share-created", now, "test", name, None, last.hash, data))
        codec = EventCodec(self.schemas)
        self.write(names.LEDGER_TOPIC, *((b"test", codec.encode(event), 1) for event in events))

    def write(self, topic: str, *records: tuple[bytes, bytes | None, int]) -> None:
        """Write (key, value, sequence)."""
        producer = IdempotentProducer(self.connection)
        for key, value, sequence in records:
            producer.send(topic, key, value, [("ce_sequence", b"%d" % sequence)])
        producer.flush(Deadline.after(WAIT_SECONDS))
        producer.close()

    def encode(self, row: dict[str, Any]) -> bytes:
        return self._frame + self._encode(row)

    def start(self, heartbeat: timedelta) -> None:
        admission, delivery = (LedgerFollower(self.connection, self.schemas) for _ in range(2))
        for follower in (admission, delivery):
            follower.catch_up()
        codes = load_code_sets(Settings().schemas / FOLDER)
        rules = Rules(self.schemas, codes, admission, SystemClock(), heartbeat_every=heartbeat)
        master = MasterSecret({1: b"m" * 32})
        writers, shown = writers_of(self.schemas), LineMetrics(SystemClock())
        parts = Parts(self.connection, LedgerShares(delivery), writers, master, shown)
        lines = (
            Line(self.connection, "admission", names.ADMISSION_GROUP, "one", AdmissionFactory(self.connection, rules)),
            Line(self.connection, LINE, names.DELIVERY_GROUP, "one", DeliveryFactory(parts)),
        )
        self._threads = [threading.Thread(target=line.run, args=(self._stop,)) for line in lines]
        for thread in self._threads:
            thread.start()
        self.until(lambda: all(line.ready for line in lines))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def on_disk(self, topic: str, needle: bytes) -> bool:
        """Whether any file of a topic holds these bytes."""
        files = (path for path in Path(self.kafka.folder.root).rglob(f"{topic}-*/*") if path.is_file())
        return any(needle in _bytes(path) for path in files)

    def until(self, holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> float:
        """Wait until something holds; the seconds that took."""
        began, deadline = time.monotonic(), Deadline.after(seconds)
        while not holds():
            assert not deadline.passed
            threading.Event().wait(0.1)
        return time.monotonic() - began


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka"), KafkaOptions(properties=BROKER)).start() as running:
        yield running


@pytest.fixture
def service() -> Iterator[BrokerService]:
    service = BrokerService()
    yield service
    service.close()


def test_a_withdrawn_record_leaves_the_disks_in_time_and_the_table_of_a_sink_that_was_away(
    own_kafka: EmbeddedKafka, postgres: EmbeddedPostgres, service: BrokerService, unique: str
) -> None:
    exchange = Exchange(own_kafka, ShareName(unique))
    desk = Desk(unique, own_kafka.admin_settings(), postgres.database(unique), service, exchange.connection)
    desk.open(exchange.admin, **{name.replace(".", "_"): value for name, value in QUICK.items()})
    stays, goes = (dataclasses.asdict(one) for one in Population(5).companies(2, "11340000EXCH00018B"))
    secret = secrets.token_hex(16)
    goes["name"] = secret
    key, value = goes["credit_code"].encode(), exchange.encode(goes)
    exchange.start(HEARTBEAT)
    try:
        everywhere = (REGISTRY, desk.topic, SCOPED, STATE)
        values = (REGISTRY, desk.topic, SCOPED)
        exchange.write(INBOX, (stays["credit_code"].encode(), exchange.encode(stays), 1), (key, value, 1))
        exchange.write(WITHOUT, (key, value, 1), (key, None, 2))
        exchange.until(lambda: all(exchange.on_disk(topic, key) for topic in everywhere))
        desk.run()
        assert len(desk.rows()) == 2
        assert all(exchange.on_disk(topic, secret.encode()) for topic in (*values, WITHOUT))

        exchange.write(INBOX, (key, None, 2))
        took = exchange.until(lambda: not any(exchange.on_disk(topic, secret.encode()) for topic in values))
        print(f"old values off the disks after {took:.1f} s, lag {LAG}, heartbeat {HEARTBEAT}")
        assert took <= (LAG + HEARTBEAT + CLEANER).total_seconds()
        assert exchange.on_disk(WITHOUT, secret.encode())

        took = exchange.until(lambda: not any(exchange.on_disk(topic, key) for topic in (*everywhere, INBOX)))
        print(f"keys off the disks after {took:.1f} s more")
        assert exchange.on_disk(WITHOUT, secret.encode())
        assert all(exchange.on_disk(topic, stays["credit_code"].encode()) for topic in values)

        desk.run()
        assert len(desk.rows()) == 2  # nothing that is left in the share tells of the withdrawal
        desk.run(clock=Later())
        assert desk.rows() == [(stays["credit_code"], stays["name"])]
    finally:
        exchange.stop()
