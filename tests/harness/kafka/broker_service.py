"""A broker service at work in this process and a real delivery worker, on a Kafka of their own; registries by hand."""

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, Self

from exchange import names
from exchange.avro import Codec
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.state import grant_state
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.preparation import prepare
from exchange.broker.service import BrokerService
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Acl, Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer, TransactionalProducer
from exchange.kafka.client.reader import read_to_end
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.ledger.store.command import Command
from exchange.names import DemandId, Department, GrantId, RecordType, ShareName
from exchange.record import FRAME_BYTES, Headers, frame, source_of
from exchange.settings import KafkaSettings, Settings
from tests.harness.catalogues import changed_catalogue, with_persons

TYPE = RecordType("legal-entity.registration")
PROVIDER = Department("market-regulation")
RESOURCE = "102001/0001"
PARTITIONS = 2
_WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.05
_COMMAND_SECONDS = 20.0
_FIELDS = (
    "entity_type",
    "legal_representative",
    "capital_text",
    "capital_amount",
    "capital_currency",
    "business_scope",
    "address",
    "approved",
    "revoked",
    "old_number",
)
"""Fields of the record type that may be absent."""
_STATED = {"legal_basis": "a law", "use_scope": "the province", "mode": "batch-exchange"}


def company(number: int, **fields: Any) -> dict[str, Any]:
    """A record of the register of companies; what is not given is not known."""
    given: dict[str, Any] = dict.fromkeys(_FIELDS)
    given |= {"credit_code": f"C{number:05}", "name": f"company {number}", "status": "1", "region": "340000"}
    given |= {"established": date(2003, 5, 6), "registration_authority": "an authority", "authority_code": "340000"}
    return given | fields


class Office:
    """A context manager. Commands go to the broker service, records straight into the registry, as admission does."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka) -> None:
        self._folder, self._kafka = folder, kafka
        kafka_settings = kafka.admin_settings().model_copy(
            update={"replication": 1, "partitions": PARTITIONS, "admin_password_file": kafka.admin_password_file}
        )
        prepare(kafka_settings, folder)
        (folder / "master.secret").write_text(secrets.token_urlsafe(32), encoding="utf-8")
        own = self._as(names.BROKER, kafka_settings)
        catalogue = changed_catalogue(folder / "catalogue", with_persons)
        self.settings = Settings(kafka=own, catalogue=catalogue, evidence_seconds=0.2, worker_id="office")
        self.service = BrokerService(self.settings)
        self.connection = Connection.of(kafka.admin_settings())
        self.admin = Admin(self.connection)
        self.secrets: dict[str, str] = {}
        self._worker: subprocess.Popen[bytes] | None = None
        schema = self.service.schemas.latest(TYPE)
        self._codec, self._frame = Codec(schema.schema), frame(schema.id)
        self._number = 0

    def __enter__(self) -> Self:
        self.service.start()
        self.until(lambda: self.service.ready and self.service.ledger.leader, "the service leads")
        self._writer = TransactionalProducer(self.connection, "office", 60_000, batch_size=400_000)
        self._writer.start(Deadline.after(_WAIT_SECONDS))
        self.register(PROVIDER)
        self.start_worker()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_worker()
        self._writer.close()
        self.service.close()

    def _as(self, principal: str, settings: KafkaSettings) -> KafkaSettings:
        file = self._folder / f"{principal}.secret"
        return settings.model_copy(update={"username": principal, "password_file": file})

    # the line

    def start_worker(self) -> None:
        """Start the delivery worker."""
        settings = self._as(names.DELIVERY, self._kafka.admin_settings())
        own = {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": names.DELIVERY,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(settings.password_file),
            "EXCHANGE_MASTER_SECRET_FILE": str(self._folder / "master.secret"),
            "EXCHANGE_METRICS__PORT": "0",
            "EXCHANGE_WORKER_ID": "office-delivery",
        }
        with (self._folder / "deliver.log").open("ab") as log:
            command = [sys.executable, "-m", "exchange", "deliver"]
            self._worker = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)

    def stop_worker(self) -> None:
        """End the delivery worker at once."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            self._worker = None

    def write(self, rows: Iterable[dict[str, Any]], keys: Iterable[str] = ()) -> None:
        """Put rows into the registry, and take `keys` out of it."""
        self._writer.begin()
        for row in rows:
            self._produce(row["credit_code"], self._frame + self._codec.encode(row))
        for key in keys:
            self._produce(key, None)
        self._writer.commit(Deadline.after(_WAIT_SECONDS))

    def _produce(self, key: str, value: bytes | None) -> None:
        self._number += 1
        topic, partition = names.registry_topic(TYPE), sum(key.encode()) % PARTITIONS
        self._writer.produce(topic, value, key.encode(), partition, headers=_headers(self._number))

    # departments

    def register(self, department: Department) -> None:
        """Make a department a principal that can log in."""
        secret = self.service.add_department(department, "operator", None)
        if secret is not None:
            self.secrets[department] = secret

    def heartbeat(self) -> None:
        """A sign of life of the source."""
        producer = IdempotentProducer(self.login(PROVIDER))
        producer.send(names.inbox_topic(TYPE, PROVIDER), names.HEARTBEAT_KEY, None)
        producer.flush(Deadline.after(_WAIT_SECONDS))
        producer.close()

    def login(self, department: Department) -> Connection:
        """The connection of a department."""
        return Connection.as_principal(self.settings.kafka, department, self.secrets[department])

    def client(self, department: Department, group: str, **options: Any) -> dict[str, Any]:
        """The configuration of a consumer of a department that knows nothing of ours but group and topic."""
        usual = {"auto_offset_reset": "earliest", "isolation_level": "read_committed", "enable_auto_commit": False}
        return self.login(department).config(group_id=group, session_timeout_ms=6000, **(usual | options))

    # grants

    def execute(self, command: Command, actor: str = "operator") -> tuple[str, ...]:
        """Let the ledger's leader decide a command; the entities of its events."""
        return self.service.ledger.execute(command, actor, None, Deadline.after(_COMMAND_SECONDS)).entities

    def consent(
        self,
        demander: Department,
        asked: tuple[str, ...],
        fields: tuple[str, ...] | None = None,
        replaces: GrantId | None = None,
    ) -> GrantId:
        """A grant of `fields` (else of all that is asked), which is active; perhaps in the place of another one."""
        self.register(demander)
        schemas = self.service.schemas
        stated: dict[str, Any] = {**_STATED, "scenario": f"a duty that needs {', '.join(asked)}"}
        if replaces is not None:
            before = self.service.ledger.read(lambda state: state.demands[state.grants[replaces].demand])
            stated |= {"scenario": before.details["scenario"], "replaces": before.demand}
        submitted = SubmitDemand(demander=demander, resource=RESOURCE, fields=asked, **stated, schemas=schemas)
        demand = DemandId(self.execute(submitted, demander)[0])
        self.execute(ConsentDemand(demand=demand, by=PROVIDER, fields=fields, schemas=schemas), PROVIDER)
        (grant,) = self.service.ledger.read(lambda state: tuple(state.demands[demand].grants))
        self.until(lambda: self.entry(grant).active, f"{grant} is active")
        return grant

    def entry(self, grant: GrantId) -> GrantEntry:
        """A grant as the ledger knows it. It changes with the ledger."""
        return self.service.ledger.read(lambda state: state.grants[grant])

    def state(self, grant: GrantId) -> str:
        """The state of a grant as its demand shows it."""
        return grant_state(self.entry(grant)).value

    def rights(self, topic: str) -> set[Acl]:
        """Every right on a name."""
        return {acl for acl in self.admin.acls() if acl.name == topic and not acl.prefixed}

    # shares

    def content(self, share: ShareName) -> dict[str, dict[str, Any]]:
        """The newest value of each key that stands in a share."""
        schema = self.service.ledger.read(lambda state: state.shares[share].schema)
        decode = Codec(schema).decode
        topic = names.share_topic(share)
        if topic not in self.admin.topics():
            return {}
        places: list[tuple[str, int]] = [(topic, number) for number in range(PARTITIONS)]
        found: dict[str, dict[str, Any]] = {}
        for message in read_to_end(self.connection, places, Deadline.after(_WAIT_SECONDS)):
            key, value = (message.key() or b"").decode(), message.value()
            found.pop(key, None)
            if value is not None:
                found[key] = decode(value[FRAME_BYTES:])
        return found

    def until(self, holds: Callable[[], bool], what: str, seconds: float = _WAIT_SECONDS) -> None:
        """Return when something holds. Raises AssertionError when it does not in time."""
        deadline = Deadline.after(seconds)
        while not holds():
            if deadline.passed:
                log = self._folder / "deliver.log"
                tail = log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""
                raise AssertionError(f"not in time: {what}\n{tail}")
            threading.Event().wait(_PAUSE_SECONDS)


def _headers(number: int) -> Headers:
    named = {"ce_specversion": b"1.0", "ce_id": b"id.%d" % number, "ce_source": source_of(PROVIDER)}
    named |= {"ce_type": TYPE.encode(), "ce_time": b"2026-11-24T00:00:00Z", "content-type": b"application/avro"}
    return [*named.items(), ("ce_sequence", b"%d" % number)]
