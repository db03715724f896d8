"""Writing the records of a grant into a department's table, each batch in one transaction with its progress."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
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
    and_,
    bindparam,
    delete,
    insert,
    inspect,
    select,
)
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.types import JSON, TypeEngine

from exchange.connect.declare import Record
from exchange.connect.sql import open_engine, reason
from exchange.errors import ExchangeError
from exchange.names import GrantId

RECORD_KEY = "record_key"
"""The key column of a table whose share does not hold the natural key in clear: the pseudonym."""
PROGRESS_TABLE = "exchange_progress"
_KEY_PARAMETER = "key_{}"


@dataclass(frozen=True, slots=True)
class Change:
    """One version of a record, or its end. Its repr holds neither key nor value."""

    offset: int
    key: bytes
    record: Record | None

    def __repr__(self) -> str:
        return f"Change(offset={self.offset})"


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes of one partition of a grant's share, in their order."""

    grant: GrantId
    partition: int
    changes: Sequence[Change]
    end: int
    """The offset behind the last record that was read, heartbeats and faulty records included."""
    at: datetime
    """The time of the application."""
    faulty: int = 0
    """Records before `end` that never became a change."""


@dataclass(slots=True)
class Progress:
    """What a sink has done with one partition of a share, over all its runs."""

    next_offset: int = 0
    upserted: int = 0
    deleted: int = 0
    faulty: int = 0


Refusal = tuple[int, str]
"""The offset of a record that could not be applied, and why; never a value."""
Report = Callable[[Sequence[Refusal]], None]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a sink's table: the fields of the share and what identifies a row."""

    schema: Mapping[str, Any]
    key: tuple[str, ...]

    @classmethod
    def of(cls, schema: Mapping[str, Any], natural_key: Sequence[str], pseudonymous: bool) -> "Layout":
        """The layout for a share's schema: its natural key when the share holds that in clear as text, else the key."""
        types = {field["name"]: _not_null(field["type"]) for field in schema["fields"]}
        clear = not pseudonymous and all(types.get(name) == "string" for name in natural_key)
        return cls(schema, tuple(natural_key) if clear else (RECORD_KEY,))

    def key_values(self, key: bytes) -> dict[str, str]:
        """The key columns of the row with this Kafka key. Raises ExchangeError(E_APPLY) when the parts do not match."""
        text = key.decode("utf-8", "replace")
        if self.key == (RECORD_KEY,):
            return {RECORD_KEY: text}
        parts = text.split("/")
        if len(parts) != len(self.key):
            raise ExchangeError("E_APPLY", "the key has another number of parts than the table")
        return {name: unquote(part) for name, part in zip(self.key, parts, strict=True)}

    def columns(self) -> list[Column[Any]]:
        """The table's columns."""
        made: list[Column[Any]] = []
        if self.key == (RECORD_KEY,):
            made.append(Column(RECORD_KEY, Text, primary_key=True))
        for field in self.schema["fields"]:
            name = field["name"]
            key = name in self.key
            made.append(Column(name, column_type(field["type"]), primary_key=key, nullable=_nullable(field["type"])))
        return made


class SqlTarget:
    """The table of one sink and its progress. Every method raises ExchangeError(E_SINK_UNREACHABLE) when it is away."""

    def __init__(self, name: str, address: str, layout: Layout) -> None:
        self._layout = layout
        self._engine = open_engine(address)
        schema, _, table = name.rpartition(".")
        metadata = MetaData(schema=schema or None)
        self._table = SqlTable(table, metadata, *layout.columns())
        self._progress = SqlTable(
            PROGRESS_TABLE,
            metadata,
            Column("grant_id", Text, primary_key=True),
            Column("partition_number", Integer, primary_key=True, autoincrement=False),
            Column("next_offset", BigInteger, nullable=False),
            Column("upserted", BigInteger, nullable=False),
            Column("deleted", BigInteger, nullable=False),
            Column("faulty", BigInteger, nullable=False),
            Column("updated_at", DateTime(timezone=True), nullable=False),
        )
        self._upsert = self._make_upsert()
        self._delete = delete(self._table).where(
            and_(*(self._table.c[part] == bindparam(_KEY_PARAMETER.format(part)) for part in layout.key))
        )

    def prepare(self) -> None:
        """Make the tables that are missing. Raises ExchangeError(E_CONNECTOR) when an existing one does not fit."""
        with self._reached():
            self._table.metadata.create_all(self._engine)
            look = inspect(self._engine)
            there = {column["name"] for column in look.get_columns(self._table.name, schema=self._table.schema)}
            key = look.get_pk_constraint(self._table.name, schema=self._table.schema)["constrained_columns"]
        missing = [column.name for column in self._table.columns if column.name not in there]
        if missing:
            raise ExchangeError("E_CONNECTOR", f"the table {self._table.name} has no column {', '.join(missing)}")
        if set(key) != set(self._layout.key):
            raise ExchangeError(
                "E_CONNECTOR", f"the primary key of {self._table.name} must be {', '.join(self._layout.key)}"
            )

    def stored(self, grant: GrantId) -> dict[int, Progress]:
        """What was done so far, by partition."""
        table = self._progress
        with self._reached(), self._engine.connect() as connection:
            rows = connection.execute(select(table).where(table.c.grant_id == grant)).all()
        return {row.partition_number: Progress(row.next_offset, row.upserted, row.deleted, row.faulty) for row in rows}

    def apply(self, batch: Batch, report: Report) -> Progress:
        """Apply a batch and note its progress, in one transaction; gives the progress behind it.

        Changes before the stored progress were applied already and are skipped. A change that the database refuses for
        what it holds is left out, the others are applied one by one, and `report` is called with what was refused
        before the transaction commits: a refusal may be reported twice, but never lost.
        """
        with self._reached():
            try:
                return self._apply(batch, self._all, report)
            except (StatementError, ExchangeError) as error:
                if not _is_of_the_record(error):
                    raise
            return self._apply(batch, self._one_by_one, report)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _apply(self, batch: Batch, how: "_How", report: Report) -> Progress:
        with self._engine.begin() as connection:
            found = self._locked(connection, batch)
            progress = found or Progress()
            fresh = [change for change in batch.changes if change.offset >= progress.next_offset]
            refused = how(connection, fresh)
            bad = {offset for offset, _ in refused}
            for change in fresh:
                progress.upserted += change.record is not None and change.offset not in bad
                progress.deleted += change.record is None and change.offset not in bad
            if batch.end > progress.next_offset:
                progress.faulty += len(bad) + batch.faulty
                progress.next_offset = batch.end
            self._note(connection, batch, progress, known=found is not None)
            if refused:
                report(refused)
            return progress

    def _all(self, connection: Connection, changes: Sequence[Change]) -> list[Refusal]:
        """Only the last change of each key: what came before is overwritten anyway."""
        last = {change.key: change for change in changes}
        gone = [self._layout.key_values(change.key) for change in last.values() if change.record is None]
        kept = [self._values(change) for change in last.values() if change.record is not None]
        if gone:
            connection.execute(self._delete, [self._renamed(key) for key in gone])
        if kept:
            self._write(connection, kept)
        return []

    def _one_by_one(self, connection: Connection, changes: Sequence[Change]) -> list[Refusal]:
        refused: list[Refusal] = []
        for change in changes:
            try:
                with connection.begin_nested():
                    self._all(connection, [change])
            except (StatementError, ExchangeError) as error:
                if not _is_of_the_record(error):
                    raise
                refused.append((change.offset, error.detail if isinstance(error, ExchangeError) else reason(error)))
        return refused

    def _values(self, change: Change) -> dict[str, Any]:
        assert change.record is not None
        return {**change.record, **self._layout.key_values(change.key)}

    def _renamed(self, key: Mapping[str, str]) -> dict[str, str]:
        return {_KEY_PARAMETER.format(name): value for name, value in key.items()}

    def _write(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        if self._upsert is not None:
            connection.execute(self._upsert, rows)
            return
        keys = [self._renamed({name: row[name] for name in self._layout.key}) for row in rows]
        connection.execute(self._delete, keys)
        connection.execute(insert(self._table), rows)

    def _make_upsert(self) -> Any:
        """One statement where the database has one; elsewhere rows are deleted and inserted in the transaction."""
        makers: dict[str, Callable[[SqlTable], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
        maker = makers.get(self._engine.dialect.name)
        if maker is None:
            return None
        statement = maker(self._table)
        key = list(self._layout.key)
        others = {c.name: statement.excluded[c.name] for c in self._table.columns if c.name not in key}
        if not others:
            return statement.on_conflict_do_nothing(index_elements=key)
        return statement.on_conflict_do_update(index_elements=key, set_=others)

    def _mine(self, batch: Batch) -> ColumnElement[bool]:
        columns = self._progress.c
        return and_(columns.grant_id == batch.grant, columns.partition_number == batch.partition)

    def _locked(self, connection: Connection, batch: Batch) -> Progress | None:
        """The stored progress, held until the end of the transaction: a twin waits and then skips what is done."""
        row = connection.execute(select(self._progress).where(self._mine(batch)).with_for_update()).first()
        return None if row is None else Progress(row.next_offset, row.upserted, row.deleted, row.faulty)

    def _note(self, connection: Connection, batch: Batch, progress: Progress, known: bool) -> None:
        values: dict[str, Any] = {**asdict(progress), "updated_at": batch.at}
        if known:
            connection.execute(self._progress.update().where(self._mine(batch)).values(**values))
        else:
            place = {"grant_id": batch.grant, "partition_number": batch.partition}
            connection.execute(insert(self._progress).values(**place, **values))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise ExchangeError("E_SINK_UNREACHABLE", f"{self._table.name}: {reason(error)}") from None


_How = Callable[[Connection, Sequence[Change]], list[Refusal]]
"""A way to apply changes: gives the offsets that were refused, with the reason."""


def _is_of_the_record(error: StatementError | ExchangeError) -> bool:
    """Whether what the record holds is wrong, and not the connection or the table."""
    if isinstance(error, ExchangeError):
        return error.code == "E_APPLY"
    return isinstance(error, DataError | IntegrityError) or type(error) is StatementError


def _not_null(avro: Any) -> Any:
    return next((branch for branch in avro if branch != "null"), "null") if isinstance(avro, list) else avro


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
    kind = _not_null(avro)
    if isinstance(kind, str):
        return _PRIMITIVE.get(kind, JSON())
    logical = kind.get("logicalType")
    if logical == "decimal":
        return Numeric(kind["precision"], kind.get("scale", 0))
    return _LOGICAL.get(logical) or _PRIMITIVE.get(kind["type"], JSON())
