"""Penalties from a department's table into the tables of three others: intake, both lines and sinks on a real Kafka.

Everything runs in threads of one process; the ledger stands still and its clock is set by hand, so that a publication
period can end. Two departments hold every penalty, the third, by the row scope of its grant, fines alone.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from exchange import names
from exchange.admission.factory import AdmissionFactory
from exchange.admission.rules import Rules
from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import quoted
from exchange.avro.subset import subset_schema
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.enforcement.wanted import wanted
from exchange.broker.evidence.books import Account, books
from exchange.broker.evidence.lag import Unread
from exchange.broker.evidence.line_states import LineStates
from exchange.broker.evidence.receipts import Receipts
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.catalogue.load import load
from exchange.clock import Deadline, SystemClock
from exchange.connect import sink, table
from exchange.connect.declare import Source
from exchange.connect.find import Connector, find
from exchange.delivery.cutting.pseudonym import MasterSecret
from exchange.delivery.ledger_shares import LedgerShares
from exchange.delivery.line import DeliveryFactory, Parts
from exchange.delivery.line_metrics import LineMetrics
from exchange.delivery.writers import writers_of
from exchange.demo.province.registers import Kind, generate
from exchange.handover.granted import Run
from exchange.handover.start import serve
from exchange.intake.start import open_line
from exchange.kafka.admin.admin import Acl, Admin, NewTopicSpec
from exchange.kafka.admin.topics import TopicKind, topic_config
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.reader import PartitionTail, read_to_end
from exchange.kafka.line.line import Line
from exchange.ledger.events.event import NewEvent
from exchange.ledger.state.ledger_state import Condition, LedgerState, Terms
from exchange.ledger.state.share_terms import terms_to_json
from exchange.names import Department, GrantId, RecordType, SchemaId, ShareName
from exchange.settings import ApiSettings, ConnectorSettings, KafkaSettings, Settings
from tests.harness.kafka.sink import TOKEN, BrokerService
from tests.harness.memory.ledger import MemoryLedger, SetClock
from tests.harness.source_tables import create, insert_dicts

TYPE: Final = RecordType("credit.penalty")
PROVIDER: Final = Department("market-regulation")
SOURCE: Final = f"{PROVIDER}.penalties"
FIELDS: Final = ("provider_code", "document_number", "subject_name", "kind", "content", "repair_state", "expires_at")
FINE: Final = "21"
"""Code of a fine in the code set penalty-kind."""
PARTITIONS: Final = 2
_WAIT_SECONDS = 40.0
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """A department with a grant of penalties."""

    department: Department
    scope: tuple[Condition, ...] = ()

    @property
    def share(self) -> ShareName:
        """Its share."""
        return ShareName(self.department)

    @property
    def grant(self) -> GrantId:
        """Its grant."""
        return GrantId(f"{self.department}-g")


@dataclass(frozen=True, slots=True)
class Servers:
    """What the harness stands on."""

    connection: Connection
    admin: Admin
    settings_for: Callable[[str], KafkaSettings]
    database: Callable[[str], str]


@dataclass(slots=True)
class _Still:
    """A ledger that stands still."""

    state: LedgerState

    def poll(self) -> bool:
        """Nothing changes."""
        return False


@dataclass(slots=True)
class CreditHarness:
    """A context: while it lasts, everything runs. unique: a word for the names of its departments and groups."""

    servers: Servers
    folder: Path
    unique: str
    clock: SetClock = field(default_factory=lambda: SetClock(SystemClock().now()))
    holders: list[Holder] = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)
    _stop: threading.Event = field(default_factory=threading.Event)
    _repository: SchemaRepository = field(init=False)
    _states: LineStates = field(init=False)
    _receipts: Receipts = field(init=False)
    _faults: list[BaseException] = field(default_factory=list)
    _share_schemas: dict[SchemaId, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fines = (Condition("kind", "equals", (FINE,)),)
        self.holders = [
            Holder(Department(f"{self.unique}-credit")),
            Holder(Department(f"{self.unique}-finance")),
            Holder(Department(f"{self.unique}-banks"), fines),
        ]

    def __enter__(self) -> Self:
        self._repository = SchemaRepository.load(Settings().schemas)
        ledger = self._ledger()
        told = wanted(ledger.state, self.clock.now(), PARTITIONS).topics
        self.servers.admin.create_topics([spec for name, spec in told.items() if name != names.LEDGER_TOPIC], 1)
        self._lines_started(_Still(ledger.state))
        self._source_started()
        for holder in self.holders:
            self._sink_started(holder)
        connection = self.servers.connection
        self._states = LineStates.on(connection)
        self._stack.callback(self._states.close)
        self._receipts = Receipts(lambda places: PartitionTail(connection, places))
        self._stack.callback(self._receipts.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._stack.close()

    def _ledger(self) -> MemoryLedger:
        """The catalogue with the one resource, and the shares."""
        catalogue = load(Settings().catalogue)
        ours = {c: one for c, one in catalogue.resources.items() if (one.record_type, one.provider) == (TYPE, PROVIDER)}
        ledger = MemoryLedger(self.clock)
        ledger.execute(ApplyCatalogue.of(catalogue.model_copy(update={"resources": ours})), "operator")
        ledger.execute(lambda _state, _now: [self._share(number) for number in range(len(self.holders))])
        return ledger

    def _share(self, number: int) -> NewEvent:
        holder, schema_id = self.holders[number], SchemaId(names.FIRST_LEDGER_SCHEMA_ID + number)
        schema = subset_schema(self._repository.latest(TYPE).schema, FIELDS, {}, "Penalties")
        self._share_schemas[schema_id] = schema
        terms = terms_to_json(Terms(TYPE, PROVIDER, FIELDS, scope=holder.scope))
        data = {"share": holder.share, "terms": terms, "schema_id": schema_id, "schema": schema, "master_version": 1}
        return NewEvent("share-created", holder.share, data)

    # what runs

    def _lines_started(self, ledger: Any) -> None:
        connection, code_sets = self.servers.connection, load_code_sets(Settings().schemas / FOLDER)
        admission = AdmissionFactory(connection, Rules(self._repository, code_sets, ledger, self.clock))
        master = MasterSecret({1: bytes(range(32))})
        writers = writers_of(self._repository)
        delivery = DeliveryFactory(Parts(connection, LedgerShares(ledger), writers, master, LineMetrics(SystemClock())))
        for line, factory in (("admission", admission), ("delivery", delivery)):
            worker = Line(connection, line, f"{self.unique}.{line}", self.unique, factory)
            self._in_thread(lambda worker=worker: worker.run(self._stop))  # type: ignore[misc]

    def _source_started(self) -> None:
        address = self.servers.database(self.unique)
        create(address, PROVIDER)
        today = self.clock.now().date()
        codes = {str(slug): one.credit_code for slug, one in load(Settings().catalogue).departments.items()}
        insert_dicts(address, "penalties", generate(400, codes, Kind(dirty=False, today=today)).rows[SOURCE])
        self.servers.admin.grant(
            [
                Acl(PROVIDER, "topic", names.inbox_topic(TYPE, PROVIDER), "write"),
                Acl(PROVIDER, "topic", names.faults_topic(PROVIDER), "write"),
            ]
        )
        connector = find(SOURCE)
        assert isinstance(connector.declaration, Source)
        line = open_line(connector, connector.declaration, self._settings(PROVIDER, address))
        self._stack.callback(line.close)
        self._in_thread(lambda: line.run(self._stop))

    def _sink_started(self, holder: Holder) -> None:
        owner, receipts = holder.department, names.receipt_topic(holder.grant)
        kinds = {receipts: TopicKind.RECEIPT, names.faults_topic(owner): TopicKind.FAULTS}
        self.servers.admin.create_topics([NewTopicSpec(name, 1, topic_config(kind)) for name, kind in kinds.items()], 1)
        rights = {names.share_topic(holder.share): "read", receipts: "write", names.faults_topic(owner): "write"}
        group = Acl(owner, "group", names.grant_group(holder.grant), "read")
        self.servers.admin.grant([group, *(Acl(owner, "topic", name, right) for name, right in rights.items())])
        service = BrokerService(self._share_schemas)
        self._stack.callback(service.close)
        service.grants = [self._grant(holder)]
        settings = self._settings(owner, self.servers.database(owner), service.url)
        declared = sink(TYPE, table("penalties"))
        connector = Connector(f"{owner}.penalties", owner, declared)
        self._in_thread(lambda: serve(connector, declared, settings, Run(self._stop)))

    def _grant(self, holder: Holder) -> dict[str, Any]:
        """The grant as the broker service would show it."""
        (schema_id,) = (id_ for id_, owner in zip(self._share_schemas, self.holders, strict=True) if owner == holder)
        return {
            "grant": holder.grant,
            "active": True,
            "provider": PROVIDER,
            "topic": names.share_topic(holder.share),
            "group": names.grant_group(holder.grant),
            "schema_id": schema_id,
            "pseudonymous": False,
        }

    def _settings(self, principal: Department, address: str, url: str = "") -> Settings:
        connector = {"database": address, "state_folder": self.folder, "poll_seconds": 0.2}
        return Settings(
            kafka=self.servers.settings_for(principal),
            api=ApiSettings.model_validate({"url": url, "token": TOKEN}),
            connector=ConnectorSettings.model_validate(connector),
            worker_id=principal,
        )

    def _in_thread(self, work: Callable[[], None]) -> None:
        def kept() -> None:
            try:
                work()
            except BaseException as fault:
                self._faults.append(fault)
                raise

        thread = threading.Thread(target=kept, daemon=True)
        thread.start()
        self._stack.callback(thread.join, _WAIT_SECONDS)

    # what can be asked

    def sql(self, department: Department, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement in a department's database; its rows, if it has any."""
        name = self.unique if department == PROVIDER else department
        address = self.servers.database(name).replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as session:
            done = session.execute(statement.encode(), parameters)
            return done.fetchall() if done.description else []

    def held(self, holder: Holder) -> set[str]:
        """The document numbers in a sink's table."""
        try:
            return {number for (number,) in self.sql(holder.department, "SELECT document_number FROM penalties")}
        except psycopg.errors.UndefinedTable:
            return set()

    def submitted(self, more: str = "") -> set[str]:
        """The document numbers in the provider's table that are not withdrawn. more: another condition."""
        question = f"SELECT document_number FROM penalties WHERE NOT withdrawn {more}"
        return {number for (number,) in self.sql(PROVIDER, question)}

    def records(self, topic: str, number: str) -> list[Message]:
        """What stands in a topic about a document, heartbeats not counted."""
        places = [(topic, partition) for partition in range(PARTITIONS)]
        found = read_to_end(self.servers.connection, places, Deadline.after(_WAIT_SECONDS))
        end = b"/" + quoted(number.encode())
        return [message for message in found if (message.key() or b"").endswith(end)]

    def books(self) -> dict[ShareName | None, Account]:
        """The books of admission (None) and of each share, with what the sinks say."""
        deadline = Deadline.after(_WAIT_SECONDS)
        self._states.refresh({TYPE: PARTITIONS}, deadline)
        self._receipts.refresh([names.receipt_topic(holder.grant) for holder in self.holders], deadline)
        readers = {holder.share: (holder.grant,) for holder in self.holders}
        return {account.share: account for account in books(self._states, self._receipts, readers, Unread())}

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        deadline = Deadline.after(_WAIT_SECONDS)
        while not holds():
            assert not deadline.passed
            assert not self._faults, self._faults
            threading.Event().wait(_PAUSE_SECONDS)
