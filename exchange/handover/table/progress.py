"""How far a sink has come with each partition of a share, and which records it holds: two tables beside its own.

A share is read from its beginning once, and then on and on. When the sink was away for longer than tombstones are kept,
or its place in the share is gone, it reads the share again from the beginning: a new *reading*. Each record it sees is
marked with the number of the reading, and at the end of the share the rows that bear the mark of a former one are
swept: they were withdrawn meanwhile. Marks and place change in the transaction that applies the records, so that a
reading goes on after a crash where it stood. What an earlier reading has counted is not counted again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, Dialect, Row

from exchange.handover.table.upsert import KeyedTable
from exchange.names import GrantId

PROGRESS_TABLE = "exchange_progress"
ROWS_TABLE = "exchange_rows"
_NO_TOPIC = ""
"""Of a share that is not known: the column may not be null."""


@dataclass(slots=True)
class Progress:
    """What a sink has done with one partition of a share, over all its runs."""

    next_offset: int = 0
    """The first offset that the present reading has not applied."""
    upserted: int = 0
    deleted: int = 0
    faulty: int = 0
    counted_to: int = 0
    """Offsets before it were counted by a former reading."""
    reading: int = 1
    """How often the share has been read from its beginning, the present time included."""
    resyncing: bool = False
    """Whether rows of former readings are still to be swept."""
    topic: str | None = field(default=None, compare=False)
    """Which share it is about: a grant that is amended goes on in another one. None before one was read."""
    current_at: datetime | None = field(default=None, compare=False)
    """When all that stood in the partition had last been applied; before that, when the present reading began."""

    def stale(self, now: datetime, kept: timedelta) -> bool:
        """Whether a tombstone may have come and gone since: what is read from here on does not tell of it."""
        return self.current_at is not None and now - self.current_at > kept

    def read_again(self, now: datetime, end: int | None = None) -> None:
        """Begin a new reading. `end`: where the share ends, if the offsets counted so far may lie beyond it."""
        counted = max(self.counted_to, self.next_offset)
        self.counted_to = counted if end is None else min(counted, end)
        self.next_offset = 0
        self.reading += 1
        self.resyncing = True
        self.current_at = now


class ProgressTable:
    """The table `exchange_progress`: one row for each partition of a grant's share."""

    def __init__(self, metadata: MetaData) -> None:
        self.table = Table(
            PROGRESS_TABLE,
            metadata,
            Column("grant_id", Text, primary_key=True),
            Column("partition_number", Integer, primary_key=True, autoincrement=False),
            Column("topic", Text, nullable=False),
            Column("next_offset", BigInteger, nullable=False),
            Column("upserted", BigInteger, nullable=False),
            Column("deleted", BigInteger, nullable=False),
            Column("faulty", BigInteger, nullable=False),
            Column("counted_to", BigInteger, nullable=False),
            Column("reading", Integer, nullable=False),
            Column("resyncing", Boolean, nullable=False),
            Column("current_at", DateTime(timezone=True), nullable=False),
            Column("updated_at", DateTime(timezone=True), nullable=False),
        )

    def all(self, connection: Connection, grant: GrantId) -> dict[int, Progress]:
        """By partition."""
        rows = connection.execute(select(self.table).where(self.table.c.grant_id == grant)).all()
        return {row.partition_number: _progress(row) for row in rows}

    def locked(self, connection: Connection, grant: GrantId, partition: int) -> Progress | None:
        """The stored progress, held until the end of the transaction: a twin waits and then skips what is done."""
        row = connection.execute(select(self.table).where(self._of(grant, partition)).with_for_update()).first()
        return None if row is None else _progress(row)

    def note(
        self, connection: Connection, place: tuple[GrantId, int], progress: Progress, at: datetime, known: bool
    ) -> None:
        """Store a progress; `known`: the row is there already."""
        there = {"topic": progress.topic or _NO_TOPIC, "current_at": progress.current_at or at, "updated_at": at}
        values: dict[str, Any] = {**asdict(progress), **there}
        if known:
            connection.execute(update(self.table).where(self._of(*place)).values(**values))
        else:
            named = {"grant_id": place[0], "partition_number": place[1]}
            connection.execute(insert(self.table).values(**named, **values))

    def _of(self, grant: GrantId, partition: int) -> ColumnElement[bool]:
        return and_(self.table.c.grant_id == grant, self.table.c.partition_number == partition)


def _progress(row: Row[Any]) -> Progress:
    found = Progress(**{name: getattr(row, name) for name in Progress.__dataclass_fields__})
    found.topic = found.topic or None
    if found.current_at is not None and found.current_at.tzinfo is None:  # a database without time zones
        found.current_at = found.current_at.replace(tzinfo=UTC)
    return found


@dataclass(frozen=True, slots=True)
class Mark:
    """What a row is marked with when it is seen."""

    grant: GrantId
    partition: int
    reading: int


class RowMarks:
    """The table `exchange_rows`: which records a grant has brought, and in which reading they were seen last."""

    def __init__(self, metadata: MetaData, dialect: Dialect) -> None:
        table = Table(
            ROWS_TABLE,
            metadata,
            Column("grant_id", Text, primary_key=True),
            Column("record_key", Text, primary_key=True),
            Column("partition_number", Integer, nullable=False),
            Column("reading", Integer, nullable=False),
        )
        self.table = table
        self._rows = KeyedTable(
            table, ("grant_id", "record_key"), dialect, same=lambda there, new: there.reading == new.reading
        )

    def seen(self, connection: Connection, mark: Mark, keys: Iterable[bytes]) -> None:
        """These records are in the share."""
        rest = {"partition_number": mark.partition, "reading": mark.reading}
        self._rows.put(connection, [{"grant_id": mark.grant, "record_key": _text(key), **rest} for key in keys])

    def gone(self, connection: Connection, grant: GrantId, keys: Iterable[bytes]) -> None:
        """These records are no longer in the share."""
        self._rows.remove(connection, [{"grant_id": grant, "record_key": _text(key)} for key in keys])

    def unseen(self, connection: Connection, mark: Mark, limit: int) -> Sequence[bytes]:
        """At most `limit` records of the partition that were seen in former readings only."""
        columns = self.table.c
        of_former = and_(
            columns.grant_id == mark.grant,
            columns.partition_number == mark.partition,
            columns.reading < mark.reading,
        )
        found = connection.execute(select(columns.record_key).where(of_former).limit(limit)).scalars()
        return [key.encode() for key in found]


def _text(key: bytes) -> str:
    return key.decode("utf-8", "replace")
