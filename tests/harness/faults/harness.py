"""What the fault suite runs on: a Kafka, a ledger with eight shares, publisher, admission and delivery as processes."""

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.enforcement.reconciler import bootstrap
from exchange.broker.enforcement.wanted import share_spec, wanted
from exchange.catalogue.load import load
from exchange.catalogue.model import Catalogue
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka, KafkaOptions
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.ledger.events.event import NewEvent
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.state.ledger_state import Condition, LedgerState, Terms
from exchange.ledger.state.share_terms import terms_to_json
from exchange.names import RecordType, ShareName, TopicName
from exchange.settings import Settings
from tests.harness.faults.plan import COMPANIES, DEATHS, PROVIDERS, RESIDENTS
from tests.harness.faults.publisher import arrived
from tests.harness.faults.workers import Workers
from tests.harness.memory.ledger import MemoryLedger

PARTITIONS = 2
WORKERS = (1, 2)
_SECONDS = 60.0
_ROOT = Path(__file__).parents[3]
"""Where a process finds `tests`, whatever folder it is started in."""


@dataclass(frozen=True, slots=True)
class Granted:
    """One share of the suite, in plain words for the recount."""

    share: str
    record_type: RecordType
    fields: tuple[str, ...]
    regions: tuple[str, ...] = ()
    """Values of `region` in scope; none: all rows."""
    pseudonymous: bool = False
    late: bool = False
    """Granted in the middle of the run."""

    @property
    def terms(self) -> Terms:
        """As the ledger has it."""
        scope: tuple[Condition, ...] = ()
        if self.regions:
            scope = (Condition("region", "equals" if len(self.regions) == 1 else "in", self.regions),)
        provider = PROVIDERS[self.record_type]
        return Terms(self.record_type, provider, self.fields, scope=scope, pseudonymous=self.pseudonymous)


_COMPANY = ("credit_code", "name", "established", "region", "status", "authority_code", "approved", "entity_type")
_DEATH = ("provider_code", "resident_id", "name", "death_date")
SHARES = (
    Granted("all", COMPANIES, _COMPANY),
    Granted("names", COMPANIES, ("credit_code", "name")),
    Granted("city", COMPANIES, _COMPANY, ("340800",)),
    Granted("cities", COMPANIES, ("credit_code", "name", "region"), ("340100", "340200")),
    Granted("deaths", DEATHS, _DEATH),
    Granted("hidden", RESIDENTS, ("name", "household_region"), pseudonymous=True),
    Granted("late-companies", COMPANIES, _COMPANY, late=True),
    Granted("late-deaths", DEATHS, (*_DEATH, "source"), late=True),
)


@dataclass
class FaultHarness:
    """Makes what `exchange serve` would make, then starts what is asked for."""

    kafka: EmbeddedKafka
    workers: Workers
    shares: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The schema of each share that was granted."""
    granted_at: dict[tuple[str, int], int] = field(default_factory=dict)
    """Where the registries ended when the late shares were granted."""

    def __post_init__(self) -> None:
        self.schemas = SchemaRepository.load(Settings().schemas)
        self.connection = Connection.of(self.kafka.admin_settings())
        self.admin = Admin(self.connection)
        self._ledger = MemoryLedger()
        self._events = EventCodec(self.schemas)
        self._said = 0
        self._secrets = {who: secrets.token_urlsafe(32) for who in (names.ADMISSION, names.DELIVERY, names.BROKER)}
        for who, secret in (*self._secrets.items(), ("master", secrets.token_urlsafe(32))):
            (self.workers.folder / f"{who}.secret").write_text(secret, encoding="utf-8")
        bootstrap(self.admin, self._secrets, self.kafka.replication)
        self._producer = IdempotentProducer(self.connection)
        self._ledger.execute(ApplyCatalogue.of(_catalogue()), "operator")
        state, now = self._ledger.state, self._ledger.clock.now()
        specs = [spec for name, spec in wanted(state, now, PARTITIONS).topics.items() if name != names.LEDGER_TOPIC]
        self.admin.create_topics(specs, self.kafka.replication)
        self._tell()

    def grant(self, *shares: Granted) -> None:
        """Make the shares' topics, then let the ledger say that there are these shares."""
        specs = [share_spec(ShareName(one.share), one.record_type, PARTITIONS) for one in shares]
        self.admin.create_topics(specs, self.kafka.replication)
        for one in shares:
            schema = subset_schema(self.schemas.latest(one.record_type).schema, one.fields, {}, "Share")
            self.shares[one.share] = schema
            data = {"share": one.share, "terms": terms_to_json(one.terms), "schema": schema, "master_version": 1}

            def created(state: LedgerState, _now: Any, data: dict[str, Any] = data) -> Sequence[NewEvent]:
                told = data | {"schema_id": state.next_schema_id}
                return [NewEvent("share-created", data["share"], told)]

            self._ledger.execute(created)
        self._tell()

    def grant_late(self) -> None:
        """Grant the shares that are started in the middle."""
        for record_type in {one.record_type for one in SHARES if one.late}:
            self.granted_at |= self.ends(names.registry_topic(record_type))
        self.grant(*(one for one in SHARES if one.late))

    def _tell(self) -> None:
        for event in self._ledger.events[self._said :]:
            self._producer.send(names.LEDGER_TOPIC, event.entity.encode(), self._events.encode(event))
        self._said = len(self._ledger.events)
        self._producer.flush(Deadline.after(_SECONDS))

    def environment(self, principal: str) -> dict[str, str]:
        """The settings of a process of that principal."""
        secret = self.workers.folder / f"{principal}.secret"
        settings = self.kafka.settings(
            principal, self.kafka.admin_password_file if principal == names.ADMIN else secret
        )
        return {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": principal,
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(settings.password_file),
            "EXCHANGE_MASTER_SECRET_FILE": str(self.workers.folder / "master.secret"),
            "EXCHANGE_METRICS__PORT": "0",
        }

    def start_worker(self, line: str, number: int, name: str = "") -> str:
        """Start a worker of `admit` or `deliver`; its name. Two names may have one number: twins."""
        principal = names.ADMISSION if line == "admit" else names.DELIVERY
        own = self.environment(principal) | {"EXCHANGE_WORKER_ID": f"{line}-{number}"}
        name = name or f"{line}-{number}"
        self.workers.start(name, [sys.executable, "-m", "exchange", line], own)
        return name

    def start_publisher(self, seed: int, size: int, keys: int, rate: int) -> None:
        """Start publishing a plan."""
        self.progress = self.workers.folder / "publisher.progress"
        arguments = [*map(str, (seed, size, keys, rate)), str(self.progress)]
        command = [sys.executable, "-m", "tests.harness.faults.publisher", *arguments]
        self.workers.start("publisher", command, {**self.environment(names.ADMIN), "PYTHONPATH": str(_ROOT)})

    @property
    def published(self) -> int:
        """How many versions have arrived in the inboxes for certain."""
        return arrived(self.progress)

    def ends(self, topic: TopicName) -> dict[tuple[str, int], int]:
        """Where the partitions of a topic end now."""
        return self.admin.end_offsets([(topic, partition) for partition in range(PARTITIONS)])


def _catalogue() -> Catalogue:
    """The shipped one without the resources that nobody publishes here."""
    shipped = load(Settings().catalogue)
    ours = {code: one for code, one in shipped.resources.items() if PROVIDERS.get(one.record_type) == one.provider}
    return shipped.model_copy(update={"resources": ours})


@contextmanager
def running(folder: Path, nodes: int, workers: tuple[int, ...] = WORKERS) -> Iterator[FaultHarness]:
    """A Kafka, the shares of the first hour, and so many workers of each line; all of it is ended at the end."""
    with EmbeddedKafka(folder / "kafka", KafkaOptions(nodes=nodes)).start() as kafka:
        (folder / "workers").mkdir()
        children = Workers(folder / "workers")
        try:
            harness = FaultHarness(kafka, children)
            harness.grant(*(one for one in SHARES if not one.late))
            for number in workers:
                for line in ("admit", "deliver"):
                    harness.start_worker(line, number)
            yield harness
        finally:
            children.close()
