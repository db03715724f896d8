"""The databases that sinks are tried on, with one sink at work in each: PostgreSQL, MariaDB and SQLite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from exchange.handover.layout import Change, Layout
from exchange.handover.table.progress import Progress
from exchange.handover.table.rows import Shape
from exchange.handover.table.target import AppliedAgain, Batch, Refusal, SqlTarget
from exchange.names import GrantId

GRANT = GrantId("grant-1")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
KINDS = ("postgresql", "mariadb", "sqlite")
SPECIMENS = {
    "postgresql": {"text": "text", "key": "varchar(100)", "moment": "timestamptz"},
    "mariadb": {"text": "text", "key": "varchar(100)", "moment": "datetime(6)"},
    "sqlite": {"text": "text", "key": "varchar(100)", "moment": "datetime"},
}


@dataclass
class SinkDatabase:
    """An empty database of one kind."""

    kind: str
    address: str
    _engine: Engine | None = None

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as its owner, each in a transaction; the rows of the last one."""
        if self._engine is None:
            self._engine = create_engine(self.address)
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            with self._engine.begin() as connection:
                found = connection.exec_driver_sql(statement.replace("%", "%%"))
                rows = [tuple(row) for row in found] if found.returns_rows else []
        return rows

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()


def layout(fields: Mapping[str, Any], key: Sequence[str] = ("code",), pseudonymous: bool = False) -> Layout:
    """The layout of a share with these fields."""
    named = [{"name": name, "type": type_} for name, type_ in fields.items()]
    return Layout.of({"type": "record", "name": "Cut", "fields": named}, key, pseudonymous)


@dataclass
class SinkAtWork:
    """One sink's table, with a share that is written into it record by record."""

    database: SinkDatabase
    layout: Layout
    shape: Shape = field(default_factory=Shape)
    name: str = "cut"
    grant: GrantId = GRANT
    refused: list[Refusal] = field(default_factory=list)
    _target: SqlTarget | None = None
    _offset: int = 0
    _reading: int = 1

    @property
    def target(self) -> SqlTarget:
        """The table, made fit and begun."""
        if self._target is None:
            self._target = SqlTarget(self.name, self.database.address, self.layout, shape=self.shape)
            self._target.prepare(self.grant)
            self._reading = self._target.begin(self.grant, "share.s", [0], NOW)[0].reading
        return self._target

    def restart(self) -> Progress:
        """Open it anew, as a process that begins; where it reads on."""
        self.close()
        progress = self.target.stored(self.grant)[0]
        self._offset = progress.next_offset
        return progress

    def put(self, *records: Mapping[str, Any] | str, now: datetime = NOW) -> Progress:
        """Apply records, and withdrawals by their key, in one batch."""
        changes = [self._change(self._offset + n, record) for n, record in enumerate(records)]
        self._offset += len(changes)
        target = self.target
        batch = Batch(self.grant, 0, changes, self._offset, now, {}, self._reading)
        return target.apply(batch, self.refused.extend)

    def again(self, now: datetime = NOW, everything: bool = False) -> AppliedAgain:
        """Try what was set aside."""
        return self.target.apply_again(self.grant, now, everything)

    def waiting(self) -> int:
        """How many records are set aside."""
        return sum(self.target.set_aside(self.grant).values())

    def close(self) -> None:
        """Close its connections."""
        if self._target is not None:
            self._target.close()
        self._target = None

    def _change(self, offset: int, record: Mapping[str, Any] | str) -> Change:
        if isinstance(record, str):
            return Change(offset, record.encode(), None)
        key = "/".join(str(record[part]).replace("/", "%2F") for part in self.layout.key)
        return Change(offset, key.encode(), dict(record))
