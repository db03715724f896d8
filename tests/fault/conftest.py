"""An independent recount of what admission and delivery made of a plan: its own reader, its own Avro, its own sums."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from exchange.settings import KafkaSettings
from exchange.testing.fault_ground import PARTITIONS, SHARES, FaultGround, Granted
from exchange.testing.fault_plan import INBOXES, PROVIDERS, Plan

RESIDENT_ID = re.compile(rb"3499\d{13}[\dX]")
Seen = list[tuple[int, Any]]
"""(sequence, cut or None) of one key, in order."""


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


def read(settings: KafkaSettings, topic: str) -> Iterator[Found]:
    """Everything committed in a topic, each partition in its order; heartbeats left out."""
    assert settings.password_file is not None
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "security.protocol": settings.security_protocol,
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": settings.username,
            "sasl.password": settings.password_file.read_text(encoding="utf-8").strip(),
            "group.id": "recount",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
        }
    )
    count = len(consumer.list_topics(topic, 20).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(count)])
    behind = set(range(count))
    try:
        while behind:
            for message in consumer.consume(1000, 1.0):
                error = message.error()
                if error is None and message.key() != b"~":
                    yield Found(
                        message.partition(), message.offset(), message.key(), message.value(), message.headers() or []
                    )
                elif error is not None and error.code() == KafkaError._PARTITION_EOF:
                    behind.discard(message.partition())
    finally:
        consumer.close()


def last_json(settings: KafkaSettings, topic: str) -> dict[tuple[bytes, int], Any]:
    """The last JSON of each `n|…` and `j|…` key of a state topic, by key and partition."""
    found: dict[tuple[bytes, int], Any] = {}
    for record in read(settings, topic):
        if record.key[:2] in (b"n|", b"j|"):
            found[record.key, record.partition] = None if record.value is None else json.loads(record.value)
    return found


def reader(schema: dict[str, Any]) -> Callable[[bytes], Any]:
    parsed = fastavro.parse_schema(json.loads(json.dumps(schema)))
    return lambda value: fastavro.schemaless_reader(BytesIO(value[5:]), parsed, None)


class Recount:
    """Everything that is wrong is a line in `faults`; what was counted stands in `sums`."""

    def __init__(self, ground: FaultGround, plan: Plan, granted_at: dict[tuple[str, int], int]) -> None:
        self.faults: Counter[str] = Counter()
        self.sums: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._ground, self._plan, self._granted_at = ground, plan, granted_at
        self._settings = ground.kafka.admin_settings()
        self._versions: dict[str, dict[bytes, Seen]] = {record_type: {} for record_type in INBOXES}
        self._key_of: dict[int, bytes] = {}
        self._place: dict[bytes, tuple[int, dict[int, int]]] = {}

    def run(self) -> "Recount":
        for number in range(self._plan.size):
            version = self._plan.version(number)
            self._versions[version.record_type].setdefault(version.key, []).append((version.sequence, version.row))
            self._key_of[version.sequence] = version.key
        for record_type in INBOXES:
            self._registry(record_type)
            self._admission_books(record_type)
        for one in SHARES:
            self._share(one)
        return self

    def _wrong(self, what: str, example: object = "") -> None:
        self.faults[what] += 1
        self.examples.setdefault(what, str(example))

    def _registry(self, record_type: str) -> None:
        decode = reader(self._ground.schemas.latest(record_type).schema)
        found: dict[bytes, Seen] = {}
        for record in read(self._settings, f"registry.{record_type}"):
            row = None if record.value is None else decode(record.value)
            found.setdefault(record.key, []).append((record.sequence, row))
            partition, offsets = self._place.setdefault(record.key, (record.partition, {}))
            offsets[record.sequence] = record.offset
            if partition != record.partition:
                self._wrong(f"registry {record_type}: a key in two partitions")
            self.sums[f"registry {record_type}"] += 1
        self._compare(f"registry {record_type}", found, self._versions[record_type])

    def _admission_books(self, record_type: str) -> None:
        total: Counter[str] = Counter()
        for books in last_json(self._settings, f"exchange.admission.{record_type}").values():
            total.update(
                {name: books[name] for name in ("taken", "admitted", "unchanged", "superseded", "quarantined")}
            )
        published = sum(1 for _ in read(self._settings, INBOXES[record_type]))  # type: ignore[index]
        diverted = sum(1 for _ in read(self._settings, f"quarantine.{PROVIDERS[record_type]}"))  # type: ignore[index]
        self.sums[f"inbox {record_type}"] = published
        registry = self.sums[f"registry {record_type}"]
        wanted = {"taken": published, "admitted": registry, "quarantined": diverted}
        if any(total[name] != count for name, count in wanted.items()):
            self._wrong(f"books of admission {record_type} differ", (dict(total), wanted))
        if diverted or total["unchanged"] + total["superseded"] != published - registry:
            self._wrong(f"books of admission {record_type} are open", (dict(total), diverted))

    def _expected(self, one: Granted, seen: Seen) -> tuple[Seen, Counter[str]]:
        """What a grantee has to see of these versions, and what the books have to say of them."""
        personal = one.record_type.startswith("population.")
        held: Any = None
        expected: Seen = []
        counts: Counter[str] = Counter()
        for sequence, row in seen:
            shown = row is not None and (not one.regions or row["region"] in one.regions)
            cut = tuple(row[name] for name in one.fields) if row is not None and shown else None
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
        for record in read(self._settings, f"share.{one.share}"):
            key = self._key_of[record.sequence]
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
            found.setdefault(key, []).append((record.sequence, row and tuple(row[name] for name in one.fields)))
            got["retracted" if row is None else "forwarded"] += 1
        if len(set(aliases.values())) != len(aliases):
            self._wrong(f"share {one.share}: one key for two records")
        expected: dict[bytes, Seen] = {}
        counts: Counter[str] = Counter()
        for key, seen in self._versions[one.record_type].items():
            expected[key], more = (
                self._late(one, key, seen, found.get(key, [])) if one.late else self._expected(one, seen)
            )
            counts.update(more)
        self._compare(f"share {one.share}", found, {key: seen for key, seen in expected.items() if seen})
        self._delivery_books(one, counts, got)

    def _late(self, one: Granted, key: bytes, seen: Seen, found: Seen) -> tuple[Seen, Counter[str]]:
        """What a share that began in the middle has to see: from some version on, none older than the newest then."""
        partition, offsets = self._place[key]
        granted = self._granted_at[f"registry.{one.record_type}", partition]
        newest = max((at for at, (sequence, _) in enumerate(seen) if offsets[sequence] < granted), default=0)
        first = found[0][0] if found else seen[-1][0]
        starts = [at for at in range(newest, len(seen)) if seen[at][0] <= first] or [newest]
        tries = [self._expected(one, seen[start:]) for start in reversed(starts)]
        return next((one_try for one_try in tries if one_try[0] == found), tries[0])

    def _delivery_books(self, one: Granted, counts: Counter[str], got: Counter[str]) -> None:
        total: Counter[str] = Counter()
        state = last_json(self._settings, f"exchange.delivery.{one.record_type}")
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
        for name in ("forwarded", "retracted", "out_of_scope", "unchanged"):
            self.sums[f"share {one.share} {name}"] = total[name]

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
        lines = [f"  {name}: {count}" for name, count in self.sums.items()]
        wrong = [f"  WRONG {what}: {count}, such as {self.examples[what]}" for what, count in self.faults.items()]
        return "\n".join(("recount", *lines, *(wrong or ["  nothing wrong"])))


def have_joined(ground: FaultGround, late: bool) -> bool:
    """Whether the shares, with or without the late ones, are in the live flow of every partition."""
    settings = ground.kafka.admin_settings()
    for record_type in INBOXES:
        state = last_json(settings, f"exchange.delivery.{record_type}")
        for one in SHARES:
            places = [state.get((b"j|" + one.share.encode(), partition)) for partition in range(PARTITIONS)]
            due = one.record_type == record_type and (late or not one.late)
            if due and any(not place or "joined" not in place for place in places):
                return False
    return True


def is_done(ground: FaultGround, plan: Plan) -> bool:
    """Whether every version was published, taken by admission and by every share, by the lines' own books."""
    if ground.published < plan.size:
        return False
    settings = ground.kafka.admin_settings()
    for record_type, inbox in INBOXES.items():
        taken = sum(books["taken"] for books in last_json(settings, f"exchange.admission.{record_type}").values())
        admitted = sum(books["admitted"] for books in last_json(settings, f"exchange.admission.{record_type}").values())
        if taken != sum(ground.ends(inbox).values()):
            return False
        state = last_json(settings, f"exchange.delivery.{record_type}")
        if sum(state.get((b"n|", partition), {"taken": 0})["taken"] for partition in range(PARTITIONS)) != admitted:
            return False
    return have_joined(ground, late=True)


@pytest.fixture(scope="session")
def recount() -> type[Recount]:
    return Recount


@pytest.fixture(scope="session")
def done() -> Callable[[FaultGround, Plan], bool]:
    return is_done


@pytest.fixture(scope="session")
def joined() -> Callable[[FaultGround, bool], bool]:
    return have_joined


@pytest.fixture
def out(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Faults and numbers are shown as they happen, whether the test fails or not."""
    with capfd.disabled():
        sys.stdout.flush()
        yield
