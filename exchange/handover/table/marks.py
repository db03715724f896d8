"""Which records a grant has brought, and in which reading each was seen last: the table `exchange_rows`."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, Text, and_, bindparam, cast, delete, func, select
from sqlalchemy.engine import Connection, Dialect

from exchange.handover.table.batch import Mark
from exchange.handover.table.column_types import TABLE_OPTIONS, KeyText, Name
from exchange.names import GrantId

ROWS_TABLE = "exchange_rows"
_COLUMNS = ("grant_id", "record_key", "partition_number", "reading")


class RowMarks:
    """The table `exchange_rows`."""

    def __init__(self, metadata: MetaData, dialect: Dialect) -> None:
        self.table = Table(
            ROWS_TABLE,
            metadata,
            Column("grant_id", Name, primary_key=True),
            Column("record_key", KeyText, primary_key=True),
            Column("partition_number", Integer, nullable=False),
            Column("reading", Integer, nullable=False),
            **TABLE_OPTIONS,
        )
        self._at_once = dialect.name == "postgresql"
        self._put = _PUTS[dialect.name](self.table)
        columns = self.table.c
        self._delete = delete(self.table).where(
            columns.grant_id == bindparam("grant"), columns.record_key == bindparam("key")
        )

    def seen(self, connection: Connection, mark: Mark, keys: Iterable[bytes]) -> None:
        """These records are in the share."""
        place = {"grant_id": mark.grant, "partition_number": mark.partition, "reading": mark.reading}
        texts = [_text(key) for key in keys]
        if texts and self._at_once:
            connection.execute(self._put, {**place, "keys": json.dumps(texts, ensure_ascii=False)})
        elif texts:
            connection.execute(self._put, [{**place, "record_key": key} for key in texts])

    def gone(self, connection: Connection, grant: GrantId, keys: Iterable[bytes]) -> None:
        """These records are no longer in the share."""
        removed = [{"grant": grant, "key": _text(key)} for key in keys]
        if removed:
            connection.execute(self._delete, removed)

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


def _postgresql(table: Table) -> Any:
    """One statement for all: a row that bears its mark already is not written again.

    The keys come as JSON, which costs a fraction of what the driver takes to write an array.
    """
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - whoever has another need not have it in memory

    keys = func.json_array_elements_text(cast(bindparam("keys"), Text).cast(postgresql.JSON)).column_valued("key")
    place = [bindparam(name, type_=table.c[name].type) for name in _COLUMNS]
    source = select(place[0], keys, place[2], place[3])
    statement = postgresql.insert(table).from_select(_COLUMNS, source)
    return _unless_marked(table, statement)


def _sqlite(table: Table) -> Any:
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - as above

    return _unless_marked(table, sqlite.insert(table))


def _unless_marked(table: Table, statement: Any) -> Any:
    new = {name: statement.excluded[name] for name in _COLUMNS[2:]}
    other = table.c.reading != statement.excluded.reading
    return statement.on_conflict_do_update(index_elements=_COLUMNS[:2], set_=new, where=other)


def _mysql(table: Table) -> Any:
    """The table is the exchange's own and has no other key."""
    from sqlalchemy.dialects import mysql  # noqa: PLC0415 - as above

    statement = mysql.insert(table).values({name: bindparam(name) for name in _COLUMNS})
    return statement.on_duplicate_key_update({name: func.values(table.c[name]) for name in _COLUMNS[2:]})


_PUTS = {"postgresql": _postgresql, "sqlite": _sqlite, "mysql": _mysql, "mariadb": _mysql}
