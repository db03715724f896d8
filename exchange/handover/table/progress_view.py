"""How far a department's sinks have come, read from outside of their processes. Nothing is made or changed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, ColumnClause, DateTime, column, inspect, select, table
from sqlalchemy.engine import Row
from sqlalchemy.exc import SQLAlchemyError

from exchange.connect.database_errors import Kind, sort
from exchange.connect.engine import open_engine
from exchange.errors import ExchangeError
from exchange.handover.table.progress import PROGRESS_TABLE
from exchange.names import GrantId

_COLUMNS = ("grant_id", "partition_number", "next_offset", "upserted", "deleted", "faulty")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sink stands in one partition of a share."""

    grant: GrantId
    partition: int
    next_offset: int
    upserted: int
    deleted: int
    faulty: int
    resyncing: bool
    """Whether it reads the share again from its beginning."""
    updated_at: datetime


class ProgressView:
    """The table `exchange_progress` in the schema of a sink's table."""

    def __init__(self, read_address: Callable[[], str], sink_table: str) -> None:
        self._read_address = read_address
        self._schema = sink_table.rpartition(".")[0] or None

    def places(self) -> list[Place]:
        """By grant and partition.

        Raises ExchangeError: E_SINK_UNREACHABLE when the database is away, E_CONNECTOR when it refuses.
        """
        plain: list[ColumnClause[Any]] = [column(name) for name in _COLUMNS]
        typed: list[ColumnClause[Any]] = [column("resyncing", Boolean), column("updated_at", DateTime(timezone=True))]
        progress = table(PROGRESS_TABLE, *plain, *typed, schema=self._schema)
        ordered = select(progress).order_by(progress.c.grant_id, progress.c.partition_number)
        engine = open_engine(self._read_address())
        try:
            with engine.connect() as connection:
                if not inspect(connection).has_table(PROGRESS_TABLE, schema=self._schema):
                    return []
                rows = connection.execute(ordered).all()
        except SQLAlchemyError as error:
            fault = sort(error)
            code = "E_SINK_UNREACHABLE" if fault.kind is Kind.AWAY else "E_CONNECTOR"
            raise ExchangeError(code, f"{PROGRESS_TABLE}: {fault.detail}") from None
        finally:
            engine.dispose()
        return [_place(row) for row in rows]


def _place(row: Row[Any]) -> Place:
    return Place(
        GrantId(row.grant_id),
        row.partition_number,
        row.next_offset,
        row.upserted,
        row.deleted,
        row.faulty,
        row.resyncing,
        _in_utc(row.updated_at),
    )


def _in_utc(found: datetime) -> datetime:
    """A moment of a database that keeps no zones is in UTC."""
    return found if found.tzinfo else found.replace(tzinfo=UTC)
