"""Writing the records of a grant into a department's table, each batch in one transaction with its progress."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import MetaData
from sqlalchemy import Table as SqlTable
from sqlalchemy.engine import Connection

from exchange.connect.engine import Address, open_engine
from exchange.errors import ExchangeError
from exchange.handover.layout import Change, Layout
from exchange.handover.table.batch import AppliedAgain, Batch, Mark, Refusal, Report
from exchange.handover.table.column_types import TABLE_OPTIONS
from exchange.handover.table.columns import ColumnsGone, FollowedTable
from exchange.handover.table.definition import FoundColumn, constraints, describe, hold
from exchange.handover.table.exact.convert import converter
from exchange.handover.table.exact.kinds import Kind, kind_of
from exchange.handover.table.marks import RowMarks
from exchange.handover.table.progress import Progress, ProgressTable
from exchange.handover.table.reach import reached
from exchange.handover.table.rows import RowMaker, Shape, columns_of
from exchange.handover.table.session import keep_exact
from exchange.handover.table.set_aside import SetAside, Waiting
from exchange.handover.table.upsert import keyed_table
from exchange.handover.table.writing import Writer
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.names import GrantId

__all__ = ["AppliedAgain", "Batch", "Refusal", "Report", "Shape", "SqlTarget"]

_CLOCKS_DIFFER = timedelta(days=1)
"""A sink reads its share again a little early: its clock and those of the brokers may differ."""
_SWEPT_AT_ONCE = 10_000
_TRIED_AT_ONCE = 500
_PORTIONS_AT_ONCE = 10
_LOOK_EVERY = timedelta(seconds=5)
"""How often it is looked whether something that was set aside is to be tried."""
_INSPECT_EVERY = timedelta(minutes=1)


class SqlTarget:
    """The table of one sink and its progress.

    Every method raises ExchangeError: E_SINK_UNREACHABLE when the database is away, E_CONNECTOR for what waiting does
    not mend, such as a right that is missing.
    """

    def __init__(
        self, name: str, address: Address, layout: Layout, kept: timedelta = TOMBSTONES_KEPT, shape: Shape | None = None
    ) -> None:
        """kept: how long the share keeps tombstones; a sink that was away longer reads it again."""
        self._layout = layout
        self._shape = shape or Shape()
        self._engine = open_engine(address)
        keep_exact(self._engine)
        dialect = self._engine.dialect
        self._kept = kept - min(_CLOCKS_DIFFER, kept / 2)
        schema, _, table = name.rpartition(".")
        metadata = MetaData(schema=schema or None)
        self._table = SqlTable(table, metadata, *columns_of(layout, dialect, self._shape), **TABLE_OPTIONS)
        self._key = [self._shape.column(part) for part in layout.key]
        self._followed = FollowedTable(self._engine, self._table, self._key, whole=self._shape.map is None)
        self._emptied: tuple[str, ...] = ()
        """Columns that the grant filled before it was amended."""
        self._progress = ProgressTable(metadata)
        self._marks = RowMarks(metadata, dialect)
        self._aside = SetAside(metadata, dialect, layout.schema)
        self._found: tuple[FoundColumn, ...] = ()
        self._made_writer: Writer | None = None
        self._partitions: set[int] = set()
        """Those that were begun here; what waits of the others is another process's business."""
        self._replaced: list[bytes] = []
        self._look_at: datetime | None = None
        self._inspect_at: datetime | None = None
        self._definition: object = None
        self._round: dict[int, int] = {}
        """Of a round through all that waits: partitions that are left, and the offset that was tried last in each."""
        self._taken_in_round = False

    def prepare(self, grant: GrantId) -> None:
        """Make the tables that are missing, and the sink's own fit for what the grant gives now.

        Raises ExchangeError(E_CONNECTOR) when it does not fit, with the statement that would help.
        """
        with self._reached(grant):
            self._followed.make()
            fitted = self._followed.fit(grant)
            self._emptied = fitted.emptied
            with self._engine.begin() as connection:
                self._learn(describe(connection, self._table))
                self._followed.note(connection, grant, fitted.new)
                for partition in self._progress.read_again(connection, grant) if fitted.new else ():
                    self._aside.forget(connection, (grant, partition))
        self._look_at = self._inspect_at = None
        self._round.clear()

    def stored(self, grant: GrantId) -> dict[int, Progress]:
        """What was done so far, by partition."""
        with self._reached(grant), self._engine.connect() as connection:
            return self._progress.all(connection, grant)

    def begin(self, grant: GrantId, topic: str, partitions: Iterable[int], now: datetime) -> dict[int, Progress]:
        """Where to read on in each partition of a share's topic.

        One that was not read for too long is to be read again from its start, and so is another share of the grant.
        """
        found = {}
        with self._reached(grant), self._engine.begin() as connection:
            for partition in sorted(partitions):
                stored = self._progress.locked(connection, grant, partition)
                progress = stored or Progress(topic=topic, current_at=now)
                other = progress.topic != topic
                if other or progress.stale(now, self._kept):
                    progress.read_again(now, end=0 if other else None)
                    progress.topic = topic
                    self._aside.forget(connection, (grant, partition))
                self._progress.note(connection, (grant, partition), progress, now, known=stored is not None)
                found[partition] = progress
        self._partitions.update(found)
        return found

    def read_again(self, grant: GrantId, partition: int, now: datetime, end: int) -> None:
        """The stored place is not in the share, which ends at `end`: begin a new reading from its start."""
        with self._reached(grant), self._engine.begin() as connection:
            stored = self._progress.locked(connection, grant, partition)
            progress = stored or Progress()
            progress.read_again(now, end)
            self._aside.forget(connection, (grant, partition))
            self._progress.note(connection, (grant, partition), progress, now, known=stored is not None)

    def apply(self, batch: Batch, report: Report) -> Progress:
        """Apply a batch and note its progress, in one transaction; gives the progress behind it.

        Changes before the stored progress were applied already and are skipped. A change that the table refuses is set
        aside, and `report` is called with what was refused before the transaction commits: a refusal may be reported
        twice, but never lost.

        Raises ExchangeError(E_SHARE_POSITION) when the batch belongs to a former reading, or was read too long after
        the share had last been applied to its end: `begin` tells where to read instead.
        """
        with self._reached(batch.grant), self._engine.connect() as connection:
            writer = self._writer(connection)
            with connection.begin():
                return self._apply(connection, writer, batch, report)

    def apply_again(self, grant: GrantId, now: datetime, all: bool = False) -> AppliedAgain:
        """Try what was set aside in the partitions begun here, as far as its time has come; with `all` everything.

        Everything also at the first call behind `prepare` and when the table's definition has changed. Cheap when there
        is nothing to do, so that it can be called whenever the line is idle.
        """
        applied: list[bytes] = []
        if all or self._look_at is None or now >= self._look_at:
            everything = all or self._look_at is None
            with self._reached(grant):
                applied = self._apply_due(grant, now, everything, at_once=all)
            self._look_at = now if self._round else now + _LOOK_EVERY
        replaced, self._replaced = tuple(self._replaced), []
        return AppliedAgain(tuple(applied), sum(self.set_aside(grant).values()), replaced)

    def set_aside(self, grant: GrantId) -> dict[int, int]:
        """How many records of the grant wait because the table refuses them, by partition."""
        with self._reached(grant), self._engine.connect() as connection:
            return self._aside.count(connection, grant)

    def oldest(self, grant: GrantId) -> datetime | None:
        """Since when the record has waited that has waited longest."""
        with self._reached(grant), self._engine.connect() as connection:
            return self._aside.oldest(connection, grant)

    def complete(self, grant: GrantId, partition: int, reading: int, now: datetime) -> Progress | None:
        """The end of the partition was reached and all before it is applied; rows unseen in a resync are swept.

        Gives the progress behind it; None when another reading has begun meanwhile. Swept rows count as deleted; one
        that the table does not give up is set aside. Each step is a transaction: after a crash the rest is swept when
        the end is reached again.
        """
        mark = Mark(grant, partition, reading)
        while True:
            with self._reached(grant), self._engine.connect() as connection:
                writer = self._writer(connection)
                with connection.begin():
                    progress = self._progress.locked(connection, grant, partition)
                    if progress is None or progress.reading != reading:
                        return None
                    unseen = self._marks.unseen(connection, mark, _SWEPT_AT_ONCE) if progress.resyncing else ()
                    if unseen:
                        writer = self._held(connection) or writer
                        self._sweep(connection, writer, mark, (unseen, progress, now))
                    else:
                        progress.resyncing = False
                        progress.current_at = now
                    self._progress.note(connection, (grant, partition), progress, now, known=True)
                    if not unseen:
                        return progress

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    # what a transaction does

    def _apply(self, connection: Connection, writer: Writer, batch: Batch, report: Report) -> Progress:
        place = (batch.grant, batch.partition)
        found = self._progress.locked(connection, *place)
        progress = found or Progress(reading=batch.reading, current_at=batch.at)
        if progress.reading != batch.reading:
            raise ExchangeError("E_SHARE_POSITION", f"partition {batch.partition} is being read again")
        if progress.stale(batch.at, self._kept):
            raise ExchangeError("E_SHARE_POSITION", f"partition {batch.partition} was not read for too long")
        writer = self._held(connection) or writer
        fresh = [change for change in batch.changes if change.offset >= progress.next_offset]
        mark = Mark(batch.grant, batch.partition, batch.reading)
        since = self._aside.take(connection, place, [change.key for change in fresh])
        refused = writer.write(connection, mark, fresh, whole=True)
        self._aside.keep(connection, place, refused, batch.at, since)
        writer.keep(connection, mark, [key for key in batch.faulty.values() if key is not None])
        refusals = sorted((one.change.offset, one.detail) for one in refused)
        _count(progress, batch, fresh, {offset for offset, _ in refusals})
        progress.next_offset = max(progress.next_offset, batch.end)
        self._progress.note(connection, place, progress, batch.at, known=found is not None)
        if refusals:
            report(refusals)
        self._replaced += since
        return progress

    def _sweep(
        self,
        connection: Connection,
        writer: Writer,
        mark: Mark,
        what: tuple[Sequence[bytes], Progress, datetime],
    ) -> None:
        keys, progress, now = what
        last = max(progress.next_offset - 1, 0)
        refused = writer.write(connection, mark, [Change(last, key, None) for key in keys], whole=True)
        place = (mark.grant, mark.partition)
        since = self._aside.take(connection, place, keys)
        self._aside.keep(connection, place, refused, now, since)
        progress.deleted += len(keys) - len(refused)

    def _apply_due(self, grant: GrantId, now: datetime, everything: bool, at_once: bool) -> list[bytes]:
        """Some portions of what is to be tried; of a round through all that waits, what is left at the next call."""
        if not self.set_aside(grant):
            self._round.clear()
            return []
        if self._changed(now) or everything:
            self._round = dict.fromkeys(sorted(self._partitions), -1)
            self._taken_in_round = False
        applied: list[bytes] = []
        portions = 0
        while self._round and (at_once or portions < _PORTIONS_AT_ONCE):
            portions += 1
            partition, behind = next(iter(self._round.items()))
            taken, last = self._try((grant, partition), now, behind)
            applied += taken
            self._taken_in_round = self._taken_in_round or bool(taken)
            self._go_on(partition, last)
        if not self._round:
            for partition in sorted(self._partitions):
                applied += self._try((grant, partition), now, None)[0]
        return applied

    def _go_on(self, partition: int, last: int | None) -> None:
        """The next portion of a round; another round when this has applied what others may wait for."""
        if last is not None:
            self._round[partition] = last
            return
        del self._round[partition]
        if not self._round and self._taken_in_round:
            self._round = dict.fromkeys(sorted(self._partitions), -1)
            self._taken_in_round = False

    def _try(self, place: tuple[GrantId, int], now: datetime, behind: int | None) -> tuple[list[bytes], int | None]:
        """Try a portion of what waits: everything behind an offset, or without one what has waited long enough.

        Gives the keys of what was applied, and the last offset that was tried, or None.
        """
        with self._engine.connect() as connection:
            writer = self._writer(connection)
            with connection.begin():
                progress = self._progress.locked(connection, *place)
                writer = self._held(connection) or writer
                until, start = (now, -1) if behind is None else (None, behind)
                due = self._aside.due(connection, place, until, (start, _TRIED_AT_ONCE))
                if progress is None or not due:
                    return [], None
                taken = self._try_these(connection, writer, place, (due, progress, now))
        return taken, due[-1].change.offset

    def _try_these(
        self,
        connection: Connection,
        writer: Writer,
        place: tuple[GrantId, int],
        what: tuple[Sequence[Waiting], Progress, datetime],
    ) -> list[bytes]:
        due, progress, now = what
        refused = {
            one.change.key: one.detail
            for one in writer.write(connection, Mark(*place, progress.reading), [one.change for one in due])
        }
        done = [one for one in due if one.change.key not in refused]
        self._aside.done(connection, place[0], [one.change.key for one in done])
        still = [(one, refused[one.change.key]) for one in due if one.change.key in refused]
        self._aside.tried(connection, place[0], still, now)
        progress.upserted += sum(one.change.record is not None for one in done)
        progress.deleted += sum(one.change.record is None for one in done)
        progress.faulty = max(progress.faulty - len(done), 0)
        self._progress.note(connection, place, progress, now, known=True)
        return [one.change.key for one in done]

    # the table as it is

    def _writer(self, connection: Connection) -> Writer:
        """What writes the table; the session is ready for it, in a transaction of its own."""
        with connection.begin():
            if self._made_writer is None:
                self._learn(describe(connection, self._table))
            assert self._made_writer is not None
            self._made_writer.ready(connection)
            return self._made_writer

    def _held(self, connection: Connection) -> Writer | None:
        """Keep the table as it is until the end of the transaction; another writer if it is not as it was."""
        hold(connection, self._table)
        found = describe(connection, self._table)
        if found == self._found:
            return None
        self._learn(found)
        return self._made_writer

    def _learn(self, found: Sequence[FoundColumn]) -> None:
        """Raises ExchangeError(E_CONNECTOR) when the table does not fit."""
        self._followed.refuse_other(found)
        self._refuse_other_types(found)
        there = {column.name for column in found}
        emptied = [name for name in self._emptied if name in there]
        dialect = self._engine.dialect.name
        maker = RowMaker(self._layout, self._shape, found, emptied, dialect)
        self._made_writer = Writer(keyed_table(dialect, self._table, self._key, found), maker, self._marks)
        self._found = tuple(found)

    def _refuse_other_types(self, found: Sequence[FoundColumn]) -> None:
        """Text for a column of another type, as after a stronger mask, with the statement that helps."""
        columns = {column.name: column for column in found}
        for one in self._layout.schema["fields"] if self._shape.map is None else ():
            name, kind = self._shape.column(one["name"]), kind_of(one["type"])
            try:
                converter(columns[name], kind, self._engine.dialect.name)
            except ExchangeError as error:
                helps = f": {self._followed.other_type(name)}" if kind is Kind.TEXT else ""
                detail = f"{name} is granted as text" if kind is Kind.TEXT else error.detail
                raise ExchangeError("E_CONNECTOR", f"{detail}{helps}") from None

    def _changed(self, now: datetime) -> bool:
        """Whether the table's definition is another than when it was last looked at."""
        if self._inspect_at is not None and now < self._inspect_at:
            return False
        self._inspect_at = now + _INSPECT_EVERY
        with self._engine.connect() as connection:
            definition = (describe(connection, self._table), constraints(connection, self._table))
        before, self._definition = self._definition, definition
        return before != definition

    @contextmanager
    def _reached(self, grant: GrantId) -> Iterator[None]:
        with reached(self._table.name):
            try:
                yield
            except ColumnsGone as lost:
                raise self._followed.gone(grant, lost.columns) from None


def _count(progress: Progress, batch: Batch, fresh: Sequence[Change], refused: Collection[int]) -> None:
    """Count what is new in this batch and was not counted by a former reading."""
    known = max(progress.next_offset, progress.counted_to)
    counted = [change.record for change in fresh if change.offset >= known and change.offset not in refused]
    deleted = counted.count(None)
    progress.upserted += len(counted) - deleted
    progress.deleted += deleted
    progress.faulty += sum(offset >= known for offset in (*refused, *batch.faulty))
