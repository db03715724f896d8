"""Writing rows that may be there already, and removing them: by the key alone, whatever else is unique in the table.

PostgreSQL: a copy into a table of the session, and one INSERT … ON CONFLICT (key) from there; SQLite has the same
statement for single rows; MySQL and MariaDB have none that asks for the key alone, so what exists is read first.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from sqlalchemy import Table
from sqlalchemy.engine import Connection

from exchange.errors import ExchangeError
from exchange.handover.table.definition import FoundColumn
from exchange.handover.table.put.mysql import MySql
from exchange.handover.table.put.postgresql import PostgreSql
from exchange.handover.table.put.statements import Columns, Keys, Rows, Statements, on_conflict


class KeyedTable(Protocol):
    """A table with a key, in which rows are put and from which they are removed, many at a time.

    Values go to the driver as they are: whoever calls has made them fit for the columns.
    """

    def ready(self, connection: Connection) -> None:
        """Whatever the session needs before it writes, in a transaction of its own."""
        ...

    def put(self, connection: Connection, columns: Columns, rows: Rows) -> None:
        """Write whole rows of these columns; no two of them have one key."""
        ...

    def put_first(self, connection: Connection, columns: Columns, rows: Rows) -> None:
        """The same, when nothing else has been put in this transaction: there may be a faster way."""
        ...

    def remove(self, connection: Connection, keys: Keys) -> None:
        """Remove rows by their key columns; one that is not there is no error."""
        ...

    def probe(self, connection: Connection, columns: Columns) -> None:
        """Write nothing, with the statements that write: an error is none of a record."""
        ...


_KINDS: Mapping[str, Callable[[Table, Sequence[str], Sequence[FoundColumn]], KeyedTable]] = {
    "postgresql": PostgreSql,
    "sqlite": partial(Statements, upsert=partial(on_conflict, "sqlite")),
    "mysql": MySql,
    "mariadb": MySql,
}


def keyed_table(dialect: str, table: Table, key: Sequence[str], found: Sequence[FoundColumn]) -> KeyedTable:
    """The way to write a table. Raises ExchangeError(E_CONNECTOR) for a database that has not been tried."""
    kind = _KINDS.get(dialect)
    if kind is None:
        raise ExchangeError("E_CONNECTOR", f"no sink has been tried on {dialect}")
    return kind(table, key, found)
