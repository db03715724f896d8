"""What a sink's table refused and waits to be taken: the table `exchange_set_aside`, beside the sink's own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import Connection

from exchange.connect.engine import open_engine
from exchange.names import GrantId

SET_ASIDE_TABLE = "exchange_set_aside"


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
        self._engine = open_engine(read_address())
        self._table = Table(
            SET_ASIDE_TABLE,
            MetaData(schema=table.rpartition(".")[0] or None),
            Column("grant_id", Text, primary_key=True),
            Column("record_key", Text, primary_key=True),
            Column("partition_number", Integer),
            Column("record_offset", BigInteger),
            Column("code", Text),
            Column("detail", Text),
            Column("set_aside_at", DateTime(timezone=True)),
            Column("tries", Integer),
            Column("asked", Boolean),
        )

    def listed(self) -> list[SetAsideRecord]:
        """All that waits, the oldest first. Raises ExchangeError(E_SINK_UNREACHABLE)."""
        columns = self._table.c
        with self._engine.connect() as connection:
            if not self._there(connection):
                return []
            ordered = select(self._table).order_by(columns.set_aside_at, columns.grant_id, columns.record_key)
            rows = connection.execute(ordered).all()
        return [
            SetAsideRecord(row[0], row[1], row[2], row[3], row[4], row[5], row[6].replace(tzinfo=UTC), row[7])
            for row in rows
        ]

    def ask(self, records: Iterable[SetAsideRecord] | None = None) -> int:
        """Have these records tried again by the running sink, or all; how many of them wait."""
        columns = self._table.c
        asked = update(self._table).values(asked=True)
        with self._engine.begin() as connection:
            if not self._there(connection):
                return 0
            if records is None:
                return connection.execute(asked).rowcount
            these = [and_(columns.grant_id == one.grant, columns.record_key == one.record_key) for one in records]
            return sum(connection.execute(asked.where(this)).rowcount for this in these)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _there(self, connection: Connection) -> bool:
        return inspect(connection).has_table(self._table.name, schema=self._table.schema)
