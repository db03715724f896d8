"""A small running province for tests: the demo's parts with real dirt in the registers, and freshness in seconds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx

from exchange import names
from exchange import settings as settings_module
from exchange.avro.lock import SchemaRepository
from exchange.broker.evidence.line_states import LineStates, Unit
from exchange.clock import Deadline
from exchange.demo import agreement, databases
from exchange.demo.places import Places
from exchange.demo.platform import Platform
from exchange.demo.province import dirt
from exchange.demo.province.registers import TABLES
from exchange.demo.story import ACTS, Act
from exchange.intake.memory.look import state_of
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.client.reader import read_to_end
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.store.follower import read_ledger
from exchange.names import Department, RecordType, ShareName, TopicName
from exchange.web.client import ApiClient
from tests.harness.catalogues import changed_catalogue, with_persons

FRESHNESS_SECONDS = 4
"""Agreed freshness of the companies that taxation reads, and the update cycle of their register."""
WAIT_SECONDS = 90.0
_READ_SECONDS = 30.0
SOURCES = {
    "market-regulation.registrations": "legal-entity.registration",
    "public-security.residents": "population.resident",
    "health.deaths": "population.death",
}
"""The sources of the province, and what they publish."""
SINKS = {"taxation.companies": "legal-entity.registration", "human-resources.deaths": "population.death"}
"""The sinks of the province, and what they take."""
_DEMANDS = 3
"""As many of the demo's demands, from the first on: two that are granted to the sinks, and one that is refused."""
_QUICK = {"EXCHANGE_CONNECTOR__POLL_SECONDS": "0.2", "EXCHANGE_CONNECTOR__HEARTBEAT_SECONDS": "0.5"}
_RESOURCE = "\n[[resource]]\n"
_SLOW_CYCLE = 'record_type = "legal-entity.registration"'


class Province:
    """Kafka, PostgreSQL, the broker service, both lines, three sources and two sinks of five departments.

    The demands are those of the demo; taxation's freshness and the update cycle of its source are `FRESHNESS_SECONDS`.
    Usable as a context: it is started by `start` and stopped at the end.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """Everything lies under `folder`. settings: environment variables of every process, beside those of tests."""
        self.places = Places.choose(folder)
        catalogue = changed_catalogue(self.places.root / "catalogue", _quick)
        self.platform = Platform(self.places, {**_QUICK, **(settings or {}), "EXCHANGE_CATALOGUE": str(catalogue)})
        self._stack = ExitStack()

    def start(self, records: int) -> Self:
        """Start everything; return when every demand that was consented is being served and all has arrived.

        records: about how many rows the registers hold.
        """
        platform = self.platform
        platform.start_servers()
        platform.start_broker()
        self.connection = Connection.of(platform.kafka.admin_settings())
        self.admin = Admin(self.connection)
        self.schemas = SchemaRepository.load(settings_module.load().schemas)
        agreement.wait_ready(platform)
        self.operator = self._stack.enter_context(agreement.client(platform, self.places.secret_file("operator.token")))
        agreement.register_departments(self.operator, self.places, _departments())
        self.rows = databases.fill(platform, records, SOURCES, settings_module.load(), dirty=False)
        self.refused_rows = dirt.spill(self.sql)
        agreement.play(platform, _acts())
        platform.start_lines()
        for connector in (*SINKS, *SOURCES):
            platform.start_connector(connector)
        self._lines = self._stack.enter_context(_closing(LineStates.on(self.connection)))
        agreement.wait_serving(platform, self.operator, _acts())
        self.settle()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything; once more does nothing."""
        self._stack.close()
        self.platform.__exit__(None, None, None)

    @contextmanager
    def away(self, child: str) -> Iterator[None]:
        """While this lasts, a process is away: stopped gracefully, and started again at the end."""
        self.platform.children.stop(child)
        try:
            yield
        finally:
            self._start_again(child)

    def _start_again(self, child: str) -> None:
        if child == "deliver":
            self.platform.start_delivery()
        elif child == "admit":
            self.platform.start_admission()
        else:
            self.platform.start_connector(child)

    # asking

    @contextmanager
    def api(self, department: str) -> Iterator[ApiClient]:
        """The broker service, as a department."""
        with agreement.client(self.platform, self.places.secret_file(f"{department}.token")) as client:
            yield client

    def grant(self, demander: str) -> dict[str, Any]:
        """The grant of a demander, as the API shows it."""
        (found,) = self.operator.items("/v1/grants", demander=demander)
        return found

    def sql(self, department: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement in a department's own database; its rows, if it has any."""
        with databases.connect(self.platform, department) as session:
            done = session.execute(statement.encode(), parameters)
            return done.fetchall() if done.description else []

    def metrics(self, child: str) -> str:
        """What a process shows under /metrics. Raises httpx.HTTPError when it does not answer."""
        return httpx.get(self.platform.metrics(child), timeout=10, trust_env=False).raise_for_status().text

    def records(self, topic: TopicName) -> list[Message]:
        """Every committed record of a topic without heartbeats, each partition in its order, as the super user."""
        places: list[tuple[str, int]] = [(topic, number) for number in range(self.admin.topics()[topic])]
        found = read_to_end(self.connection, places, Deadline.after(_READ_SECONDS))
        return [message for message in found if message.key() != names.HEARTBEAT_KEY]

    def ledger(self) -> list[LedgerEvent]:
        """The ledger as it is now."""
        return list(read_ledger(self.connection, self.schemas))

    def books(self, record_type: str, share: str | None = None) -> dict[str, Any]:
        """The account of a record type at admission, or of a share, at the broker's last look."""
        items = self.operator.get("/v1/books")["items"]
        (found,) = [item for item in items if item["record_type"] == record_type and item["share"] == share]
        return dict(found)

    # waiting

    def wait(self, holds: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Return when `holds()`. Raises ExchangeError(E_EMBEDDED) when a child was given up or time runs out."""
        agreement.wait_until(holds, what, self.platform, seconds)

    def settle(self) -> None:
        """Return when every row has been read, checked, cut and handed over, and the broker's books say so."""
        self.wait(self._all_read, "the reading of the registers")
        inboxes = [names.inbox_topic(RecordType(kind), _owner(name)) for name, kind in SOURCES.items()]
        ends = self.admin.end_offsets(self._partitions(inboxes))
        self.wait(lambda: self._taken(ends), "the admission of what was submitted")
        self.wait(lambda: all(unit.in_flight == 0 for unit in self._units()), "the delivery of what was admitted")
        for sink in SINKS:
            self.wait(lambda sink=sink: self._handed_over(sink), f"the handover to {sink}")  # type: ignore[misc]
        self.wait(self._booked, "the broker's look at the books")

    def _all_read(self) -> bool:
        return all(self._read(name, TABLES[name]) for name in SOURCES)

    def _read(self, connector: str, table: str) -> bool:
        ((newest,),) = self.sql(_owner(connector), f"SELECT max(updated_at) FROM {table}")
        cursor = state_of(self.places.connectors, connector, "cursor")
        high = None if cursor is None else cursor["high"]
        return high is not None and datetime.fromisoformat(high[1]) >= newest

    def _taken(self, ends: dict[tuple[str, int], int]) -> bool:
        committed = self.admin.committed(names.ADMISSION_GROUP)
        return all(committed.get(place, 0) >= end for place, end in ends.items())

    def _units(self) -> list[Unit]:
        topics = self.admin.topics()
        types = [RecordType(name) for name in SOURCES.values()]
        self._lines.refresh({name: topics[names.delivery_topic(name)] for name in types}, Deadline.after(_READ_SECONDS))
        return [unit for name in types for unit in self._lines.units(name)]

    def _handed_over(self, sink: str) -> bool:
        share = ShareName(self.grant(_owner(sink))["share"])
        counts = [unit.delivery.counts[share] for unit in self._units() if share in unit.delivery.counts]
        ((applied,),) = self.sql(_owner(sink), "SELECT sum(upserted + deleted + faulty) FROM exchange_progress")
        return bool(applied == sum(count.forwarded + count.retracted for count in counts))

    def _booked(self) -> bool:
        taken = sum(unit.admission.taken for unit in self._units())
        items = self.operator.get("/v1/books")["items"]
        looked = sum(item["entries"]["taken"] for item in items if item["share"] is None)
        return looked >= taken and all(
            item["entries"]["in_flight"] == 0 and item["backfilling"] is None for item in items
        )

    def _partitions(self, topics: Sequence[TopicName]) -> list[tuple[str, int]]:
        counts = self.admin.topics()
        return [(topic, number) for topic in topics for number in range(counts[topic])]


def _owner(connector: str) -> Department:
    return Department(connector.partition(".")[0])


def _acts() -> list[Act]:
    """The demands of the demo; what taxation is granted shall be fresh within seconds."""
    consent = {"freshness_seconds": FRESHNESS_SECONDS}
    acts = ACTS[:_DEMANDS]
    return [
        replace(act, consent=consent, automatic=False) if act.provider == "market-regulation" else act for act in acts
    ]


def _departments() -> list[str]:
    return sorted({department for act in ACTS[:_DEMANDS] for department in (act.demander, act.provider)})


def _quick(resources: str) -> str:
    """Of the shipped resources those of the sources; the company register promises a sign of life within seconds."""
    head, *blocks = resources.split(_RESOURCE)
    ours = [f'record_type = "{kind}"\nprovider = "{_owner(name)}"\n' for name, kind in SOURCES.items()]
    kept = [block for block in blocks if any(words in block for words in ours)]
    quick = f"{_SLOW_CYCLE}\nupdate_cycle_seconds = {FRESHNESS_SECONDS}"
    return with_persons(_RESOURCE.join((head, *kept)).replace(_SLOW_CYCLE, quick))


@contextmanager
def _closing(lines: LineStates) -> Iterator[LineStates]:
    try:
        yield lines
    finally:
        lines.close()
