"""A sink with a drop folder over a share in memory, killed wherever a test says; and a grantee that reads there."""

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from exchange.avro import Codec
from exchange.avro.container import read_container
from exchange.clock import Clock
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.handover import receipt
from exchange.handover.decode import Decoder
from exchange.handover.files.chain import Chain, Remembered
from exchange.handover.files.csv_text import read_rows
from exchange.handover.files.folder import AVRO, CSV, MANIFEST, RECEIPT, WITHDRAWN, DropFolder, name_of
from exchange.handover.files.line import DropFolderLine, Pace, Steps
from exchange.handover.files.manifest import MOST_BYTES, Manifest, is_receipt, read_manifest, sha256_of
from exchange.handover.files.verify import Finding, accept, verify
from exchange.handover.granted import Begin, Owner
from exchange.handover.grants import ActiveGrant
from exchange.handover.health import SinkHealth
from exchange.handover.layout import Layout
from exchange.handover.receipt import Receipt
from exchange.handover.report import Receipts, Reporter
from exchange.names import Department, GrantId, RecordType, SchemaId, TopicName, grant_group, receipt_topic
from exchange.observe.condition import Condition
from exchange.record import frame
from exchange.signing import PublicKey, SigningKey
from tests.harness.kafka.sink import SCHEMA, SHARE_SCHEMA_ID
from tests.harness.memory.ledger import SetClock

DEPARTMENT, PROVIDER = Department("taxation"), Department("market-regulation")
TYPE = RecordType("legal-entity.registration")
GRANT = GrantId("g-1")
TOPIC = TopicName("share.s-1")
PARTITIONS = 2
_POLL = 3
"""Records that a reader gives at once."""
_STEPS = ((os, "replace"), (os, "unlink"), (os, "fsync"), (Path, "replace"))
"""Calls of the operating system before which a sink may be killed."""


class Killed(BaseException):
    """The process ends here."""


@dataclass(frozen=True, slots=True)
class _Message:
    place: tuple[str, int, int]
    content: tuple[bytes | None, bytes | None]

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.place[2]

    def key(self) -> bytes | None:
        return self.content[0]

    def value(self) -> bytes | None:
        return self.content[1]


@dataclass(slots=True)
class MemoryShare:
    """The records of a share's topic, and what its group was told."""

    topic: TopicName = TOPIC
    records: dict[int, list[_Message]] = field(default_factory=lambda: {n: [] for n in range(PARTITIONS)})
    committed: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))
    restless: bool = False
    """Whether its end is never reached."""
    moves: int = 0
    """How often the group moves before a reader reads on."""
    told: Callable[[], None] = lambda: None
    """Called when all has been read."""

    def append(self, key: str, value: bytes | None) -> None:
        """One more record; the partition follows from the key."""
        partition = sum(key.encode()) % PARTITIONS
        offset = self.ends[partition]
        self.records[partition].append(_Message((self.topic, partition, offset), (key.encode(), value)))
        self.ends[partition] = offset + 1

    def company(self, code: str, name: str) -> None:
        """A version of a record."""
        body = Codec(SCHEMA).encode({"credit_code": code, "name": name, "established": date(2003, 5, 6)})
        self.append(code, frame(SHARE_SCHEMA_ID) + body)

    def compact(self) -> None:
        """Drop what a later version has replaced, and the tombstones, as a share does in time."""
        for partition, messages in self.records.items():
            last = {message.key(): message for message in messages}
            self.records[partition] = [one for one in messages if one is last[one.key()] and one.value() is not None]

    def held(self) -> dict[str, str]:
        """What stands in the share: code and name."""
        found: dict[str, str] = {}
        for messages in self.records.values():
            for message in messages:
                key, value = (message.key() or b"").decode(), message.value()
                found.pop(key, None)
                if value is not None and key != "~":
                    found[key] = Codec(SCHEMA).decode(value[5:])["name"]
        return found


class _Reader:
    """What the line needs of a reader."""

    def __init__(self, share: MemoryShare, begin: Begin, step: Callable[[], None]) -> None:
        self._share, self._step = share, step
        self._begin = begin
        self._at: dict[int, int] = {}
        self.served = True

    def poll(self, records: int, size: int, seconds: float) -> list[_Message]:
        """The next ones."""
        if not self._at or self._share.moves:
            self._share.moves -= bool(self._at)
            self._at = dict(self._begin(list(range(PARTITIONS))))
        found: list[_Message] = []
        for partition, messages in self._share.records.items():
            new = [one for one in messages if one.offset() >= self._at[partition]][:_POLL]
            found += new
            if new:
                self._at[partition] = new[-1].offset() + 1
            elif self._at[partition] < self._share.ends[partition]:
                self._at[partition] = self._share.ends[partition]
        return found

    @property
    def caught_up(self) -> bool:
        """Whether all has been given."""
        reached = all(number in self._at and self._at[number] >= end for number, end in self._share.ends.items())
        if reached:
            self._share.told()
        return reached and not self._share.restless

    def lost(self) -> dict[int, int]:
        """Partitions whose place lies behind their end."""
        return {number: end for number, end in self._share.ends.items() if self._at.get(number, 0) > end}

    def rest(self, seconds: float) -> None:
        """Nothing happens."""

    def took(self, offsets: Mapping[int, int]) -> None:
        """Tell the group."""
        self._step()
        self._share.committed |= offsets

    def settle(self) -> bool:
        """The group knows."""
        return True

    def reached(self) -> bool:
        """Kafka is there."""
        return True

    def close(self) -> None:
        """Nothing to do."""


class _Letters:
    """What the line sends."""

    def __init__(self, step: Callable[[], None]) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self._step = step

    def send(self, topic: str, _key: bytes | None, value: bytes | None) -> None:
        """Keep it."""
        self.sent.append((topic, value or b""))

    def send_in_passing(self, topic: str, _key: bytes, value: bytes, _lost: object) -> None:
        """Keep it, too."""
        self._step()
        self.sent.append((topic, value))

    def serve(self) -> None:
        """Nothing is lost."""

    def flush(self, _deadline: object) -> None:
        """All has arrived."""
        self._step()


class Taker:
    """What a grantee sees of a folder, and does there."""

    def __init__(self, path: Path, key: PublicKey, clock: Clock) -> None:
        self.path, self.public, self.clock = path, key, clock

    def check(self) -> Finding:
        """What the grantee finds."""
        with closing(DropFolder(self.path)) as folder:
            return verify(folder, self.public)

    def take(self) -> Manifest | None:
        """Take the delivery that waits."""
        with closing(DropFolder(self.path)) as folder:
            return accept(folder, verify(folder, self.public), self.clock.now())

    def rows(self, number: int) -> list[dict[str, Any]]:
        """The records of a delivery, the same in both files."""
        with closing(DropFolder(self.path)) as folder:
            with folder.opened(name_of(number, AVRO)) as file:
                exact = list(read_container(file)) if file else []
            with folder.opened(name_of(number, CSV)) as file:
                texts = list(read_rows(file)) if file else []
        assert texts == [{name: str(value) for name, value in row.items()} for row in exact]
        return exact

    def withdrawn(self, number: int) -> list[str]:
        """The keys that a delivery withdraws."""
        with closing(DropFolder(self.path)) as folder, folder.opened(name_of(number, WITHDRAWN)) as file:
            return [row["credit_code"] for row in read_rows(file)] if file else []

    def manifests(self) -> list[Manifest]:
        """Every manifest."""
        with closing(DropFolder(self.path)) as folder:
            found = [folder.read(name_of(number, MANIFEST), MOST_BYTES) for number in folder.numbers(MANIFEST)]
        return [read_manifest(content) for content in found if content is not None]

    def hashes(self) -> dict[tuple[str, int], str]:
        """What each number stands for."""
        return {(one.series, one.number): sha256_of(one.encode()) for one in self.manifests()}

    def is_taken(self, number: int) -> bool:
        """Whether a delivery has its receipt."""
        with closing(DropFolder(self.path)) as folder:
            content = folder.read(name_of(number, MANIFEST), MOST_BYTES) or b""
            return is_receipt(folder.read(name_of(number, RECEIPT), 4096), content)


class Dropped(Taker):
    """A share, a folder, a sink and a grantee."""

    def __init__(self, root: Path, pace: Pace | None = None) -> None:
        self.key, self.clock = SigningKey.make(root / "key.pem"), SetClock()
        super().__init__(root / "drop", self.key.public, self.clock)
        self.share = MemoryShare()
        self.active = True
        self.grant = GRANT
        self.letters = _Letters(self._step)
        self._state, self._pace = root / "state" / "c.files.json", pace or Pace(every=timedelta())
        self._left: int | None = None

    # the sink

    def run(self, killed_at: int | None = None, stop: threading.Event | None = None) -> bool:
        """Let the sink do what there is to do, or work until `stop`; whether it was killed at that step before."""
        self._left = killed_at
        with closing(DropFolder(self.path, make=True)) as folder, self._counted():
            folder.lock()
            try:
                self._line(folder).run(stop or threading.Event(), once=stop is None)
            except Killed:
                return True
            finally:
                self._left = None
        return False

    def _line(self, folder: DropFolder) -> DropFolderLine:
        grant = ActiveGrant(
            self.grant, PROVIDER, self.share.topic, grant_group(self.grant), SchemaId(SHARE_SCHEMA_ID), False
        )
        owner = Owner(DEPARTMENT, TYPE, grant, "taxation.companies")
        steps = Steps(
            lambda begin: _Reader(self.share, begin, self._step),  # type: ignore[arg-type, return-value]
            Chain(folder, self.key, Remembered(self._state)),
            Layout.of(SCHEMA, ("credit_code",), pseudonymous=False),
            Decoder(lambda _id: SCHEMA),
            Reporter(owner, Faults(owner.connector, TYPE), self.letters),  # type: ignore[arg-type]
            Receipts(owner, self.letters),  # type: ignore[arg-type]
            self.clock,
            self._pace,
            lambda: False,
            self._granted,
            SinkHealth(owner.connector, Condition(), self.clock),
        )
        return DropFolderLine(owner, steps)

    def _granted(self) -> None:
        if not self.active:
            raise ExchangeError("E_GRANT_REFUSED", "not active")

    def _step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                raise Killed

    @contextmanager
    def _counted(self) -> Any:
        """Count the calls after which a process may be gone."""
        with ExitStack() as stack:
            for where, name in _STEPS:
                stack.enter_context(mock.patch.object(where, name, self._before(getattr(where, name))))
            yield

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            self._step()
            return call(*arguments, **named)

        return stepped

    def receipts(self) -> Receipt:
        """What the exchange was told last, over all partitions."""
        last: dict[int, Receipt] = {}
        for topic, value in self.letters.sent:
            found = receipt.decode(value)
            if found is not None and topic == receipt_topic(self.grant):
                last[found.partition] = found
        at = self.clock.now()
        values = last.values()
        upserted, deleted = sum(one.upserted for one in values), sum(one.deleted for one in values)
        return Receipt(0, 0, upserted, deleted, sum(one.faulty for one in values), at)


@dataclass(slots=True)
class Grantee:
    """A table that is kept by deliveries alone."""

    table: dict[str, str] = field(default_factory=dict)
    _reading: int = 1
    _seen: set[str] = field(default_factory=set)

    def apply(self, dropped: Taker, manifest: Manifest) -> None:
        """Apply a delivery, as the documents tell."""
        if manifest.reading != self._reading:
            self._reading, self._seen = manifest.reading, set()
        for row in dropped.rows(manifest.number):
            self.table[row["credit_code"]] = row["name"]
            self._seen.add(row["credit_code"])
        for code in dropped.withdrawn(manifest.number):
            self.table.pop(code, None)
            self._seen.discard(code)
        if manifest.current and manifest.reading > 1:
            self.table = {code: name for code, name in self.table.items() if code in self._seen}
