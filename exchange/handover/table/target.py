"""Writing the records of a grant into a department's table, each batch in one transaction with its progress."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Text,
    Time,
    Uuid,
)
from sqlalchemy import Table as SqlTable
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.types import JSON, TypeEngine

from exchange.connect.engine import Address, open_engine, reason
from exchange.errors import ExchangeError
from exchange.handover.layout import RECORD_KEY, Change, Layout, not_null
from exchange.handover.table.batch import AppliedAgain, Batch, Refusal, Report
from exchange.handover.table.columns import FollowedTable
from exchange.handover.table.progress import Mark, Progress, ProgressTable, RowMarks
from exchange.handover.table.upsert import KeyedTable
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.names import GrantId

_CLOCKS_DIFFER = timedelta(days=1)
"""A sink reads its share again a little early: its clock and those of the brokers may differ."""
_SWEPT_AT_ONCE = 10_000


def columns_of(layout: Layout) -> list[Column[Any]]:
    """The columns of the table for a layout."""
    made: list[Column[Any]] = []
    if layout.key == (RECORD_KEY,):
        made.append(Column(RECORD_KEY, Text, primary_key=True))
    for one in layout.schema["fields"]:
        name, avro = one["name"], one["type"]
        made.append(Column(name, column_type(avro), primary_key=name in layout.key, nullable=_nullable(avro)))
    return made


class SqlTarget:
    """The table of one sink and its progress. Every method raises ExchangeError(E_SINK_UNREACHABLE) when it is away."""

    def __init__(self, name: str, address: Address, layout: Layout, kept: timedelta = TOMBSTONES_KEPT) -> None:
        """kept: how long the share keeps tombstones; a sink that was away longer reads it again."""
        self._layout = layout
        self._engine = open_engine(address)
        self._kept = kept - min(_CLOCKS_DIFFER, kept / 2)
        schema, _, table = name.rpartition(".")
        metadata = MetaData(schema=schema or None)
        self._table = SqlTable(table, metadata, *columns_of(layout))
        self._followed = FollowedTable(self._engine, self._table, layout.key)
        self._emptied: dict[str, None] = {}
        """Columns that the grant filled before it was amended, with the value that they get."""
        self._rows = KeyedTable(self._table, layout.key, self._engine.dialect)
        self._progress = ProgressTable(metadata)
        self._marks = RowMarks(metadata, self._engine.dialect)

    def prepare(self, grant: GrantId) -> None:
        """Make the tables that are missing, and the sink's own fit for what the grant gives now.

        Raises ExchangeError(E_CONNECTOR) when it does not fit, with the statement that would help.
        """
        with self._reached():
            self._table.metadata.create_all(self._engine)
            former = self._followed.fit(grant)
        for column in former:
            self._table.append_column(column, replace_existing=True)
        self._emptied = dict.fromkeys(column.name for column in former)
        self._rows = KeyedTable(self._table, self._layout.key, self._engine.dialect)

    def stored(self, grant: GrantId) -> dict[int, Progress]:
        """What was done so far, by partition."""
        with self._reached(), self._engine.connect() as connection:
            return self._progress.all(connection, grant)

    def begin(self, grant: GrantId, topic: str, partitions: Iterable[int], now: datetime) -> dict[int, Progress]:
        """Where to read on in each partition of a share's topic.

        One that was not read for too long is to be read again from its start, and so is another share of the grant.
        """
        found = {}
        with self._reached(), self._engine.begin() as connection:
            for partition in sorted(partitions):
                stored = self._progress.locked(connection, grant, partition)
                progress = stored or Progress(topic=topic, current_at=now)
                other = progress.topic != topic
                if other or progress.stale(now, self._kept):
                    progress.read_again(now, end=0 if other else None)
                    progress.topic = topic
                self._progress.note(connection, (grant, partition), progress, now, known=stored is not None)
                found[partition] = progress
        return found

    def read_again(self, grant: GrantId, partition: int, now: datetime, end: int) -> None:
        """The stored place is not in the share, which ends at `end`: begin a new reading from its start."""
        with self._reached(), self._engine.begin() as connection:
            stored = self._progress.locked(connection, grant, partition)
            progress = stored or Progress()
            progress.read_again(now, end)
            self._progress.note(connection, (grant, partition), progress, now, known=stored is not None)

    def apply(self, batch: Batch, report: Report) -> Progress:
        """Apply a batch and note its progress, in one transaction; gives the progress behind it.

        Changes before the stored progress were applied already and are skipped. A change that the database refuses for
        what it holds is left out, the others are applied one by one, and `report` is called with what was refused
        before the transaction commits: a refusal may be reported twice, but never lost.

        Raises ExchangeError(E_SHARE_POSITION) when the batch belongs to a former reading, or was read too long after
        the share had last been applied to its end: `begin` tells where to read instead.
        """
        with self._reached():
            try:
                return self._apply(batch, self._all, report)
            except (StatementError, ExchangeError) as error:
                if not _is_of_the_record(error):
                    raise
            return self._apply(batch, self._one_by_one, report)

    def complete(self, grant: GrantId, partition: int, reading: int, now: datetime) -> Progress | None:
        """The end of the partition was reached and all before it is applied; rows unseen in a resync are swept.

        Gives the progress behind it; None when another reading has begun meanwhile. Swept rows count as deleted. Each
        step is a transaction: after a crash the rest is swept when the end is reached again.
        """
        mark = Mark(grant, partition, reading)
        while True:
            with self._reached(), self._engine.begin() as connection:
                progress = self._progress.locked(connection, grant, partition)
                if progress is None or progress.reading != reading:
                    return None
                unseen = self._marks.unseen(connection, mark, _SWEPT_AT_ONCE) if progress.resyncing else ()
                if unseen:
                    self._drop(connection, grant, unseen)
                    progress.deleted += len(unseen)
                else:
                    progress.resyncing = False
                    progress.current_at = now
                self._progress.note(connection, (grant, partition), progress, now, known=True)
                if not unseen:
                    return progress

    def apply_again(self, grant: GrantId, now: datetime, all: bool = False) -> AppliedAgain:  # noqa: ARG002
        """Try what is set aside again: what is due, or all of it."""
        return AppliedAgain()

    def set_aside(self, grant: GrantId) -> dict[int, int]:  # noqa: ARG002
        """How many records of each partition wait."""
        return {}

    def oldest(self, grant: GrantId) -> datetime | None:  # noqa: ARG002
        """Since when the record has waited that has waited longest."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _apply(self, batch: Batch, how: "_How", report: Report) -> Progress:
        with self._engine.begin() as connection:
            found = self._progress.locked(connection, batch.grant, batch.partition)
            progress = found or Progress(reading=batch.reading, current_at=batch.at)
            if progress.reading != batch.reading:
                raise ExchangeError("E_SHARE_POSITION", f"partition {batch.partition} is being read again")
            if progress.stale(batch.at, self._kept):
                raise ExchangeError("E_SHARE_POSITION", f"partition {batch.partition} was not read for too long")
            fresh = [change for change in batch.changes if change.offset >= progress.next_offset]
            mark = Mark(batch.grant, batch.partition, batch.reading)
            refused = how(connection, mark, fresh)
            self._keep(connection, mark, [key for key in batch.faulty.values() if key is not None])
            _count(progress, batch, fresh, {offset for offset, _ in refused})
            progress.next_offset = max(progress.next_offset, batch.end)
            self._progress.note(connection, (batch.grant, batch.partition), progress, batch.at, known=found is not None)
            if refused:
                report(refused)
            return progress

    def _all(self, connection: Connection, mark: Mark, changes: Sequence[Change]) -> list[Refusal]:
        """Only the last change of each key: what came before is overwritten anyway."""
        last = {change.key: change for change in changes}
        self._drop(connection, mark.grant, [change.key for change in last.values() if change.record is None])
        kept = [change for change in last.values() if change.record is not None]
        self._rows.put(connection, [self._values(change) for change in kept])
        self._marks.seen(connection, mark, [change.key for change in kept])
        return []

    def _one_by_one(self, connection: Connection, mark: Mark, changes: Sequence[Change]) -> list[Refusal]:
        refused: list[Refusal] = []
        for change in changes:
            try:
                with connection.begin_nested():
                    self._all(connection, mark, [change])
            except (StatementError, ExchangeError) as error:
                if not _is_of_the_record(error):
                    raise
                refused.append((change.offset, error.detail if isinstance(error, ExchangeError) else reason(error)))
                if change.record is not None:
                    self._keep(connection, mark, [change.key])
        return refused

    def _keep(self, connection: Connection, mark: Mark, keys: Sequence[bytes]) -> None:
        """The share holds these records, although this version of them is not in the table: no sweep takes the rows."""
        try:
            with connection.begin_nested():
                self._marks.seen(connection, mark, dict.fromkeys(keys))
        except StatementError as error:
            if not _is_of_the_record(error):
                raise

    def _drop(self, connection: Connection, grant: GrantId, keys: Sequence[bytes]) -> None:
        self._rows.remove(connection, [self._layout.key_values(key) for key in keys])
        self._marks.gone(connection, grant, keys)

    def _values(self, change: Change) -> dict[str, Any]:
        assert change.record is not None
        return {**change.record, **self._layout.key_values(change.key), **self._emptied}

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise ExchangeError("E_SINK_UNREACHABLE", f"{self._table.name}: {reason(error)}") from None


def _count(progress: Progress, batch: Batch, fresh: Sequence[Change], refused: Collection[int]) -> None:
    """Count what is new in this batch and was not counted by a former reading."""
    known = max(progress.next_offset, progress.counted_to)
    for change in fresh:
        if change.offset >= known and change.offset not in refused:
            progress.upserted += change.record is not None
            progress.deleted += change.record is None
    progress.faulty += sum(offset >= known for offset in (*refused, *batch.faulty))


_How = Callable[[Connection, Mark, Sequence[Change]], list[Refusal]]
"""A way to apply changes: gives the offsets that were refused, with the reason."""


def _is_of_the_record(error: StatementError | ExchangeError) -> bool:
    """Whether what the record holds is wrong, and not the connection or the table."""
    if isinstance(error, ExchangeError):
        return error.code == "E_APPLY"
    return isinstance(error, DataError | IntegrityError) or type(error) is StatementError


def _nullable(avro: Any) -> bool:
    return isinstance(avro, list) and "null" in avro


_PRIMITIVE: dict[str, TypeEngine[Any]] = {
    "string": Text(),
    "int": Integer(),
    "long": BigInteger(),
    "float": Double(),
    "double": Double(),
    "boolean": Boolean(),
    "bytes": LargeBinary(),
    "fixed": LargeBinary(),
    "enum": Text(),
}
_LOGICAL: dict[str, TypeEngine[Any]] = {
    "date": Date(),
    "time-millis": Time(),
    "time-micros": Time(),
    "timestamp-millis": DateTime(timezone=True),
    "timestamp-micros": DateTime(timezone=True),
    "local-timestamp-millis": DateTime(),
    "local-timestamp-micros": DateTime(),
    "uuid": Uuid(),
}


def column_type(avro: Any) -> TypeEngine[Any]:
    """The column type for an Avro type; what has structure of its own becomes JSON."""
    kind = not_null(avro)
    if isinstance(kind, str):
        return _PRIMITIVE.get(kind, JSON())
    logical = kind.get("logicalType")
    if logical == "decimal":
        return Numeric(kind["precision"], kind.get("scale", 0))
    return _LOGICAL.get(logical) or _PRIMITIVE.get(kind["type"], JSON())
