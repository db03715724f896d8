"""The broker service: ledger, reconciler, evidence and books, each with its thread; only the leader acts.

Every instance reads the ledger and serves reads. The one that leads keeps Kafka in line with the ledger at every event
and on a timer, looks at real delivery, and takes commands.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from typing import Any

import exchange
from exchange import names
from exchange.avro.lock import SchemaRepository
from exchange.broker.corrections.desk import Corrections
from exchange.broker.corrections.store import KafkaCorrections
from exchange.broker.demands.automatic import ConsentUnconditional, consents_wait
from exchange.broker.departments.commands import AddDepartment, ApplyCatalogue, RotateSecret
from exchange.broker.enforcement.reconciler import Layout, Reconciler, Watch, falls_due
from exchange.broker.evidence.books import Account, books, publish, quarantine
from exchange.broker.evidence.line_states import LineStates
from exchange.broker.evidence.look import Evidence
from exchange.broker.evidence.reconciliations import Reconciliations
from exchange.broker.evidence.said import Listener, Said
from exchange.broker.heads import HeadLog
from exchange.broker.leader import AnnounceLeader
from exchange.broker.ledger_metrics import LedgerMetrics
from exchange.broker.preparation import admin_connection
from exchange.broker.quarantine.desk import Quarantine
from exchange.broker.seams import EXCHANGE, ClientAccess
from exchange.broker.snapshots import SnapshotKeeper
from exchange.catalogue.check import check as check_catalogue
from exchange.catalogue.load import load as load_catalogue
from exchange.clock import Clock, Deadline, Every, SystemClock
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin
from exchange.kafka.admin.quotas import Quota, set_quotas
from exchange.kafka.admin.topic_settings import set_topic_settings
from exchange.kafka.admin.topics import partitions_of
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.peek import Peeker
from exchange.kafka.client.reader import PartitionTail
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.snapshot.topic import snapshots_of
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.follower import read_ledger
from exchange.ledger.store.ledger_store import LedgerStore
from exchange.ledger.store.ledger_topic import LedgerTopic
from exchange.names import Department, GrantId, ShareName
from exchange.observe import metrics
from exchange.observe.logs import get_logger
from exchange.quarantine.store import KafkaQuarantineStore
from exchange.reconcile.cut import PSEUDONYM
from exchange.reconcile.desk import ShareDigests
from exchange.reconcile.share import ShareForm
from exchange.settings import Settings

_ENFORCE_SECONDS = 30.0
"""Pause between two looks at Kafka itself; events are acted on at once."""
_RETRY_SECONDS = 1.0
_COMMAND_SECONDS = 20.0
_FOLLOW_SECONDS = 0.5
_SNAPSHOT_SECONDS = 10.0
"""Pause between two looks at how old the newest snapshot is."""
_IDLE_SECONDS = 5.0
_IDLE_LOOKS = 5
"""While nothing happens evidence looks at every fifth turn only, and at least so often."""
_BUSY_SECONDS = 0.02
"""Pause between two looks at events that change nothing in Kafka."""
_ELECTION_SECONDS = 15.0
_MEASURE_SECONDS = 1.0
_MEASURE_PART = 10.0
"""Metrics are brought up to date every second, or less often where that takes more than this part of the time."""
_SECRET_BYTES = 32
_LEADERS_GAUGES = (
    metrics.BOOKS,
    metrics.BOOKS_DIFFERENCE,
    metrics.LINE_LAG_RECORDS,
    metrics.LINE_LAG_SECONDS,
    metrics.QUARANTINE,
    metrics.REPORTED_SET_ASIDE,
    metrics.REPORTED_SOURCES,
    metrics.RECONCILED_AT,
    metrics.RECONCILED_DIFFERENCES,
    metrics.SHARE_LAG,
    metrics.SOURCE_SILENCE,
)
_log = get_logger("exchange.broker")


class BrokerService:
    """All of the broker service but its HTTP side. `start` returns when the ledger is being read."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self.clock: Clock = clock or SystemClock()
        self.schemas = SchemaRepository.load(settings.schemas)
        self._connection = Connection.of(settings.kafka)
        self._super = admin_connection(settings.kafka)
        snapshots = snapshots_of(self._connection, settings.ledger)
        self._store = LedgerStore(
            self._connection,
            self.schemas,
            settings.worker_id,
            self.clock,
            LedgerTopic(events_per_day=settings.ledger.events_per_day),
            snapshots,
        )
        self._lines = LineStates.on(self._connection)
        self._admin = Admin(self._super)
        self.quarantine = Quarantine(
            self._store,
            KafkaQuarantineStore(self._connection, Admin(self._connection)),
            self.schemas,
            lambda: quarantine(self._lines),
        )
        self._written = KafkaCorrections(self._connection, Admin(self._connection))
        self.corrections = Corrections(self._store, self._written, self.clock)
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._settled = threading.Event()
        self._ends = Every(_FOLLOW_SECONDS)
        """Asks what time alone has ended."""
        self._digests = ShareDigests(self._connection)
        self._reconciliations: Reconciliations | None = None
        self._accounts: list[Account] | None = None
        self._absent: frozenset[GrantId] | None = None
        self._said: Said | None = None
        self._threads = [
            threading.Thread(target=self._enforce, name="enforcement", daemon=True),
            threading.Thread(target=self._observe, name="evidence", daemon=True),
            threading.Thread(target=self._measure, name="metrics", daemon=True),
        ]
        if snapshots is not None and settings.ledger.key_file is not None:
            keeper = SnapshotKeeper(snapshots, self._stop)
            self._threads.append(threading.Thread(target=self._keep, args=(keeper,), name="snapshots", daemon=True))

    @property
    def ledger(self) -> LedgerStore:
        """The ledger's store."""
        return self._store

    @property
    def access(self) -> ClientAccess:
        """How clients reach Kafka."""
        kafka = self._settings.kafka
        return ClientAccess(kafka.bootstrap_servers, kafka.security_protocol, kafka.sasl_mechanism)

    @property
    def supplement_pauses(self) -> bool:
        """Whether the reply's clock stands still while a demander adds what was asked for."""
        return self._settings.supplement_pauses

    @property
    def ready(self) -> bool:
        """Whether the ledger was read to its end and who leads is settled; a leader has brought Kafka in line once."""
        if self._store.failure is not None or not self._store.wait_ready(Deadline.after(0)):
            return False
        return self._settled.is_set() or time.monotonic() - self._started > _ELECTION_SECONDS

    def start(self) -> None:
        """Join the group of brokers and begin to work."""
        metrics.BUILD_INFO.set(1.0, exchange.__version__, version("confluent-kafka"))
        self._store.start()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop working and leave."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._store.close()
        self._lines.close()
        self._written.close()
        self._digests.close()

    # what the API asks

    def events(self) -> Iterable[LedgerEvent]:
        """Every event from the first one on, from the ledger read again."""
        return read_ledger(self._connection, self.schemas)

    def books(self) -> list[Account]:
        """The books at the last look of the leader. Raises ExchangeError(E_NOT_LEADER) elsewhere and before."""
        if not self._store.leader or self._accounts is None:
            raise ExchangeError("E_NOT_LEADER", "the books are kept by the leader, from its first look on")
        return self._accounts

    def resync_needed(self, grant: GrantId) -> bool | None:
        """Whether its grantee was away for longer than tombstones are kept; None where that is not looked at."""
        absent = self._absent
        return None if absent is None else grant in absent

    def said(self) -> Said | None:
        """What connectors say of themselves; None where that is not looked at."""
        return self._said

    def reconciled(self, grant: GrantId) -> dict[str, Any] | None:
        """What both halves of a reconciliation said last; None where that is not looked at."""
        seen = self._reconciliations
        return None if seen is None else seen.of(grant)

    def digests(self, share: ShareName, prefix: bytes, version: int | None) -> dict[str, Any] | None:
        """The digests of a share, as `ShareDigests.ask` gives them.

        Raises ExchangeError: E_UNKNOWN_SHARE for one that is deleted, E_DIGESTS, E_KAFKA_*.
        """
        entry = self._store.read(lambda state: state.shares.get(share))
        if entry is None or entry.deleted:
            raise ExchangeError("E_UNKNOWN_SHARE")
        topic = names.share_topic(share)
        count = partitions_of(entry.terms.record_type, self._settings.kafka.partitions)
        hidden = frozenset(name for name, mask in entry.terms.masks if mask == PSEUDONYM)
        form = ShareForm(topic, count, entry.schema_id, entry.schema, hidden, entry.terms.pseudonymous)
        return self._digests.ask(form, prefix, version)

    def add_department(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Make a department a Kafka principal. Its secret, or None when it was one already."""
        done = self._store.execute(AddDepartment(department), actor, command_id, Deadline.after(_COMMAND_SECONDS))
        return self._new_secret(department) if done.entities and not done.repeated else None

    def rotate_secret(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Give a department a new secret. None when the command was a repetition."""
        done = self._store.execute(RotateSecret(department), actor, command_id, Deadline.after(_COMMAND_SECONDS))
        return None if done.repeated else self._new_secret(department)

    def apply_catalogue(self, actor: str, command_id: str | None) -> int:
        """Bring the catalogue's files into the ledger; the number of events. Raises ExchangeError(E_CATALOGUE)."""
        catalogue = load_catalogue(self._settings.catalogue)
        records = {name: self.schemas.latest(name).record for name in self.schemas.record_types()}
        findings = check_catalogue(catalogue, {name: record for name, record in records.items() if record is not None})
        if findings:
            raise ExchangeError("E_CATALOGUE", "; ".join(findings))
        command = ApplyCatalogue.of(catalogue)
        return len(self._store.execute(command, actor, command_id, Deadline.after(_COMMAND_SECONDS)).entities)

    def _new_secret(self, department: str) -> str:
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._admin.set_secret(department, secret)
        return secret

    # the threads

    def _enforce(self) -> None:
        while not self._stop.is_set():
            if self._store.leader:
                self._attempt("enforcement", self._enforce_term)
            else:
                self._stop.wait(_FOLLOW_SECONDS)

    def _enforce_term(self) -> None:
        """While this instance leads: act on every event, and look at Kafka itself on a timer."""
        here = AnnounceLeader(self._settings.worker_id, self._settings.http.url)
        self._attempt(
            "announcement", lambda: self._store.execute(here, EXCHANGE, None, Deadline.after(_COMMAND_SECONDS))
        )
        self._attempt("catalogue", lambda: self.apply_catalogue(EXCHANGE, None))
        kafka = self._settings.kafka
        reconciler = Reconciler(
            self._admin,
            self._store,
            self.schemas,
            Layout(kafka.replication, kafka.partitions),
            Watch(self.clock, self._lines.in_flow, self._limit, partial(set_topic_settings, self._super)),
        )
        looks, head = Every(_ENFORCE_SECONDS), HeadLog(self.clock)
        seen: int | None = None
        enforced: int | None = None
        while self._store.leader and not self._stop.is_set():
            due = looks.due
            seq = self._store.wait(seen or 0, 0 if due or enforced is None else _FOLLOW_SECONDS)
            self._store.read(head.note)
            if due:
                reconciler.look()
                looks.done()
            if seq != seen:
                self._attempt("consents", self._consent)
            changed = self._store.read(lambda state: state.enforced)
            if due or changed != enforced or self._falls_due():
                # Events that came meanwhile, also its own, make the next pass.
                enforced = changed if reconciler.reconcile() else None
                if enforced is None:
                    self._stop.wait(_RETRY_SECONDS)
                else:
                    self._settled.set()
            elif seq != seen:
                self._stop.wait(_BUSY_SECONDS)
            seen = seq

    def _falls_due(self) -> bool:
        """Whether time alone has ended something; looked at now and then, however many events come."""
        if not self._ends.due:
            return False
        self._ends.done()
        return self._store.read(lambda state: falls_due(state, self.clock.now()))

    def _consent(self) -> None:
        """Grant what is shared without conditions."""
        if self._store.read(lambda state: consents_wait(state, self.clock.now())):
            command = ConsentUnconditional(self.schemas)
            self._store.execute(command, EXCHANGE, None, Deadline.after(_COMMAND_SECONDS))

    def _keep(self, keeper: SnapshotKeeper) -> None:
        while not self._stop.wait(_SNAPSHOT_SECONDS):
            if self._store.leader:
                self._attempt("snapshot", lambda: keeper.look(self._store.wait(0, 0)))

    def _observe(self) -> None:
        while not self._stop.is_set():
            if self._store.leader:
                self._attempt("evidence", self._observe_term)
            else:
                self._stop.wait(_FOLLOW_SECONDS)

    def _observe_term(self) -> None:
        """While this instance leads: look at real delivery and keep the books."""
        kafka, peeker = Admin(self._connection), Peeker(self._connection)
        listener = Listener(lambda places: PartitionTail(self._connection, places))
        evidence = Evidence(kafka, peeker, self._lines, self._store, self.clock, listener)
        try:
            while self._store.leader and not self._stop.is_set():
                evidence.look()
                self._absent, self._said = evidence.absent, evidence.said
                self._attempt("corrections", self.corrections.watch)
                listener.reconciliations.publish(self._store.read(_providers))
                self._reconciliations = listener.reconciliations
                self._accounts = books(self._lines, listener.receipts, self._store.read(_readers), evidence.unread)
                publish(self._accounts, self.quarantine.waiting())
                self._rest(evidence.moved)
        finally:
            peeker.close()
            listener.close()
            self._accounts = self._absent = self._said = self._reconciliations = None
            for family in _LEADERS_GAUGES:
                family.replace({})  # the next leader shows them; two that differ would be worse than one

    def _measure(self) -> None:
        """Keep the metrics that are views of the ledger up to date, whether anybody asks for them or not."""
        shown = LedgerMetrics()
        while not self._stop.is_set() and not self._store.wait_ready(Deadline.after(_FOLLOW_SECONDS)):
            pass  # what is counted of half a ledger is nobody's figure
        while not self._stop.is_set():
            begun = time.monotonic()
            self._attempt("metrics", lambda: shown.refresh(self._store.read, self.clock.now()))
            self._stop.wait(max(_MEASURE_SECONDS, _MEASURE_PART * (time.monotonic() - begun)))

    def _rest(self, moved: bool) -> None:
        """Between two looks: longer while nothing happens anywhere, but no longer than until the next event."""
        seconds = self._settings.evidence_seconds
        seen = self._store.read(lambda state: state.seq)
        if self._stop.wait(seconds) or moved or seconds >= _IDLE_SECONDS:
            return
        idle = Deadline.after(min(_IDLE_LOOKS * seconds, _IDLE_SECONDS) - seconds)
        while not self._stop.is_set() and self._store.leader and not idle.passed:
            if self._store.wait(seen, min(_FOLLOW_SECONDS, idle.remaining())) > seen:
                return

    def _attempt(self, what: str, work: Callable[[], object]) -> None:
        """Do some work; log what fails and leave it to the next attempt."""
        try:
            work()
        except ExchangeError as error:
            if error.code != "E_NOT_LEADER":
                _log.error("broker.failed", what=what, code=error.code, detail=error.detail)
            self._stop.wait(_RETRY_SECONDS)
        except Exception:
            _log.exception("broker.fault", what=what)
            self._stop.wait(_RETRY_SECONDS)

    def _limit(self, departments: list[Department]) -> None:
        quota = Quota(self._settings.quota.publish_bytes, self._settings.quota.consume_bytes)
        set_quotas(self._super, dict.fromkeys(departments, quota))


def _providers(state: LedgerState) -> dict[GrantId, Department]:
    """The provider of each running grant."""
    return {grant.grant: grant.terms.provider for grant in state.running.values()}


def _readers(state: LedgerState) -> dict[ShareName, list[GrantId]]:
    """The grants of each share, also those that have ended."""
    found: dict[ShareName, list[GrantId]] = {}
    for grant in state.grants.values():
        if grant.share is not None:
            found.setdefault(grant.share, []).append(grant.grant)
    return found
