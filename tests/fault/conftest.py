"""An independent recount of what admission and delivery made of a plan: its own reader, its own Avro, its own sums."""

import copy
import json
import logging
import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import pytest
import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from exchange.names import RecordType
from exchange.settings import KafkaSettings
from exchange.testing.fault_ground import PARTITIONS, SHARES, FaultGround, Granted
from exchange.testing.fault_plan import INBOXES, PROVIDERS, Plan
from exchange.testing.fault_weather import Judges, Weather, blow

SEED = int(os.environ.get("EXCHANGE_FAULT_SEED") or secrets.randbelow(1_000_000))
VERSIONS = int(os.environ.get("EXCHANGE_FAULT_VERSIONS") or 300_000)
ROUNDS = int(os.environ.get("EXCHANGE_FAULT_ROUNDS") or 30)
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
RESIDENT_ID = re.compile(rb"3499\d{13}[\dX]")
Seen = list[tuple[int, int | None]]
"""(sequence, hash of the cut, None for a tombstone) of one key, in order."""


class Found(NamedTuple):
    """One committed record."""

    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def sequence(self) -> int:
        return int(dict(self.headers)["ce_sequence"])


def new_consumer(settings: KafkaSettings, isolation: str = "read_committed") -> Consumer:
    """A reader without a group."""
    assert settings.password_file is not None
    return Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "security.protocol": settings.security_protocol,
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": settings.username,
            "sasl.password": settings.password_file.read_text(encoding="utf-8").strip(),
            "group.id": "recount",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )


def read(settings: KafkaSettings, topic: str) -> Iterator[Found]:
    """Everything committed in a topic, each partition in its order; heartbeats left out."""
    with closing(new_consumer(settings)) as reading:
        yield from read_with(reading, topic)


def read_with(reading: Consumer, topic: str) -> Iterator[Found]:
    """As `read`, with a consumer that may read more afterwards: a new one takes half a second."""
    count = len(reading.list_topics(topic, 20).topics[topic].partitions)
    reading.assign([TopicPartition(topic, partition, 0) for partition in range(count)])
    behind = set(range(count))
    while behind:
        for message in reading.consume(1000, 0.05):
            error = message.error()
            if error is None and message.key() != b"~":
                place = message.partition(), message.offset()
                yield Found(*place, message.key(), message.value(), message.headers() or [])
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                behind.discard(message.partition())


def books_in(reading: Consumer, topic: str) -> dict[tuple[bytes, int], dict[str, Any]]:
    """The last books of each `n|…` key of a state topic, by key and partition."""
    found = {(one.key, one.partition): one.value for one in read_with(reading, topic) if one.key[:2] == b"n|"}
    return {place: json.loads(value) for place, value in found.items() if value is not None}


def reader(schema: dict[str, Any]) -> Callable[[bytes], Any]:
    parsed = fastavro.parse_schema(copy.deepcopy(schema))
    return lambda value: fastavro.schemaless_reader(BytesIO(value[5:]), parsed, None)


def cut_of(row: dict[str, Any], fields: tuple[str, ...]) -> int:
    """Stands for the values of these fields."""
    return hash(tuple(row.get(name) for name in fields))


class Recount:
    """Everything that is wrong is a line in `faults`; what was counted stands in `sums`."""

    def __init__(self, ground: FaultGround, plan: Plan, reading: Consumer) -> None:
        self.faults: Counter[str] = Counter()
        self.sums: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._ground, self._plan, self._granted_at = ground, plan, ground.granted_at
        self._reading = reading
        self._versions: dict[str, dict[bytes, list[int]]] = {record_type: {} for record_type in INBOXES}
        self._key_of: dict[int, bytes] = {}
        self._place: dict[bytes, tuple[int, dict[int, int]]] = {}
        self._fields = {
            record_type: tuple(field["name"] for field in ground.schemas.latest(record_type).schema["fields"])
            for record_type in INBOXES
        }
        # By sequence: 300,000 rows would fill the memory, and their making is slow.
        self._rows: list[int | None] = [None] * (plan.size + 1)
        self._cuts: dict[str, list[int | None]] = {one.share: [None] * (plan.size + 1) for one in SHARES}

    def run(self) -> "Recount":
        for version in map(self._plan.version, range(self._plan.size)):
            self._versions[version.record_type].setdefault(version.key, []).append(version.sequence)
            self._key_of[version.sequence] = version.key
            if version.row is not None:
                self._note(version.sequence, version.record_type, version.row)
        for record_type in INBOXES:
            self._registry(record_type)
            self._admission_books(record_type)
        for one in SHARES:
            self._share(one)
        return self

    def _wrong(self, what: str, example: object = "") -> None:
        self.faults[what] += 1
        self.examples.setdefault(what, str(example))

    def _note(self, sequence: int, record_type: RecordType, row: dict[str, Any]) -> None:
        self._rows[sequence] = cut_of(row, self._fields[record_type])
        for one in SHARES:
            if one.record_type == record_type and (not one.regions or row["region"] in one.regions):
                self._cuts[one.share][sequence] = cut_of(row, one.fields)

    def _registry(self, record_type: RecordType) -> None:
        decode = reader(self._ground.schemas.latest(record_type).schema)
        found: dict[bytes, Seen] = {}
        for record in read_with(self._reading, f"registry.{record_type}"):
            sequence = record.sequence
            row = None if record.value is None else cut_of(decode(record.value), self._fields[record_type])
            if record.key == self._key_of.get(sequence) and row != self._rows[sequence]:
                self._wrong(f"registry {record_type}: wrong value", f"sequence {sequence}")
            found.setdefault(record.key, []).append((sequence, None))
            partition, offsets = self._place.setdefault(record.key, (record.partition, {}))
            offsets[record.sequence] = record.offset
            if partition != record.partition:
                self._wrong(f"registry {record_type}: a key in two partitions")
            self.sums[f"registry {record_type}"] += 1
        all_of = self._versions[record_type].items()
        self._compare(f"registry {record_type}", found, {key: [(one, None) for one in seen] for key, seen in all_of})

    def _admission_books(self, record_type: RecordType) -> None:
        total: Counter[str] = Counter()
        for books in books_in(self._reading, f"exchange.admission.{record_type}").values():
            total.update(
                {name: books[name] for name in ("taken", "admitted", "unchanged", "superseded", "quarantined")}
            )
        published = sum(1 for _ in read_with(self._reading, INBOXES[record_type]))
        diverted = sum(1 for _ in read_with(self._reading, f"quarantine.{PROVIDERS[record_type]}"))
        self.sums[f"inbox {record_type}"] = published
        registry = self.sums[f"registry {record_type}"]
        wanted = {"taken": published, "admitted": registry, "quarantined": diverted}
        if any(total[name] != count for name, count in wanted.items()):
            self._wrong(f"books of admission {record_type} differ", (dict(total), wanted))
        if diverted or total["unchanged"] + total["superseded"] != published - registry:
            self._wrong(f"books of admission {record_type} are open", (dict(total), diverted))

    def _expected(self, one: Granted, sequences: Iterable[int]) -> tuple[Seen, Counter[str]]:
        """What a grantee has to see of these versions, and what the books have to say of them."""
        personal = one.record_type.startswith("population.")
        held: int | None = None
        expected: Seen = []
        counts: Counter[str] = Counter()
        for sequence in sequences:
            cut = self._cuts[one.share][sequence]
            if cut is None and held is None:
                counts["out_of_scope"] += 1
            elif personal and cut == held:
                counts["unchanged"] += 1
            else:
                counts["retracted" if cut is None else "forwarded"] += 1
                expected.append((sequence, cut))
                held = cut
        return expected, counts

    def _share(self, one: Granted) -> None:
        decode = reader(self._ground.shares[one.share])
        found: dict[bytes, Seen] = {}
        aliases: dict[bytes, bytes] = {}
        got: Counter[str] = Counter()
        for record in read_with(self._reading, f"share.{one.share}"):
            key = self._key_of[record.sequence]
            if key not in self._place:
                self._wrong(f"share {one.share}: not in the registry")
                continue
            if aliases.setdefault(key, record.key) != record.key or (not one.pseudonymous and record.key != key):
                self._wrong(f"share {one.share}: wrong key")
            if record.partition != self._place[key][0]:
                self._wrong(f"share {one.share}: wrong partition")
            if one.pseudonymous and RESIDENT_ID.search(
                b"\0".join((record.key, record.value or b"", repr(record.headers).encode()))
            ):
                self._wrong(f"share {one.share}: a resident id")
            row = None if record.value is None else decode(record.value)
            if row is not None and set(row) != set(one.fields):
                self._wrong(f"share {one.share}: other fields")
            cut = None if row is None else cut_of(row, one.fields)
            found.setdefault(key, []).append((record.sequence, cut))
            got["retracted" if row is None else "forwarded"] += 1
        if len(set(aliases.values())) != len(aliases):
            self._wrong(f"share {one.share}: one key for two records")
        expected: dict[bytes, Seen] = {}
        counts: Counter[str] = Counter()
        for key, seen in self._versions[one.record_type].items():
            if key in self._place:  # else it was told of as missing from the registry
                late = self._late(one, key, seen, found.get(key, [])) if one.late else None
                expected[key], more = late or self._expected(one, seen)
                counts.update(more)
        self._compare(f"share {one.share}", found, {key: seen for key, seen in expected.items() if seen})
        self._delivery_books(one, counts, got)

    def _late(self, one: Granted, key: bytes, seen: list[int], found: Seen) -> tuple[Seen, Counter[str]]:
        """What a share that began in the middle has to see: from some version on, none older than the newest then."""
        partition, offsets = self._place[key]
        granted = self._granted_at[f"registry.{one.record_type}", partition]
        newest = max((at for at, sequence in enumerate(seen) if offsets.get(sequence, granted) < granted), default=0)
        first = found[0][0] if found else seen[-1]
        starts = [at for at in range(newest, len(seen)) if seen[at] <= first] or [newest]
        tries = [self._expected(one, seen[start:]) for start in reversed(starts)]
        return next((one_try for one_try in tries if one_try[0] == found), tries[0])

    def _delivery_books(self, one: Granted, counts: Counter[str], got: Counter[str]) -> None:
        total: Counter[str] = Counter()
        state = books_in(self._reading, f"exchange.delivery.{one.record_type}")
        for (key, _), books in state.items():
            if key == b"n|" + one.share.encode():
                total.update(books)
        told = {name: total[name] for name in ("forwarded", "retracted", "out_of_scope", "unchanged", "quarantined")}
        if total["taken"] != sum(told.values()):
            self._wrong(f"books of share {one.share} are open", dict(total))
        names = ("forwarded", "retracted") if one.late else ("forwarded", "retracted", "out_of_scope", "unchanged")
        if any(total[name] != counts[name] for name in names) or any(
            total[n] != got[n] for n in ("forwarded", "retracted")
        ):
            self._wrong(f"books of share {one.share} differ", (dict(total), dict(counts), dict(got)))
        if not one.late and total["taken"] != self.sums[f"registry {one.record_type}"]:
            self._wrong(f"books of share {one.share}: taken", dict(total))
        self.sums |= {f"share {one.share} {n}": total[n] for n in told if n != "quarantined"}

    def _compare(self, where: str, found: dict[bytes, Seen], expected: dict[bytes, Seen]) -> None:
        for key in found.keys() | expected.keys():
            got, want = found.get(key, []), dict(expected.get(key, []))
            sequences = [sequence for sequence, _ in got]
            about = f"{sequences} for {list(want)}"
            if len(set(sequences)) < len(sequences):
                self._wrong(f"{where}: double", about)
            if sequences != sorted(sequences):
                self._wrong(f"{where}: out of order", about)
            if want.keys() - set(sequences):
                self._wrong(f"{where}: missing", about)
            for sequence, shown in got:
                if sequence not in want:
                    kind = "a tombstone to a non-holder" if shown is None else "not to be seen"
                    self._wrong(f"{where}: {kind}", f"{sequence} in {about}")
                elif want[sequence] != shown:
                    self._wrong(f"{where}: wrong value", f"sequence {sequence}")
            if got and want and got[-1][0] != list(want)[-1]:
                self._wrong(f"{where}: wrong final value", about)

    def report(self) -> str:
        wrong = [f"  WRONG {what}: {count}, such as {self.examples[what]}" for what, count in self.faults.items()]
        counts = "; ".join(f"{name} {count}" for name, count in self.sums.items())
        return "\n".join((f"recount: {counts}", *(wrong or ["  nothing wrong"])))


class Progress:
    """How far the lines are by their own books, followed while they are at work."""

    def __init__(self, ground: FaultGround) -> None:
        self._ground = ground
        kinds = ("admission", "delivery")
        topics = [f"exchange.{kind}.{record_type}" for kind in kinds for record_type in INBOXES]
        self._books: dict[tuple[str, bytes, int], Any] = {}
        self._tail = new_consumer(ground.kafka.admin_settings())
        self._tail.assign([TopicPartition(topic, number, 0) for topic in topics for number in range(PARTITIONS)])

    def _follow(self) -> None:
        while found := self._tail.consume(5_000, 0.1):
            for message in found:
                if message.error() is None and message.key()[:2] in (b"n|", b"j|"):
                    value = message.value()
                    place = (message.topic(), message.key(), message.partition())
                    self._books[place] = None if value is None else json.loads(value)

    def _sum(self, kind: str, record_type: str, name: str) -> int:
        books = (self._books.get((f"exchange.{kind}.{record_type}", b"n|", part)) for part in range(PARTITIONS))
        return sum(one[name] for one in books if one)

    def joined(self, late: bool) -> bool:
        """Whether the shares, with or without the late ones, are in the live flow of every partition."""
        self._follow()
        places = [
            self._books.get((f"exchange.delivery.{one.record_type}", b"j|" + one.share.encode(), partition))
            for one in SHARES
            for partition in range(PARTITIONS)
            if late or not one.late
        ]
        return all(place and "joined" in place for place in places)

    def done(self, plan: Plan) -> bool:
        """Whether every version was published, taken by admission and by every share."""
        if self._ground.published < plan.size or not self.joined(late=True):
            return False
        return all(
            self._sum("admission", record_type, "taken") == sum(self._ground.ends(inbox).values())
            and self._sum("delivery", record_type, "taken") == self._sum("admission", record_type, "admitted")
            for record_type, inbox in INBOXES.items()
        )

    def close(self) -> None:
        self._tail.close()


@pytest.fixture(scope="session")
def recount() -> Callable[[FaultGround, Plan], Recount]:
    def judge(ground: FaultGround, plan: Plan) -> Recount:
        with closing(new_consumer(ground.kafka.admin_settings())) as reading:
            return Recount(ground, plan, reading).run()

    return judge


@pytest.fixture(scope="session")
def progress() -> Callable[[FaultGround], AbstractContextManager[Progress]]:
    return lambda ground: closing(Progress(ground))


@pytest.fixture(scope="session")
def consumer() -> Callable[[KafkaSettings, str], Consumer]:
    return new_consumer


@pytest.fixture(scope="session")
def read_all() -> Callable[[KafkaSettings, str], Iterator[Found]]:
    return read


@pytest.fixture(scope="session")
def decoder() -> Callable[[dict[str, Any]], Callable[[bytes], Any]]:
    return reader


@pytest.fixture
def out(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[None]]:
    """While it lasts, faults and numbers are shown as they happen; what our own clients say of the faults is not."""

    @contextmanager
    def told() -> Iterator[None]:
        before = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        try:
            with nullcontext() if BESIDE_OTHERS else request.getfixturevalue("capfd").disabled():
                yield
        finally:
            structlog.configure(**before)

    return told


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tests that run beside others cannot show anything while they run: it is shown when they are over."""
    if report.when == "call" and report.passed and not BESIDE_OTHERS and report.capstdout:
        print(report.capstdout, flush=True)


@pytest.fixture
def storm(recount: Any, progress: Any, out: Any, tmp_path: Path) -> Callable[..., None]:
    """Blow over a flow, and judge: 30 rounds over 300,000 versions unless it is said otherwise."""

    def storm(nodes: int, rate: int, rounds: int = ROUNDS, versions: int = VERSIONS) -> None:
        with out():
            found = blow(Weather(SEED, nodes, rounds, versions, rate), tmp_path, Judges(recount, progress))
        assert found.faults == {}, found.report()
        assert found.sums["share deaths unchanged"] > 0

    return storm
