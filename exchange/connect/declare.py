"""Declarations of sources and sinks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange import names
from exchange.connect.folders import Folder
from exchange.connect.reading import Readable
from exchange.connect.tables import Query, Table
from exchange.errors import ExchangeError
from exchange.names import RecordType

Row = Mapping[str, Any]
"""A row as the department's system gives it: column name to value."""
Record = dict[str, Any]
"""A record as the schema wants it: field name to value (str, int, bool, float, Decimal, date, datetime, None)."""
Mapper = Callable[[Row], Record]
RowMapper = Callable[[Record], Mapping[str, Any]]
"""A function of a sink: a record as a row of the department's table, column to value, without the key's columns."""


class Unmapped(Exception):  # noqa: N818 - said by a mapping function about a row, not an error of the exchange
    """A mapping function raises this for a row that it cannot map.

    `field` names the field (or column) concerned and `reason` says what is wrong; neither may hold a value of the row.
    """

    def __init__(self, field: str, reason: str = "not readable") -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Source:
    """What a department submits: rows of `reads`, each made a record of `record_type` by `map`."""

    record_type: RecordType
    reads: Readable
    map: Mapper

    def __call__(self, row: Row) -> Record:
        """The mapping function itself, so that a decorated function can be tried on a row."""
        return self.map(row)


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a department takes the records of a grant to.

    `provider` chooses among several grants of the record type; without it there must be one.
    """

    record_type: RecordType
    into: Table | Folder
    provider: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The column of a field that is not called like it."""
    map: RowMapper | None = None
    """Column to value, for each record; None where a field is a column."""


def source(record_type: str, reads: Readable) -> Callable[[Mapper], Source]:
    """Make a mapping function a source: it takes a row and gives a record, or raises `Unmapped`.

    Raises ExchangeError(E_NAME_INVALID) for a wrong record type.
    """
    name = names.record_type(record_type)
    return lambda mapper: Source(name, reads, mapper)


def sink(
    record_type: str,
    into: Table | Query | Folder,
    provider: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    map: RowMapper | None = None,
) -> Sink:
    """A table that holds what the department's grant of `record_type` delivers, or a folder for it as signed files.

    The table is made when it is missing: a column for each granted field, the natural key as primary key. `columns`
    names the column of each field that is not called like it, and of `record_key` where the share's key is a pseudonym.
    With `map` the table is the department's own and must be there: the function gives the row of each record, without
    the columns of the primary key, which hold the natural key. A record for which it raises is set aside.

    Raises ExchangeError(E_NAME_INVALID) for a wrong record type, E_CONNECTOR for a query in place of a table, two
    fields in one column, or columns and functions for a folder.
    """
    if isinstance(into, Query):
        raise ExchangeError("E_CONNECTOR", "a sink writes into a table, not into a query")
    renamed = dict(columns or {})
    if isinstance(into, Folder) and (renamed or map is not None):
        raise ExchangeError("E_CONNECTOR", "files hold the share as it is: columns and a function are for tables")
    if len(set(renamed.values())) < len(renamed):
        raise ExchangeError("E_CONNECTOR", "each field has a column of its own")
    return Sink(names.record_type(record_type), into, provider, renamed, map)
