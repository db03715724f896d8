"""How far a sink has come with each partition of a share: a table beside its own.

A share is read from its beginning once, and then on and on. When the sink was away for longer than tombstones are kept,
or its place in the share is gone, it reads the share again from the beginning: a new *reading*. Each record it sees is
marked with the number of the reading (`marks`), and at the end of the share the rows that bear the mark of a former one
are swept: they were withdrawn meanwhile. Marks and place change in the transaction that applies the records, so that a
reading goes on after a crash where it stood. What an earlier reading has counted is not counted again.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    and_,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection, Row

from exchange.handover.table.column_types import TABLE_OPTIONS, Name, in_utc, moment
from exchange.names import GrantId

PROGRESS_TABLE = "exchange_progress"
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
            Column("grant_id", Name, primary_key=True),
            Column("partition_number", Integer, primary_key=True, autoincrement=False),
            Column("topic", Name(249), nullable=False),
            Column("next_offset", BigInteger, nullable=False),
            Column("upserted", BigInteger, nullable=False),
            Column("deleted", BigInteger, nullable=False),
            Column("faulty", BigInteger, nullable=False),
            Column("counted_to", BigInteger, nullable=False),
            Column("reading", Integer, nullable=False),
            Column("resyncing", Boolean, nullable=False),
            Column("current_at", moment(), nullable=False),
            Column("updated_at", moment(), nullable=False),
            **TABLE_OPTIONS,
        )

    def read_again(self, connection: Connection, grant: GrantId) -> list[int]:
        """Begin a new reading of all that has been read of the share; of which partitions."""
        partitions = sorted(self.all(connection, grant))
        for partition in partitions:
            progress = self.locked(connection, grant, partition)
            if progress is not None and progress.current_at is not None:
                progress.read_again(progress.current_at)
                self.note(connection, (grant, partition), progress, progress.current_at, known=True)
        return partitions

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
    found.current_at = in_utc(found.current_at)
    return found
