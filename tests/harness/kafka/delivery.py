"""A Kafka with a ledger that has shares, one registry with room for everything, and a real delivery worker on it."""

import os
import secrets
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from exchange import names
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.broker.enforcement.wanted import own_acls
from exchange.clock import Deadline, SystemClock, format_time
from exchange.delivery.state import Counts, UnitState
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.producer import TransactionalProducer
from exchange.kafka.client.reader import read_to_end
from exchange.ledger.events.event import FIRST_HASH, LedgerEvent
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.state.ledger_state import Terms
from exchange.ledger.state.share_terms import terms_to_json
from exchange.names import Department, RecordType, ShareName, TopicName
from exchange.record import FRAME_BYTES, Headers, frame, source_of
from exchange.settings import Settings

TYPE = RecordType("legal-entity.registration")
PROVIDER = Department("market-regulation")
REGISTRY = names.registry_topic(TYPE)
STATE = names.delivery_topic(TYPE)
EIGHT = ("credit_code", "name", "established", "region", "status", "authority_code", "approved", "entity_type")
"""The fields of a share as departments ask for it."""
_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.25
"""Between two looks at the state of the line, each of which is a client of its own that reads all of it."""
_WORKER = "deliver-test"

Outgoing = tuple[str, bytes, bytes | None, int, Headers | None]
"""(topic, key, value, partition, headers)."""


def headers(number: int) -> Headers:
    """The headers of a record as admission writes them, in its order."""
    named = {"ce_specversion": b"1.0", "ce_id": b"id.%d" % number, "ce_source": source_of(PROVIDER)}
    named |= {"ce_type": TYPE.encode(), "ce_time": b"2026-11-24T00:00:00Z", "content-type": b"application/avro"}
    return [*named.items(), ("ce_sequence", b"%d" % number)]


class DeliveryHarness:
    """Makes what `exchange serve` would make for one record type; starts, stops and kills the worker."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka, partitions: int = 2) -> None:
        self.partitions = partitions
        self.schemas = SchemaRepository.load(Settings().schemas)
        self.schema = self.schemas.latest(TYPE)
        self.connection = Connection.of(kafka.admin_settings())
        self.admin = Admin(self.connection)
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        """By worker id."""
        self._encode = Codec(self.schema.schema).encode
        self._frame = frame(self.schema.id)
        self._shares: dict[str, tuple[dict[str, Any], Codec]] = {}
        self._folder, self._kafka = folder, kafka
        self._head, self._seq = FIRST_HASH, 0
        self._events = EventCodec(self.schemas)
        for name in ("delivery.secret", "master.secret"):
            (folder / name).write_text(secrets.token_urlsafe(32), encoding="utf-8")
        self.admin.set_secret(names.DELIVERY, (folder / "delivery.secret").read_text(encoding="utf-8"))
        self.make(names.LEDGER_TOPIC, TopicKind.LEDGER, 1)
        self.make(REGISTRY, TopicKind.REGISTRY, partitions)
        self.make(STATE, TopicKind.LINE_STATE, partitions)
        own_id = f"test-{secrets.token_hex(3)}"
        # a registry takes batches of at most 524,288 bytes
        self._producer = TransactionalProducer(self.connection, own_id, 60_000, batch_size=400_000)
        self._producer.start(Deadline.after(_WAIT_SECONDS))
        resource = {"resource": "r", "record_type": TYPE, "provider": PROVIDER, "name": "r", "name_en": "r"}
        self.say(
            "resource-published", resource | {"sharing": "unconditional", "fields": {}, "update_cycle_seconds": 60}
        )

    def make(self, topic: TopicName, kind: TopicKind, partitions: int) -> None:
        """Make a topic."""
        self.admin.create_topics([NewTopicSpec(topic, partitions, topic_config(kind))], 1)

    def allow_own(self) -> None:
        """Give the worker the rights that the reconciler gives it."""
        self.admin.grant([acl for acl in own_acls() if acl.principal == names.DELIVERY])

    def say(self, event: str, data: dict[str, Any]) -> None:
        """Append one event to the ledger."""
        self._seq += 1
        now = format_time(SystemClock().now())
        said = LedgerEvent(self._seq, event, now, "test", "test", None, self._head, data)
        self._head = said.hash
        self.write([(names.LEDGER_TOPIC, b"test", self._events.encode(said), 0, None)])

    def share(self, share: str, fields: tuple[str, ...] = EIGHT, **terms: Any) -> None:
        """Make a share's topic, then let the ledger say that there is one."""
        self.make(names.share_topic(ShareName(share)), TopicKind.SHARE, self.partitions)
        cut = Terms(TYPE, PROVIDER, fields, **terms)
        schema = subset_schema(self.schema.schema, fields, dict(cut.masks), "Share")
        self._shares[share] = (schema, Codec(schema))
        said = {"share": share, "terms": terms_to_json(cut), "schema": schema, "master_version": 1}
        self.say("share-created", said | {"schema_id": names.FIRST_LEDGER_SCHEMA_ID + len(self._shares)})

    def cut_schema(self, share: str) -> dict[str, Any]:
        """The schema of a share."""
        return self._shares[share][0]

    def encode(self, row: dict[str, Any]) -> bytes:
        """The framed value of a row."""
        return self._frame + self._encode(row)

    def write(self, records: Iterable[Outgoing], before_commit: Callable[[], None] = lambda: None) -> None:
        """Write records in one transaction: all become readable at one moment."""
        self._producer.begin()
        for topic, key, value, partition, about in records:
            self._produce(topic, value, key, partition, about)
        before_commit()
        self._producer.commit(Deadline.after(_WAIT_SECONDS))

    def _produce(self, topic: str, value: bytes | None, key: bytes, partition: int, about: Headers | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=about)
                return
            except BufferError:
                self._producer.poll(0.1)

    @property
    def worker(self) -> subprocess.Popen[bytes] | None:
        """The first worker, if it runs."""
        return self.workers.get(_WORKER)

    def start(self, worker: str = _WORKER) -> None:
        """Start a worker unless it runs."""
        if worker in self.workers:
            return
        settings = self._kafka.settings(names.DELIVERY, self._folder / "delivery.secret")
        own = {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": names.DELIVERY,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(self._folder / "delivery.secret"),
            "EXCHANGE_MASTER_SECRET_FILE": str(self._folder / "master.secret"),
            "EXCHANGE_METRICS__PORT": "0",
            "EXCHANGE_WORKER_ID": worker,
        }
        with (self._folder / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "exchange", "deliver"]
            self.workers[worker] = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)

    def stop(self, how: int = signal.SIGTERM, worker: str = _WORKER) -> int:
        """End a worker; its exit status."""
        process = self.workers.pop(worker)
        process.send_signal(how)
        return process.wait(_WAIT_SECONDS)

    def stop_all(self) -> None:
        """End every worker at once, whatever it does."""
        for worker in list(self.workers):
            self.stop(signal.SIGKILL, worker)

    def read(self, topic: str) -> list[Message]:
        """Everything that is committed in a topic, each partition in its order."""
        places = [(topic, partition) for partition in range(self.partitions)]
        return list(read_to_end(self.connection, places, Deadline.after(_WAIT_SECONDS)))

    def states(self) -> list[UnitState]:
        """What the line has written about itself, by partition."""
        found = [UnitState() for _ in range(self.partitions)]
        for message in self.read(STATE):
            found[message.partition()].apply(message.key() or b"", message.value())
        return found

    def received(self, share: str) -> list[tuple[bytes, dict[str, Any] | None]]:
        """(key, record or None) of everything that stands in a share."""
        decode = self._shares[share][1].decode
        found = []
        for message in self.read(names.share_topic(ShareName(share))):
            value = message.value()
            found.append((message.key() or b"", None if value is None else decode(value[FRAME_BYTES:])))
        return found

    def books(self, share: str) -> Counts:
        """The books of a share over all partitions."""
        total = Counts()
        for state in self.states():
            total.add(state.counts.get(ShareName(share), Counts()))
        return total

    def taken(self) -> int:
        """How many records the units together have taken."""
        return sum(state.taken for state in self.states())

    def joined(self, *shares: str) -> bool:
        """Whether shares have joined on all partitions."""
        return all(share in state.joins for state in self.states() for share in shares)

    def until(self, holds: Callable[[], bool], seconds: float = _WAIT_SECONDS, pause: float = _PAUSE_SECONDS) -> None:
        """Wait until something holds. Raises ExchangeError with the end of the worker's log when it does not."""
        deadline = Deadline.after(seconds)
        while not holds():
            if deadline.passed or any(process.poll() is not None for process in self.workers.values()):
                raise ExchangeError("E_INTERNAL", f"it did not come to that:\n{self.log()[-4000:]}")
            threading.Event().wait(pause)

    def metrics(self) -> str:
        """What the worker that was started last shows at /metrics; empty while it does not answer."""
        _, listens, told = self.log().rpartition('"port": ')
        if not listens:
            return ""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{int(told.partition(',')[0])}/metrics", timeout=10
            ) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return ""

    def log(self) -> str:
        """What the workers have written."""
        file = self._folder / "worker.log"
        return file.read_text(encoding="utf-8") if file.exists() else ""
