"""What a sink's table refused and waits to be taken: the table `exchange_set_aside`, beside the sink's own.

A record stands there from the transaction that moved the progress past it until the table has taken it, a newer version
came, or the share is read anew. Its values are the share's bytes (Avro, by the share's schema), so that it is applied
again as it came. It is tried again at start, when the table's definition has changed, when somebody asks for it, and by
itself after pauses that grow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
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
    bindparam,
    delete,
    func,
    insert,
    inspect,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.engine import Connection, Dialect, Row

from exchange.avro import Codec
from exchange.avro.lock import fingerprint
from exchange.connect.engine import open_engine
from exchange.handover.layout import Change
from exchange.handover.table.batch import Refused
from exchange.handover.table.column_types import (
    MAX_KEY_BYTES,
    TABLE_OPTIONS,
    KeyText,
    Name,
    in_utc,
    long_bytes,
    long_text,
    moment,
)
from exchange.handover.table.reach import reached
from exchange.handover.table.session import keep_exact
from exchange.names import GrantId

SET_ASIDE_TABLE = "exchange_set_aside"
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)
_DOUBLINGS = 6
_KEYS_AT_ONCE = 500
_CODE = "E_APPLY"


def set_aside_table(metadata: MetaData, dialect: Dialect) -> Table:
    """The table, for one database."""
    return Table(
        SET_ASIDE_TABLE,
        metadata,
        Column("grant_id", Name, primary_key=True),
        Column("record_key", KeyText, primary_key=True),
        Column("partition_number", Integer, nullable=False),
        Column("record_offset", BigInteger, nullable=False),
        Column("raw_key", long_bytes(dialect), nullable=False),
        Column("withdrawal", Boolean, nullable=False),
        Column("record", long_bytes(dialect)),
        Column("schema_hash", Name, nullable=False),
        Column("code", Name, nullable=False),
        Column("detail", long_text(dialect), nullable=False),
        Column("set_aside_at", moment(), nullable=False),
        Column("tried_at", moment(), nullable=False),
        Column("try_at", moment(), nullable=False),
        Column("tries", Integer, nullable=False),
        Column("asked", Boolean, nullable=False),
        **TABLE_OPTIONS,
    )


def identity(key: bytes) -> str:
    """How a record's key stands in the table: as it is, unless a database could not hold it."""
    text = key.decode("utf-8", "replace")
    return text if len(key) <= MAX_KEY_BYTES and "\0" not in text else f"sha256:{sha256(key).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that waits. Its repr holds neither key nor value."""

    change: Change = field(repr=False)
    tries: int


class SetAside:
    """The records of a share that its table refused."""

    def __init__(self, metadata: MetaData, dialect: Dialect, schema: Mapping[str, Any]) -> None:
        self.table = set_aside_table(metadata, dialect)
        self._schema = schema
        self._schema_hash = fingerprint(schema)
        self._made: Codec | None = None
        columns = self.table.c
        self._one = and_(columns.grant_id == bindparam("grant"), columns.record_key == bindparam("key"))

    def take(self, connection: Connection, place: tuple[GrantId, int], keys: Iterable[bytes]) -> dict[bytes, datetime]:
        """Newer changes of these keys have come: what waits of them is forgotten; since when it had waited."""
        columns = self.table.c
        of_partition = (columns.grant_id == place[0], columns.partition_number == place[1])
        if connection.execute(select(columns.record_offset).where(*of_partition).limit(1)).first() is None:
            return {}
        by_identity = {identity(key): key for key in keys}
        taken: dict[bytes, datetime] = {}
        for some in _portions(list(by_identity)):
            these = and_(*of_partition, columns.record_key.in_(some))
            rows = connection.execute(select(columns.record_key, columns.set_aside_at).where(these)).all()
            taken |= {by_identity[row.record_key]: _moment(row.set_aside_at) for row in rows}
            if rows:
                connection.execute(delete(self.table).where(these))
        return taken

    def keep(
        self,
        connection: Connection,
        place: tuple[GrantId, int],
        refused: Sequence[Refused],
        at: datetime,
        since: Mapping[bytes, datetime],
    ) -> None:
        """These records wait; nothing of their keys does yet. `since`: when an older version began to wait."""
        rows = [{**self._row(one, at), "set_aside_at": since.get(one.change.key, at)} for one in refused]
        if rows:
            named = {"grant_id": place[0], "partition_number": place[1]}
            connection.execute(insert(self.table), [{**named, **row} for row in rows])

    def due(
        self, connection: Connection, place: tuple[GrantId, int], now: datetime | None, portion: tuple[int, int]
    ) -> list[Waiting]:
        """Records of a partition that are to be tried, in the order of the share; all of them without a `now`.

        portion: behind which offset, and at most how many. What was cut by another schema, or could not be kept, waits
        for the share to be read anew.
        """
        columns = self.table.c
        time_is_come: ColumnElement[bool] = true()
        if now is not None:
            time_is_come = or_(columns.asked.is_(True), columns.try_at <= now)
        statement = (
            select(self.table)
            .where(columns.grant_id == place[0], columns.partition_number == place[1], time_is_come)
            .where(columns.record_offset > portion[0])
            .where(columns.schema_hash == self._schema_hash)
            .where(or_(columns.withdrawal.is_(True), columns.record.is_not(None)))
            .order_by(columns.record_offset)
            .limit(portion[1])
        )
        return [self._waiting(row) for row in connection.execute(statement)]

    def tried(
        self, connection: Connection, grant: GrantId, refused: Sequence[tuple[Waiting, str]], at: datetime
    ) -> None:
        """The table has refused these once more."""
        statement = update(self.table).where(self._one)
        for waiting, detail in refused:
            tries = waiting.tries + 1
            pause = min(_FIRST_PAUSE * 2 ** min(tries - 1, _DOUBLINGS), _LONGEST_PAUSE)
            values = {"detail": detail, "tried_at": at, "try_at": at + pause, "tries": tries, "asked": False}
            named = {"grant": grant, "key": identity(waiting.change.key)}
            connection.execute(statement.values(**values), named)

    def done(self, connection: Connection, grant: GrantId, keys: Sequence[bytes]) -> None:
        """The table has taken these."""
        if keys:
            named = [{"grant": grant, "key": identity(key)} for key in keys]
            connection.execute(delete(self.table).where(self._one), named)

    def forget(self, connection: Connection, place: tuple[GrantId, int]) -> None:
        """A partition is read anew: whatever is not as the share says will come again."""
        columns = self.table.c
        of_partition = (columns.grant_id == place[0], columns.partition_number == place[1])
        connection.execute(delete(self.table).where(*of_partition))

    def count(self, connection: Connection, grant: GrantId) -> dict[int, int]:
        """How many records wait, by partition."""
        columns = self.table.c
        statement = (
            select(columns.partition_number, func.count())
            .where(columns.grant_id == grant)
            .group_by(columns.partition_number)
        )
        return {row[0]: row[1] for row in connection.execute(statement)}

    def oldest(self, connection: Connection, grant: GrantId) -> datetime | None:
        """Since when the record has waited that has waited longest."""
        columns = self.table.c
        return in_utc(
            connection.execute(select(func.min(columns.set_aside_at)).where(columns.grant_id == grant)).scalar()
        )

    def _row(self, refused: Refused, at: datetime) -> dict[str, Any]:
        change = refused.change
        return {
            "record_key": identity(change.key),
            "raw_key": change.key,
            "record_offset": change.offset,
            "withdrawal": change.record is None,
            "record": None if change.record is None else self._encoded(change.record),
            "schema_hash": self._schema_hash,
            "code": _CODE,
            "detail": refused.detail,
            "tried_at": at,
            "try_at": at + _FIRST_PAUSE,
            "tries": 0,
            "asked": False,
        }

    def _encoded(self, record: dict[str, Any]) -> bytes | None:
        """The share's bytes; None for a record that is not of its schema, which then cannot be kept."""
        try:
            return self._codec.encode(record)
        except Exception:  # whatever is wrong with one record holds nobody up
            return None

    def _waiting(self, row: Row[Any]) -> Waiting:
        record = None if row.withdrawal else self._codec.decode(bytes(row.record))
        return Waiting(Change(row.record_offset, bytes(row.raw_key), record), row.tries)

    @property
    def _codec(self) -> Codec:
        if self._made is None:
            self._made = Codec(dict(self._schema))
        return self._made


@dataclass(frozen=True, slots=True)
class SetAsideRecord:
    """A record that waits in a sink's database, as its department sees it. Its repr does not show the key."""

    grant: GrantId
    record_key: str = field(repr=False)
    partition: int
    offset: int
    code: str
    detail: str
    since: datetime
    tries: int


class SetAsideView:
    """What waits in a department's database, for its command line. Nothing is made there."""

    def __init__(self, read_address: Callable[[], str], table: str = "") -> None:
        """table: the sink's own, in whose schema the exchange's tables stand."""
        self._engine = open_engine(read_address)
        keep_exact(self._engine)
        self._table = set_aside_table(MetaData(schema=table.rpartition(".")[0] or None), self._engine.dialect)

    def listed(self) -> list[SetAsideRecord]:
        """All that waits, the oldest first. Raises ExchangeError(E_SINK_UNREACHABLE)."""
        columns = self._table.c
        with reached(SET_ASIDE_TABLE), self._engine.connect() as connection:
            if not self._there(connection):
                return []
            ordered = select(self._table).order_by(columns.set_aside_at, columns.grant_id, columns.record_key)
            return [_listed(row) for row in connection.execute(ordered)]

    def ask(self, records: Iterable[SetAsideRecord] | None = None) -> int:
        """Have these records tried again by the running sink, or all; how many of them wait."""
        columns = self._table.c
        with reached(SET_ASIDE_TABLE), self._engine.begin() as connection:
            if not self._there(connection):
                return 0
            asked = update(self._table).values(asked=True)
            if records is None:
                return connection.execute(asked).rowcount
            found = 0
            for one in records:
                this = and_(columns.grant_id == one.grant, columns.record_key == one.record_key)
                found += connection.execute(asked.where(this)).rowcount
            return found

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _there(self, connection: Connection) -> bool:
        return inspect(connection).has_table(self._table.name, schema=self._table.schema)


def _listed(row: Row[Any]) -> SetAsideRecord:
    place = (GrantId(row.grant_id), row.record_key, row.partition_number, row.record_offset)
    return SetAsideRecord(*place, row.code, row.detail, _moment(row.set_aside_at), row.tries)


def _moment(found: datetime) -> datetime:
    moment_ = in_utc(found)
    assert moment_ is not None
    return moment_


def _portions(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield keys[start : start + _KEYS_AT_ONCE]
