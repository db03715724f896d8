"""A Kafka brought in line with a ledger in memory: what enforcement and evidence are tested on."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue
from exchange.broker.enforcement.reconciler import Layout, Reconciler, Watch, bootstrap
from exchange.broker.enforcement.wanted import wanted
from exchange.catalogue.load import load
from exchange.clock import Deadline
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.kafka.admin.admin import Admin
from exchange.kafka.admin.quotas import Quota, set_quotas
from exchange.kafka.admin.topic_settings import set_topic_settings
from exchange.kafka.client.connection import Connection
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.names import Department, ShareName
from exchange.settings import KafkaSettings, Settings
from tests.harness.memory.ledger import MemoryLedger

ENTERPRISES = "102001/0001"
DEATHS = "101002/0001"
SECRETS = {principal: f"secret-of-{principal}" for principal in (names.ADMISSION, names.DELIVERY, names.BROKER)}
PARTITIONS = 2
QUOTA = Quota(1_000_000, 2_000_000)
_SECONDS = 20.0
_PAUSE_SECONDS = 0.02
_ledgers = itertools.count(1)


@contextmanager
def prepared_kafka(folder: Path) -> Iterator[EmbeddedKafka]:
    """A running Kafka with the ledger's topic and our own principals. Not to be shared: see `Bus`."""
    with EmbeddedKafka(folder).start() as kafka:
        bootstrap(Admin(Connection.of(kafka.admin_settings())), SECRETS, 1)
        yield kafka


def until(holds: Callable[[], bool], what: str, seconds: float = _SECONDS) -> None:
    """Return when something holds. Raises AssertionError when it does not in time."""
    deadline = Deadline.after(seconds)
    while not holds():
        assert not deadline.passed, what
        threading.Event().wait(_PAUSE_SECONDS)


@dataclass
class Bus:
    """A ledger in memory with the shipped catalogue, a Kafka, and the reconciler between them.

    The reconciler removes what its own ledger does not explain: no other test may use the same Kafka meanwhile.
    """

    kafka: EmbeddedKafka
    schemas: SchemaRepository = field(default_factory=lambda: SchemaRepository.load(Settings().schemas))
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    in_flow: set[ShareName] = field(default_factory=set)
    """Shares that a delivery line still has."""
    lost: set[str] = field(default_factory=set)
    """Topics that `settle` does not wait for."""
    admin: Admin = field(init=False)
    reconciler: Reconciler = field(init=False)

    def __post_init__(self) -> None:
        self.admin = Admin(Connection.of(self.settings))
        # no share of another ledger on this Kafka has its name
        self.ledger.state.next_schema_id += 1000 * next(_ledgers)
        self.ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)))
        self.reconciler = self.new_reconciler(self.ledger)

    def new_reconciler(self, ledger: MemoryLedger) -> Reconciler:
        """A reconciler that has not looked at Kafka yet."""
        connection = Connection.of(self.settings)

        def limit(departments: list[Department]) -> None:
            set_quotas(connection, dict.fromkeys(departments, QUOTA))

        mend = partial(set_topic_settings, connection)
        watch = Watch(ledger.clock, self.in_flow.__contains__, limit, mend, let_go_seconds=0.0, lost_seconds=0.0)
        return Reconciler(self.admin, ledger, self.schemas, Layout(1, PARTITIONS), watch)

    @property
    def settings(self) -> KafkaSettings:
        """How the super user reaches Kafka."""
        return self.kafka.admin_settings()

    def register(self, *departments: Department) -> None:
        """Make departments principals; see `connection`."""
        for department in departments:
            self.ledger.execute(AddDepartment(department))
            self.admin.set_secret(department, f"secret-of-{department}")

    def grant(self, demander: Department, resource: str = ENTERPRISES, **asked: Any) -> GrantEntry:
        """A grant of fields of a resource, consented and not yet placed."""
        stated: dict[str, Any] = {
            "legal_basis": "a law",
            "scenario": f"scenario {self.ledger.state.seq}",
            "use_scope": "all",
            "mode": "batch-exchange",
        }
        fields = asked.pop("fields", ("credit_code", "name"))
        command = SubmitDemand(
            demander=demander, resource=resource, fields=fields, **stated, **asked, schemas=self.schemas
        )
        demand = self.ledger.execute(command).entities[0]
        provider = self.ledger.state.resources[resource].provider
        self.ledger.execute(ConsentDemand(demand=demand, by=provider, schemas=self.schemas))
        return self.ledger.state.grants[self.ledger.state.demands[names.DemandId(demand)].grants[-1]]

    def settle(self) -> None:
        """Reconcile until nothing is left to do, and until Kafka shows what was made."""
        assert self.reconciler.reconcile()
        before = self.ledger.state.seq
        assert self.reconciler.reconcile()
        assert self.ledger.state.seq == before
        made = wanted(self.ledger.state, self.ledger.clock.now(), PARTITIONS).topics.keys() - self.lost
        until(lambda: made <= self.admin.topics().keys(), "topics are there")

    def connection(self, principal: str) -> Connection:
        """The connection of a department that was registered here, or of one of our own principals."""
        return Connection.as_principal(self.settings, principal, f"secret-of-{principal}")
