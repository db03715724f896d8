"""Declarations of tables and queries of a department's database. The driver is loaded only when one is opened."""

from dataclasses import dataclass

from exchange import settings as settings_module
from exchange.connect.reading import Reader
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or a query when `statement` is set, with the columns that the exchange needs to know."""

    name: str
    key: tuple[str, ...] = ()
    """Columns that identify a row; they order rows of equal cursor."""
    cursor: str | None = None
    """Column that grows with every change of a row: a time, or a number from one counter. None: no such column."""
    version: str | None = None
    """Column for the sequence, when that is not the cursor."""
    withdrawn: str | None = None
    """Column that is true for a row that the department withdraws."""
    settle_seconds: float = 2.0
    """Rows with a younger cursor time wait: a longer transaction may still commit an older time behind the cursor."""
    statement: str | None = None

    def reader(self, settings: ConnectorSettings) -> Reader:
        """A reader of the table. Raises ExchangeError(E_SETTINGS) without a database, E_CONNECTOR without a key."""
        if not self.key:
            raise ExchangeError("E_CONNECTOR", f"{self.name}: a source needs the key columns of its table")
        from exchange.connect.sql import TableReader  # noqa: PLC0415 - sinks and files need no reader

        return TableReader(self, database(settings))


def database(settings: ConnectorSettings) -> str:
    """The address of the department's database. Raises ExchangeError(E_SETTINGS) when it is not set."""
    return settings_module.secret(settings.database, settings.database_file, "the address of the database")


def _columns(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def table(
    name: str,
    *,
    key: str | tuple[str, ...] = (),
    cursor: str | None = None,
    version: str | None = None,
    withdrawn: str | None = None,
    settle_seconds: float = 2.0,
) -> Table:
    """A table (`name` or `schema.name`). See `Table` for the words; a sink needs the name only.

    Without `cursor` the whole table is read at every start of the connector.
    """
    return Table(name, _columns(key), cursor, version, withdrawn, settle_seconds)


def query(
    statement: str,
    *,
    key: str | tuple[str, ...],
    cursor: str | None = None,
    version: str | None = None,
    withdrawn: str | None = None,
    settle_seconds: float = 2.0,
) -> Table:
    """A SELECT statement that is read like a table. Its text is part of the connector, never of a setting."""
    return Table("the query", _columns(key), cursor, version, withdrawn, settle_seconds, statement)
