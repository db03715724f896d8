"""CPU per record of admission and of delivery for each record type: `python -m tests.bench.bench_types -n 20000`.

Real worker processes on the embedded Kafka, one line after the other. Every backlog becomes readable at one moment (one
transaction), after a smaller one to warm up; CPU is user and system time of the worker from then until everything has
been passed on. Records are generated rows with keys of their own. Of each type there is one share, without row scope,
of its key and the next fields up to eight; books and state are on, for personal types also the hashes of cuts.

Prints one table: bytes of a record, and of each line the median and the range of the rounds in µs.
"""

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exchange import names
from exchange.avro import Codec
from exchange.avro.lock import SchemaRepository
from exchange.avro.subset import subset_schema
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.enforcement.wanted import wanted
from exchange.catalogue.load import load
from exchange.clock import Deadline, SystemClock
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.embedded.processes import exchange_command
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.partitioner import partition_of
from exchange.kafka.client.producer import TransactionalProducer
from exchange.ledger.events.event import NewEvent
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.state.ledger_state import Terms
from exchange.ledger.state.share_terms import terms_to_json
from exchange.names import Department, RecordType, ShareName, TopicName
from exchange.record import Headers, frame, source_of
from exchange.settings import Settings
from tests.harness.distinct_records import SOURCES, Distinct
from tests.harness.memory.ledger import MemoryLedger

PARTITIONS = 2
SHARED_FIELDS = 8
PRINCIPALS = {"admit": names.ADMISSION, "deliver": names.DELIVERY}
_TICKS = os.sysconf("SC_CLK_TCK")
_FETCHED_SECONDS = 1.0
_WAIT_SECONDS = 120.0
_WARM_UP_PART = 5

Outgoing = tuple[TopicName, bytes, bytes, int, Headers | None]
"""(topic, key, value, partition, headers)."""


def provider_of(record_type: RecordType) -> Department:
    """The department whose records are taken."""
    return Department(SOURCES[record_type].partition(".")[0])


def share_of(record_type: RecordType) -> ShareName:
    """The one share of a record type."""
    return ShareName(record_type.replace(".", "-"))


class Harness:
    """A Kafka with one inbox, one registry and one share of each record type, and one worker at a time."""

    def __init__(self, folder: Path, kafka: EmbeddedKafka) -> None:
        settings = Settings()
        self.schemas = SchemaRepository.load(settings.schemas)
        self._folder, self._kafka = folder, kafka
        catalogue = load(settings.catalogue)
        self.distinct = Distinct(catalogue)
        sources = {(name, provider_of(name)) for name in SOURCES}
        ours = {code: one for code, one in catalogue.resources.items() if (one.record_type, one.provider) in sources}
        ledger = MemoryLedger()
        ledger.execute(ApplyCatalogue.of(catalogue.model_copy(update={"resources": ours})), "operator")
        ledger.execute(lambda _state, _now: list(self._shares()))
        connection = Connection.of(kafka.admin_settings())
        self.admin = Admin(connection)
        told = wanted(ledger.state, SystemClock().now(), PARTITIONS)
        self.admin.create_topics(list(told.topics.values()), 1)
        self.admin.grant(sorted(told.acls, key=str))
        for name in ("master", *PRINCIPALS):
            (folder / f"{name}.secret").write_text(secrets.token_urlsafe(32), encoding="utf-8")
        for line, principal in PRINCIPALS.items():
            self.admin.set_secret(principal, (folder / f"{line}.secret").read_text(encoding="utf-8"))
        # an inbox takes batches of at most 262,144 bytes, uncompressed
        self._producer = TransactionalProducer(connection, "bench", 60_000, batch_size=200_000)
        self._producer.start(Deadline.after(_WAIT_SECONDS))
        codec = EventCodec(self.schemas)
        self.write((names.LEDGER_TOPIC, b"bench", codec.encode(event), 0, None) for event in ledger.events)

    def _shares(self) -> Iterator[NewEvent]:
        for number, name in enumerate(SOURCES):
            schema = self.schemas.latest(name)
            assert schema.record is not None
            others = (rule.name for rule in schema.record.fields if rule.name not in schema.record.natural_key)
            fields = (*schema.record.natural_key, *others)[:SHARED_FIELDS]
            terms = Terms(name, provider_of(name), fields)
            data = {"share": share_of(name), "terms": terms_to_json(terms), "master_version": 1}
            data |= {"schema": subset_schema(schema.schema, fields, {}, "Share")}
            data |= {"schema_id": names.FIRST_LEDGER_SCHEMA_ID + number}
            yield NewEvent("share-created", share_of(name), data)

    def write(self, records: Iterable[Outgoing]) -> None:
        """Write records in one transaction."""
        self.flush(records)
        self.commit()

    def flush(self, records: Iterable[Outgoing]) -> None:
        """Begin a transaction and produce."""
        self._producer.begin()
        for topic, key, value, partition, about in records:
            self._produce(topic, value, key, partition, about)

    def commit(self) -> None:
        """Let what was flushed become readable."""
        self._producer.commit(Deadline.after(_WAIT_SECONDS))

    def _produce(self, topic: str, value: bytes, key: bytes, partition: int, about: Headers | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=about)
                return
            except BufferError:
                self._producer.poll(0.1)

    def start(self, line: str) -> subprocess.Popen[bytes]:
        """A worker of a line that is ready."""
        secret, log = self._folder / f"{line}.secret", self._folder / f"{line}.log"
        settings = self._kafka.settings(PRINCIPALS[line], secret)
        own = {
            "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
            "EXCHANGE_KAFKA__USERNAME": PRINCIPALS[line],
            "EXCHANGE_KAFKA__PASSWORD_FILE": str(secret),
            "EXCHANGE_MASTER_SECRET_FILE": str(self._folder / "master.secret"),
            "EXCHANGE_METRICS__PORT": "0",
            "EXCHANGE_WORKER_ID": "bench",
        }
        with log.open("wb") as out:
            worker = subprocess.Popen(exchange_command(line), env={**os.environ, **own}, stdout=out, stderr=out)
        deadline = Deadline.after(_WAIT_SECONDS)
        while not _ready(log):
            if deadline.passed or worker.poll() is not None:
                worker.kill()
                raise SystemExit(log.read_text(encoding="utf-8")[-4000:])
            threading.Event().wait(0.2)
        return worker

    def end_of(self, topic: TopicName) -> int:
        """Offsets of a topic so far: records and the few markers of transactions."""
        return sum(self.admin.end_offsets([(str(topic), number) for number in range(PARTITIONS)]).values())

    def put_aside(self) -> int:
        """What admission has put into quarantine."""
        places = [(str(names.quarantine_topic(owner)), 0) for owner in {provider_of(name) for name in SOURCES}]
        return sum(self.admin.end_offsets(places).values())


def _ready(log: Path) -> bool:
    port = log.read_text(encoding="utf-8").rpartition('"port": ')[2].partition(",")[0]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{int(port)}/readyz", timeout=10) as answer:
            return bool(answer.read() == b"ok\n")
    except (OSError, ValueError):
        return False


@dataclass(slots=True)
class Backlogs:
    """What the lines get to do, each record once. line: `admit` or `deliver`."""

    harness: Harness
    line: str
    sent: Counter[RecordType] = field(default_factory=Counter)

    def topics(self, record_type: RecordType) -> tuple[TopicName, TopicName]:
        """Where the line takes from and where it puts to."""
        registry = names.registry_topic(record_type)
        if self.line == "admit":
            return names.inbox_topic(record_type, provider_of(record_type)), registry
        return registry, names.share_topic(share_of(record_type))

    def make(self, record_type: RecordType, number: int) -> list[Outgoing]:
        """A backlog of records with new keys."""
        schema = self.harness.schemas.latest(record_type)
        assert schema.record is not None
        encode, head, topic = Codec(schema.schema).encode, frame(schema.id), self.topics(record_type)[0]
        found: list[Outgoing] = []
        first = self.sent[record_type]
        for serial, record in enumerate(self.harness.distinct.records(record_type, number, first), first):
            key = schema.record.key_of([record[part] for part in schema.record.natural_key])
            value = head + encode({rule.name: record.get(rule.name) for rule in schema.record.fields})
            about = self._headers(record_type, serial)
            found.append((topic, key, value, partition_of(key, PARTITIONS), about))
        self.sent[record_type] += number
        return found

    def _headers(self, record_type: RecordType, serial: int) -> Headers:
        named = {"ce_specversion": b"1.0", "ce_id": b"%032x" % serial}
        if self.line == "deliver":
            named["ce_source"] = source_of(provider_of(record_type))
        named |= {"ce_type": record_type.encode(), "ce_time": b"2026-11-24T00:00:00.000Z"}
        return [*named.items(), ("content-type", b"application/avro"), ("ce_sequence", b"%d" % (serial + 1))]


def measure(backlogs: Backlogs, worker: int, record_type: RecordType, number: int) -> tuple[float, float]:
    """(CPU microseconds a record, bytes a record) of one backlog."""
    records = backlogs.make(record_type, number)
    target = backlogs.topics(record_type)[1]
    before = backlogs.harness.end_of(target)
    backlogs.harness.flush(records)
    threading.Event().wait(_FETCHED_SECONDS)  # until what was flushed has been fetched and forgotten
    began = cpu_seconds(worker)
    backlogs.harness.commit()
    deadline = Deadline.after(_WAIT_SECONDS)
    while backlogs.harness.end_of(target) - before < number:
        if deadline.passed:
            raise SystemExit(f"{record_type}: {backlogs.harness.put_aside()} in quarantine, the rest is missing")
        threading.Event().wait(0.02)
    used = cpu_seconds(worker) - began
    return used / number * 1e6, statistics.mean(len(value) for _, _, value, _, _ in records)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measured(line: str, number: int, rounds: int) -> dict[RecordType, list[tuple[float, float]]]:
    """What the rounds of one line came to, on a Kafka of its own."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder) / "kafka").start() as kafka:
        return run(Harness(Path(folder), kafka), line, number, rounds)


def run(harness: Harness, line: str, number: int, rounds: int) -> dict[RecordType, list[tuple[float, float]]]:
    """The rounds of one line, the types in turn."""
    backlogs, worker = Backlogs(harness, line), harness.start(line)
    found: dict[RecordType, list[tuple[float, float]]] = {name: [] for name in SOURCES}
    try:
        for name in SOURCES:
            measure(backlogs, worker.pid, name, max(1, number // _WARM_UP_PART))
        for _ in range(rounds):
            for name in SOURCES:
                found[name].append(measure(backlogs, worker.pid, name, number))
                print(f"{line} {name}: {found[name][-1][0]:.1f} µs", file=sys.stderr, flush=True)
    finally:
        worker.terminate()
        worker.wait(_WAIT_SECONDS)
    return found


def told(costs: list[tuple[float, float]]) -> str:
    """Median and range."""
    micro = [cost for cost, _ in costs]
    return f"{statistics.median(micro):.1f} ({min(micro):.1f}–{max(micro):.1f})"


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-n", type=int, default=20_000, help="records of a type in one round")
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    admission, delivery = (measured(line, asked.n, asked.rounds) for line in PRINCIPALS)
    print("| record type | bytes | admission | delivery |\n| --- | --- | --- | --- |")
    for name in SOURCES:
        print(f"| `{name}` | {admission[name][0][1]:.0f} | {told(admission[name])} | {told(delivery[name])} |")


if __name__ == "__main__":
    main()
