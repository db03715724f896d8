"""Quarantine in memory: entries stand where a test puts them, and are read as `KafkaQuarantineStore` reads Kafka."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from exchange.clock import Deadline
from exchange.errors import TABLE
from exchange.names import Department, RecordType
from exchange.quarantine.entry import Quarantined
from exchange.quarantine.quarantine_id import Origin, QuarantineId
from exchange.quarantine.store import Entries, Stretch
from exchange.record import Headers
from tests.harness.memory.ledger import START


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as its publisher sent it."""

    key: bytes | None
    value: bytes | None = None
    headers: Headers | None = None
    partition: int = 0
    """Of the inbox."""


class MemoryQuarantineStore:
    """One partition for each department. Offsets leave gaps, as Kafka's transaction markers do."""

    def __init__(self, partitions: int = 2) -> None:
        self.entries: list[Quarantined] = []
        """What stands there now; Kafka drops the oldest."""
        self._counted: Counter[tuple[str, ...]] = Counter()
        self.partitions = partitions
        """Of every redrive topic."""
        self.gap = 1

    def put(
        self, department: Department, record_type: RecordType, code: str, sent: Sent, at: datetime = START
    ) -> QuarantineId:
        """Put a record aside; its place."""
        offset = max(
            (one.id.offset + 1 + self.gap for one in self.entries if one.id.department == department), default=0
        )
        place = QuarantineId(department, 0, offset)
        self._counted[(department, code)] += 1
        self.entries.append(
            Quarantined(
                id=place,
                at_ms=int(at.timestamp() * 1000),
                stage=TABLE[code].stage.value,
                code=code,
                reason=TABLE[code].meaning,
                origin=Origin(record_type, department, sent.partition, offset),
                redriven_from=None,
                key=sent.key,
                value=sent.value,
                headers=sent.headers or [],
            )
        )
        return place

    def put_aside(self) -> dict[tuple[str, ...], float]:
        """How many records were ever put aside, by (department, code)."""
        return {labels: float(count) for labels, count in self._counted.items()}

    def held(self, stretches: Iterable[Stretch], deadline: Deadline) -> list[Stretch]:
        """All of them: there are no markers."""
        return list(stretches)

    def stretches(self, departments: Iterable[Department], since: datetime | None = None) -> list[Stretch]:
        """As exchange.quarantine.store.QuarantineStore says."""
        moment = 0 if since is None else int(since.timestamp() * 1000)
        found = []
        for department in sorted(set(departments)):
            offsets = [one.id.offset for one in self.entries if one.id.department == department and one.at_ms >= moment]
            if offsets:
                found.append(Stretch(department, 0, min(offsets), max(offsets) + 1))
        return found

    def read(self, stretch: Stretch, deadline: Deadline) -> Entries:
        """As exchange.quarantine.store.QuarantineStore says."""
        for one in self.entries:
            place = one.id
            if place[:2] == stretch[:2] and stretch.first <= place.offset < stretch.end:
                yield one

    def redrive_partitions(self, record_type: RecordType) -> int:
        """The same for all."""
        return self.partitions
