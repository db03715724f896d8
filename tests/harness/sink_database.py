"""A department's database as its sinks leave it, made by hand: what commands see without a sink that runs."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Boolean, DateTime, Integer, LargeBinary, MetaData, Table, create_engine, insert, select

from exchange.handover.table.progress import ProgressTable
from exchange.handover.table.set_aside import SET_ASIDE_TABLE, SetAsideView

_AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


class SinkDatabase:
    """`exchange_progress` and `exchange_set_aside` in an SQLite file."""

    def __init__(self, path: Path) -> None:
        self.address = f"sqlite:///{path}"
        self._engine = create_engine(self.address)
        self._progress = ProgressTable(MetaData()).table
        self._waiting: Table = SetAsideView(lambda: self.address)._table
        for table in (self._progress, self._waiting):
            table.create(self._engine)
        assert self._waiting.name == SET_ASIDE_TABLE

    def progress(self, grant: str, partition: int, next_offset: int) -> None:
        """So far a sink has come."""
        known = {"grant_id": grant, "partition_number": partition, "next_offset": next_offset, "updated_at": _AT}
        self._insert(self._progress, known)

    def waits(self, grant: str, key: str) -> None:
        """A record that the table refused."""
        known = {"grant_id": grant, "record_key": key, "code": "E_APPLY", "detail": "check constraint"}
        self._insert(self._waiting, known | {"set_aside_at": _AT, "asked": False})

    def asked(self) -> list[tuple[str, str]]:
        """Grant and key of the records that are to be tried again."""
        columns = self._waiting.c
        with self._engine.connect() as connection:
            chosen = select(columns.grant_id, columns.record_key).where(columns.asked).order_by(columns.record_key)
            return [(grant, key) for grant, key in connection.execute(chosen)]

    def _insert(self, table: Table, known: dict[str, object]) -> None:
        """A row; what is not known is what an empty value of its column is."""
        row = {column.name: known.get(column.name, _empty(column.type)) for column in table.columns}
        with self._engine.begin() as connection:
            connection.execute(insert(table).values(**row))


def _empty(kind: object) -> object:
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, DateTime):
        return _AT
    if isinstance(kind, Integer):
        return 0
    return b"" if isinstance(kind, LargeBinary) else ""
