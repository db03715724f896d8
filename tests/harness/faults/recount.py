"""An independent recount of what admission and delivery made of a plan: its own reading, its own sums.

It takes the plan, and what a reader of Kafka and Avro's reference implementation find; nothing of the product but how
a pseudonym is made of a key.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from exchange.delivery.cutting.pseudonym import MasterSecret, pseudonym
from exchange.identifiers import resident_id
from exchange.names import RecordType, ShareName
from tests.harness.faults.harness import SHARES, FaultHarness, Granted
from tests.harness.faults.plan import INBOXES, PROVIDERS, Plan

_LIKE_A_RESIDENT_ID = re.compile(rb"(?=(3499\d{13}[\dX]))")
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
        """Of the version."""
        return int(dict(self.headers)["ce_sequence"])


@dataclass(frozen=True, slots=True)
class Reading:
    """How Kafka and Avro are read, without the product."""

    read: Callable[[str], Iterator[Found]]
    """Everything committed in a topic, each partition in its order; heartbeats left out."""
    decoder: Callable[[dict[str, Any]], Callable[[bytes], Any]]
    """For a schema, what decodes the framed values that are written with it."""


def cut_of(row: dict[str, Any], fields: tuple[str, ...]) -> int:
    """Stands for the values of these fields."""
    return hash(tuple(row.get(name) for name in fields))


class Recount:
    """Everything that is wrong is a line in `faults`; what was counted stands in `sums`."""

    def __init__(self, harness: FaultHarness, plan: Plan, reading: Reading) -> None:
        self.faults: Counter[str] = Counter()
        self.sums: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._harness, self._plan, self._granted_at = harness, plan, harness.granted_at
        self._read, self._decoder = reading.read, reading.decoder
        self._versions: dict[str, dict[bytes, list[int]]] = {record_type: {} for record_type in INBOXES}
        self._key_of: dict[int, bytes] = {}
        self._place: dict[bytes, tuple[int, dict[int, int]]] = {}
        self._fields = {
            record_type: tuple(field["name"] for field in harness.schemas.latest(record_type).schema["fields"])
            for record_type in INBOXES
        }
        # By sequence: 300,000 rows would fill the memory, and their making is slow.
        self._rows: list[int | None] = [None] * (plan.size + 1)
        self._cuts: dict[str, list[int | None]] = {one.share: [None] * (plan.size + 1) for one in SHARES}

    def run(self) -> "Recount":
        """Read everything that stands in registries, shares and states, and judge it."""
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

    def _books_in(self, topic: str) -> dict[tuple[bytes, int], dict[str, Any]]:
        """The last books of each `n|…` key of a state topic, by key and partition."""
        found = {(one.key, one.partition): one.value for one in self._read(topic) if one.key[:2] == b"n|"}
        return {place: json.loads(value) for place, value in found.items() if value is not None}

    def _wrong(self, what: str, example: object = "") -> None:
        self.faults[what] += 1
        self.examples.setdefault(what, str(example))

    def _note(self, sequence: int, record_type: RecordType, row: dict[str, Any]) -> None:
        self._rows[sequence] = cut_of(row, self._fields[record_type])
        for one in SHARES:
            if one.record_type == record_type and (not one.regions or row["region"] in one.regions):
                self._cuts[one.share][sequence] = cut_of(row, one.fields)

    def _registry(self, record_type: RecordType) -> None:
        decode = self._decoder(self._harness.schemas.latest(record_type).schema)
        found: dict[bytes, Seen] = {}
        for record in self._read(f"registry.{record_type}"):
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
        self.compare(f"registry {record_type}", found, {key: [(one, None) for one in seen] for key, seen in all_of})

    def _admission_books(self, record_type: RecordType) -> None:
        total: Counter[str] = Counter()
        for books in self._books_in(f"exchange.admission.{record_type}").values():
            total.update(
                {name: books[name] for name in ("taken", "admitted", "unchanged", "superseded", "quarantined")}
            )
        published = sum(1 for _ in self._read(INBOXES[record_type]))
        diverted = sum(1 for _ in self._read(f"quarantine.{PROVIDERS[record_type]}"))
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
        decode = self._decoder(self._harness.shares[one.share])
        found: dict[bytes, Seen] = {}
        aliases: dict[bytes, bytes] = {}
        got: Counter[str] = Counter()
        key_of = self._key_reader(one)
        for record in self._read(f"share.{one.share}"):
            key = key_of(record)
            if key not in self._place:
                self._wrong(f"share {one.share}: not in the registry")
                continue
            if aliases.setdefault(key, record.key) != record.key or (not one.pseudonymous and record.key != key):
                self._wrong(f"share {one.share}: wrong key")
            if record.partition != self._place[key][0]:
                self._wrong(f"share {one.share}: wrong partition")
            texts = b"\0".join((record.key, record.value or b"", repr(record.headers).encode()))
            if one.pseudonymous and holds_resident_id(texts):
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
        shown = {key: self._registry_order(one, seen, expected.get(key, [])) for key, seen in found.items()}
        self.compare(f"share {one.share}", shown, {key: seen for key, seen in expected.items() if seen})
        self._delivery_books(one, counts, got)

    def _key_reader(self, one: Granted) -> Callable[[Found], bytes]:
        """Tells of which record of the registry a record of the share is."""
        if not one.pseudonymous:
            return lambda record: self._key_of[record.sequence]
        master = MasterSecret.read(self._harness.workers.folder / "master.secret")
        secret = master.of_share(ShareName(one.share), 1)
        keys = {pseudonym(secret, key): key for key in self._versions[one.record_type]}
        return lambda record: keys.get(record.key, b"")

    def _registry_order(self, one: Granted, found: Seen, expected: Seen) -> Seen:
        """What was found of a key, by the registry's sequences: the share has an order of its own, which only grows."""
        if not one.pseudonymous:
            return found
        own = [sequence for sequence, _ in found]
        if any(later <= earlier for earlier, later in itertools.pairwise(own)):
            self._wrong(f"share {one.share}: out of order", own)
        known = [sequence for sequence, _ in expected]
        return [(known[at] if at < len(known) else own[at], cut) for at, (_, cut) in enumerate(found)]

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
        state = self._books_in(f"exchange.delivery.{one.record_type}")
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

    def compare(self, where: str, found: dict[bytes, Seen], expected: dict[bytes, Seen]) -> None:
        """Note everything in which what was found of each key differs from what had to be there."""
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
        """What was counted and what is wrong, in a few lines."""
        wrong = [f"  WRONG {what}: {count}, such as {self.examples[what]}" for what, count in self.faults.items()]
        counts = "; ".join(f"{name} {count}" for name, count in self.sums.items())
        return "\n".join((f"recount: {counts}", *(wrong or ["  nothing wrong"])))


def holds_resident_id(texts: bytes) -> bool:
    """Whether a valid identifier of a test person stands in these bytes.

    The hexadecimal digits of a few hundred thousand pseudonyms look like one now and then; a birth date and a check
    digit they do not have.
    """
    return any(resident_id.is_valid(found.decode()) for found in _LIKE_A_RESIDENT_ID.findall(texts))
