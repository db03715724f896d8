"""Declarations of tables and queries of a department's database. The driver is loaded only when one is read."""

from dataclasses import dataclass
from functools import partial

from exchange import settings as settings_module
from exchange.connect.reading import Reader, SourceColumns
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings


@dataclass(frozen=True, slots=True)
class Table:
    """A table (`name` or `schema.name`), to be read by a source or written by a sink."""

    name: str
    columns: SourceColumns | None
    """What a source has to know; None for a table that was declared by its name alone, as a sink's is."""

    def reader(self, settings: ConnectorSettings) -> Reader:
        """A reader of the table. Raises ExchangeError(E_SETTINGS) without a database, E_CONNECTOR without a key."""
        if self.columns is None:
            raise ExchangeError("E_CONNECTOR", f"{self.name}: a source needs the key columns of its table")
        from exchange.connect.sql.reader import (  # noqa: PLC0415 - a file's reader need not have SQLAlchemy in memory
            SqlReader,
        )

        return SqlReader(self.name, None, self.columns, partial(database, settings))


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT statement, to be read by a source like a table."""

    statement: str
    columns: SourceColumns

    def reader(self, settings: ConnectorSettings) -> Reader:
        """A reader of the rows. Raises ExchangeError(E_SETTINGS) without a database."""
        from exchange.connect.sql.reader import SqlReader  # noqa: PLC0415 - as for a table

        return SqlReader("the query", self.statement, self.columns, partial(database, settings))


def database(settings: ConnectorSettings) -> str:
    """The address of the department's database. Raises ExchangeError(E_SETTINGS) when it is not set."""
    return settings_module.secret(settings.database, settings.database_file, "the address of the database")


def table(
    name: str,
    *,
    key: str | tuple[str, ...] = (),
    cursor: str | None = None,
    version: str | None = None,
    withdrawn: str | None = None,
    look_back_seconds: float | None = None,
) -> Table:
    """A table (`name` or `schema.name`). See `SourceColumns` for the words; a sink needs the name only.

    Without `cursor` nothing is read but the whole table, whenever it is compared.
    """
    if not key:
        return Table(name, None)
    return Table(name, SourceColumns(_names(key), cursor, version, withdrawn, look_back_seconds))


def query(
    statement: str,
    *,
    key: str | tuple[str, ...],
    cursor: str | None = None,
    version: str | None = None,
    withdrawn: str | None = None,
    look_back_seconds: float | None = None,
) -> Query:
    """A SELECT statement that is read like a table. Its text is part of the connector, never of a setting.

    Raises ExchangeError(E_CONNECTOR) without a key.
    """
    if not key:
        raise ExchangeError("E_CONNECTOR", "the query: a source needs the key columns of its rows")
    return Query(statement, SourceColumns(_names(key), cursor, version, withdrawn, look_back_seconds))


def _names(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
