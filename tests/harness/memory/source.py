"""A source in memory: a table that tests change, a reader over it, an inbox, and the intake line between them.

The reader follows the protocol of `exchange.connect.reading`: along a cursor, whole, and away when a test says so.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from exchange.avro import Codec
from exchange.avro.lock import LockedSchema, SchemaRepository
from exchange.clock import Deadline
from exchange.connect import csv_file
from exchange.connect.declare import Mapper, Source
from exchange.connect.reading import Cursor, FaultyRow, Page, SourceRow
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.intake.collect import Collector
from exchange.intake.compare import Comparer, Terms
from exchange.intake.decide import Decider
from exchange.intake.encode import Encoder
from exchange.intake.health import Health, Of
from exchange.intake.line import IntakeLine, Pace, Steps
from exchange.intake.map import RowMapper
from exchange.intake.memory.memory import Books, Memory
from exchange.intake.prepare import Preparer
from exchange.intake.report import SourceReport, decode
from exchange.intake.schedule import Schedule
from exchange.intake.submit import Envelope, ReportSender, Submitter, Topics
from exchange.intake.take import Taker
from exchange.intake.unchanged.digests import RowDigests
from exchange.names import HEARTBEAT_KEY, RecordType, TopicName
from exchange.record import FRAME_BYTES, SEQUENCE, Headers, header
from exchange.settings import Settings
from tests.harness.memory.ledger import SetClock

TYPE = RecordType("population.death")
PROVIDER = "11340000EXCH000341"
CONNECTOR = "health.deaths"


class MemoryReader:
    """Reads the rows of a `Table`. `broken_after`: pages after which a whole reading breaks off."""

    def __init__(self, table: "Table") -> None:
        self.fingerprint = "one"
        self.brings_all = True
        self.waiting = False
        self.asks = False
        self.away: ExchangeError | None = None
        self.broken_after: int | None = None
        self.wholes = 0
        self._table = table

    def page(self, cursor: Cursor, limit: int) -> Page | None:
        """Rows behind the cursor, by (cursor, key)."""
        self._look()
        at = tuple(cursor["at"])
        found = sorted((row.at, row.key) for row in self._table.rows.values() if (row.at, row.key) > at)[:limit]
        if not found:
            return None
        return Page([self._table.rows[key].given() for _, key in found], {"at": list(found[-1])})

    def due(self, cursor: Cursor | None) -> bool:
        """As the test says."""
        self._look()
        return cursor is None or self.asks

    def whole(self, limit: int) -> Iterator[Page]:
        """All rows as they stand at the beginning."""
        self._look()
        self.wholes += 1
        self.asks = False
        rows = [replace(row) for row in self._table.rows.values()]
        last = max(((row.at, row.key) for row in rows), default=(-1, ""))
        starts = range(0, max(len(rows), 1), limit)
        for number, start in enumerate(starts):
            if number == self.broken_after:
                raise ExchangeError("E_SOURCE_UNREACHABLE", "the connection broke")
            yield Page([row.given() for row in rows[start : start + limit]], {"at": list(last)})

    def close(self) -> None:
        """Nothing to let go of."""

    def _look(self) -> None:
        if self.away is not None:
            raise self.away


@dataclass(slots=True)
class TableRow:
    """A row of the table. at: its cursor; sequence: its own version, else the cursor."""

    key: str
    values: dict[str, Any]
    at: int
    withdrawn: bool = False
    error: ExchangeError | None = None
    keyed: bool = True
    sequence: int | None = None
    place: str | None = None

    def given(self) -> SourceRow | FaultyRow:
        """The row as a reader gives it."""
        key = self.key if self.keyed else None
        if self.error is not None:
            return FaultyRow(self.error, key, self.place, self.values)
        sequence = self.at if self.sequence is None else self.sequence
        return SourceRow(dict(self.values), sequence, self.withdrawn, key, self.place)


@dataclass(slots=True)
class Table:
    """Rows by their keys, in the order in which they were put there, with a counter as cursor."""

    rows: dict[str, TableRow] = field(default_factory=dict)
    counter: int = 0

    def put(self, key: str, resident: str | None = None, **changes: Any) -> TableRow:
        """Insert or change a row. Its cursor grows."""
        self.counter += 1
        before = self.rows.get(key)
        values = dict(before.values) if before else {"id": resident or resident_id(self.counter), "name": "某人"}
        if resident is not None:
            values["id"] = resident
        columns = {name: changes.pop(name) for name in list(changes) if name in ("name", "more", "died")}
        self.rows[key] = TableRow(key, values | columns, self.counter, **changes)
        return self.rows[key]

    def behind(self, key: str, **columns: Any) -> None:
        """Change a row so that its cursor does not tell."""
        self.rows[key].values.update(columns)

    def remove(self, *keys: str) -> None:
        """Delete rows."""
        for key in keys:
            del self.rows[key]


def resident_id(number: int) -> str:
    """An identifier of the right form for a key (its check digit is not looked at by intake)."""
    return f"34990119500101{number:04d}"


def mapped(row: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping of the table's rows."""
    return {
        "provider_code": PROVIDER,
        "resident_id": row["id"],
        "name": row["name"],
        "death_date": "2026-01-02",
        "source": "1",
        "registered_at": "2026-01-03",
        "reversed": False,
    }


@dataclass(slots=True)
class Sent:
    """One record of the inbox."""

    key: str
    value: bytes | None
    sequence: int


class Inbox:
    """Stands in for Kafka: keeps what producers send. `away` and `dies` are errors that a flush raises."""

    def __init__(self) -> None:
        self.records: list[Sent] = []
        self.faults: list[dict[str, Any]] = []
        self.reports: list[SourceReport] = []
        self.heartbeats = 0
        self.away: ExchangeError | None = None
        self.dies: BaseException | None = None

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None = None) -> None:
        """As the producer."""
        if topic == "faults":
            self.faults.append(json.loads(value or b""))
        elif topic == "report":
            report = decode(value or b"")
            assert report is not None
            self.reports.append(report)
        elif key == HEARTBEAT_KEY:
            self.heartbeats += 1
        else:
            sequence = header(headers or [], SEQUENCE)
            self.records.append(Sent((key or b"").decode(), value, int(sequence or b"-1")))

    def flush(self, _deadline: Deadline) -> None:
        """As the producer."""
        if self.dies is not None:
            raise self.dies
        if self.away is not None:
            raise self.away

    def close(self) -> None:
        """As the producer."""

    def state(self) -> dict[str, bytes | None]:
        """What admission would hold: of each key the version with the greatest sequence.

        It fails for two contents under one sequence.
        """
        last: dict[str, Sent] = {}
        for one in self.records:
            before = last.get(one.key)
            if before is not None and before.sequence == one.sequence:
                assert before.value == one.value, "two contents under one sequence"
            if before is None or one.sequence > before.sequence:
                last[one.key] = one
        return {key: one.value for key, one in last.items()}


class SourceAtWork:
    """A source with its memory in `folder`. Every `run` is a process of its own: it opens the memory and closes it."""

    def __init__(self, folder: Path, mapping: Mapper = mapped, compare: str = "start", follows: bool = True) -> None:
        self.folder = folder
        self.table = Table()
        self.reader = MemoryReader(self.table)
        self.inbox = Inbox()
        self.clock = SetClock()
        self.mapping = mapping
        self.compare = compare
        self.follows = follows
        self.part, self.rows = 0.05, 100
        self.schema: LockedSchema = SchemaRepository.load(Settings().schemas).latest(TYPE)
        self.line: IntakeLine | None = None

    def open(self) -> IntakeLine:
        """The line, with the memory open."""
        schema, clock, inbox = self.schema, self.clock, self.inbox
        assert schema.record is not None
        memory = Memory(self.folder, CONNECTOR, clock)
        source = Source(TYPE, csv_file(), self.mapping)
        reports = ReportSender(lambda: inbox, TopicName("report"))  # type: ignore[arg-type, return-value]
        health = Health(Of(CONNECTOR, TYPE), memory, clock, reports)
        topics = Topics(TopicName("inbox"), TopicName("faults"))
        submitter = Submitter(lambda: inbox, topics, Envelope(TYPE, clock), health)  # type: ignore[arg-type, return-value]
        preparer = Preparer(RowMapper(source, schema.record), Encoder(schema))
        version = f"{schema.id} {id(self.mapping)}"
        decider = Decider(preparer, memory, Faults(CONNECTOR, TYPE), clock, RowDigests(version))
        taker = Taker(decider, memory, submitter, TYPE)
        collector = Collector(self.reader, health)
        terms = Terms(self.part, self.rows, 0.01, TYPE, version)
        comparer = Comparer(CONNECTOR, collector, taker, memory, terms, clock)
        pace = Pace(0.01, 3600.0, Schedule.of(self.compare), self.follows, watches=not self.follows)
        self.line = IntakeLine(Steps(collector, taker, comparer, submitter, reports, health, clock), memory, pace)
        return self.line

    def run(self, confirm: bool = False) -> Books:
        """Run it once, to the end of what is there."""
        self.clock.moment += timedelta(seconds=1)
        line = self.open()
        try:
            line.run(threading.Event(), once=True, confirm_withdrawals=confirm)
            return line.books
        finally:
            line.close()

    def names(self) -> dict[str, str | None]:
        """The name in the last record of each resident; None for a withdrawal."""
        codec = Codec(self.schema.schema)
        return {
            key.rpartition("/")[2]: None if value is None else codec.decode(value[FRAME_BYTES:])["name"]
            for key, value in self.inbox.state().items()
        }

    def ask(self, kind: str, argument: str = "") -> None:
        """Leave a request as a command does, while the source does not run."""
        memory = Memory(self.folder, CONNECTOR, self.clock)
        with memory._store.transaction():
            memory._store.change(
                "INSERT INTO requests (kind, argument, at) VALUES (?, ?, ?)", (kind, argument, "2026-11-24T00:00:00Z")
            )
        memory.close()
