"""A sink's table follows its grant: a field that was added gets a column, one that was taken away is emptied.

Which columns a grant has filled stands in the table `exchange_columns`, beside the sink's own: a column that the
department has for itself is never touched. After an amendment the sink reads another share from its beginning, and so
writes every row once more: with the values of the new field, and with nulls where the grant gives no value any more.

A column that the grant filled and that is gone was renamed or dropped by its owner. It is not made anew in silence, and
when it is there again, or another one in its place, the share is read again to fill it (`exchange_gone_columns`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, delete, insert, inspect, select, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateColumn, CreateTable

from exchange.connect.database_errors import Kind, sort
from exchange.errors import ExchangeError
from exchange.handover.table.column_types import TABLE_OPTIONS, Name, long_text
from exchange.handover.table.definition import FoundColumn, describe
from exchange.names import GrantId

COLUMNS_TABLE = "exchange_columns"
GONE_TABLE = "exchange_gone_columns"
_NAME_CHARACTERS = 256
_TRANSACTIONAL = ("innodb", "rocksdb")
_MYSQL = ("mysql", "mariadb")


@dataclass(frozen=True, slots=True)
class Fitted:
    """What has become of a table that was made fit."""

    emptied: tuple[str, ...]
    """Columns that the grant filled before and that are emptied."""
    new: tuple[str, ...]
    """Columns that the grant has not filled so far."""


class ColumnsGone(Exception):  # noqa: N818 - becomes an error of the exchange when it has been noted
    """Columns that the grant fills are not there."""

    def __init__(self, columns: Sequence[Column[Any]]) -> None:
        super().__init__()
        self.columns = columns


class FollowedTable:
    """The table of one sink, as the database has it and as the grant wants it."""

    def __init__(self, engine: Engine, table: Table, key: Sequence[str], whole: bool = True) -> None:
        """whole: the table's columns are all that the sink fills, and it makes the table itself."""
        self._whole = whole
        self._engine = engine
        self._table = table
        self._key = tuple(key)
        self._filled = self._names(COLUMNS_TABLE)
        self._gone = self._names(GONE_TABLE)

    def make(self) -> None:
        """Make the tables that are missing, the sink's own and those beside it.

        What grants have filled in a table that is gone is not filled any more. Raises ExchangeError(E_CONNECTOR) that
        names the statement to run, when it is not for us to run it.
        """
        for table in self._table.metadata.sorted_tables:
            if table is not self._table:
                self._create(table)
        if not self._has(self._table):
            if not self._whole:
                name = self._table.fullname
                raise ExchangeError("E_CONNECTOR", f"the table {name} is not there: with a mapping it is yours to make")
            with self._engine.begin() as connection:
                filled = self._filled.c.table_name == self._table.fullname
                connection.execute(delete(self._filled).where(filled))
            self._create(self._table)

    def fit(self, grant: GrantId) -> Fitted:
        """Make the table fit for what the grant gives now. Raises ExchangeError(E_CONNECTOR) like `make`."""
        self._refuse_other_engine()
        self.refuse_other_key()
        wanted = [column.name for column in self._table.columns]
        there = self._there()
        filled, gone = self._noted(grant)
        missing = [column for column in self._table.columns if column.name not in there]
        lost = [column for column in missing if column.name in filled | gone]
        if lost:
            raise self.gone(grant, lost)
        for column in missing:
            self._add(column)
        former = [name for name in there if name in filled and name not in wanted]
        for name in there.keys() - set(wanted) if self._whole else ():
            if there[name].must_say_something:
                self._let_be_null(there[name], former=name in former)
        return Fitted(tuple(former), tuple(name for name in wanted if name not in filled or name in gone))

    def note(self, connection: Connection, grant: GrantId, new: Sequence[str]) -> None:
        """The grant fills these columns from now on."""
        filled, gone = self._filled.c, self._gone.c
        place = {"grant_id": grant, "table_name": self._table.fullname}
        for name in new:
            at = (filled.grant_id == grant, filled.table_name == self._table.fullname, filled.column_name == name)
            connection.execute(delete(self._filled).where(*at))
            connection.execute(insert(self._filled), {**place, "column_name": name})
        connection.execute(delete(self._gone).where(gone.grant_id == grant, gone.table_name == self._table.fullname))

    def refuse_other(self, found: Sequence[FoundColumn]) -> None:
        """Raises ColumnsGone when a column went away while the sink was at work.

        E_CONNECTOR when the table did, or when a column came that no row of ours could do without.
        """
        if not found:
            raise ExchangeError("E_CONNECTOR", f"the table {self._table.fullname} is gone")
        names = {column.name for column in found}
        gone = [column for column in self._table.columns if column.name not in names]
        if gone:
            raise ColumnsGone(gone)
        wanted = {column.name for column in self._table.columns}
        for column in found if self._whole else ():
            if column.must_say_something and column.name not in wanted:
                raise self._not_granted(column)

    def other_type(self, name: str) -> str:
        """The statement that makes a column one of text."""
        type_ = long_text(self._engine.dialect).compile(self._engine.dialect)
        if self._engine.dialect.name in _MYSQL:
            return f"{self._alter} MODIFY COLUMN {self._quote(name)} {type_}"
        return f"{self._alter} ALTER COLUMN {self._quote(name)} TYPE {type_}"

    def refuse_other_key(self) -> None:
        """Raises ExchangeError(E_CONNECTOR) when the table's primary key is not the share's."""
        found = inspect(self._engine).get_pk_constraint(self._table.name, schema=self._table.schema)
        if set(found["constrained_columns"]) != set(self._key):
            raise ExchangeError("E_CONNECTOR", f"the primary key of {self._table.name} must be {', '.join(self._key)}")
        for column in self._there().values():
            if column.name in self._key and column.plain == "citext":  # two records would share one row
                raise ExchangeError("E_CONNECTOR", f"the key tells case apart, run: {self.other_type(column.name)}")

    def _names(self, name: str) -> Table:
        return Table(
            name,
            self._table.metadata,
            Column("grant_id", Name, primary_key=True),
            Column("table_name", Name(_NAME_CHARACTERS), primary_key=True),
            Column("column_name", Name, primary_key=True),
            **TABLE_OPTIONS,
        )

    def _noted(self, grant: GrantId) -> tuple[set[str], set[str]]:
        """The columns that the grant has filled so far, and those of them that were seen to be gone."""
        with self._engine.connect() as connection:
            found = []
            for table in (self._filled, self._gone):
                mine = (table.c.grant_id == grant, table.c.table_name == self._table.fullname)
                found.append(set(connection.execute(select(table.c.column_name).where(*mine)).scalars()))
        return found[0], found[1]

    def _there(self) -> dict[str, FoundColumn]:
        with self._engine.connect() as connection:
            return {column.name: column for column in describe(connection, self._table)}

    def _refuse_other_engine(self) -> None:
        """A table without transactions would hold half a batch after a crash."""
        if self._engine.dialect.name not in _MYSQL:
            return
        asked = text(
            "SELECT engine FROM information_schema.tables"
            " WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name"
        )
        with self._engine.connect() as connection:
            engine = connection.execute(asked, {"schema": self._table.schema, "name": self._table.name}).scalar()
        if engine is not None and engine.lower() not in _TRANSACTIONAL:
            raise ExchangeError("E_CONNECTOR", f"a sink needs transactions, run: {self._alter} ENGINE=InnoDB")

    def gone(self, grant: GrantId, columns: Sequence[Column[Any]]) -> ExchangeError:
        """Note that columns are gone which the grant fills; the error E_CONNECTOR that says what helps."""
        place = {"grant_id": grant, "table_name": self._table.fullname}
        with self._engine.begin() as connection:
            self._forget_gone(connection, grant, columns)
            connection.execute(insert(self._gone), [{**place, "column_name": one.name} for one in columns])
        name = columns[0].name
        return ExchangeError(
            "E_CONNECTOR",
            f"the column {name}, which the grant fills, is gone from {self._table.fullname}. If it was renamed, name it"
            f" back or declare sink(…, columns={{field: column}}); if it is wanted anew, run:"
            f" {self._alter} ADD COLUMN {self._definition(columns[0])}",
        )

    def _forget_gone(self, connection: Connection, grant: GrantId, columns: Sequence[Column[Any]]) -> None:
        gone = self._gone.c
        names = [column.name for column in columns]
        mine = (gone.grant_id == grant, gone.table_name == self._table.fullname, gone.column_name.in_(names))
        connection.execute(delete(self._gone).where(*mine))

    def _create(self, table: Table) -> None:
        if not self._has(table):
            statement = str(CreateTable(table).compile(dialect=self._engine.dialect)).strip()
            self._run(statement, done=lambda: self._has(table))

    def _has(self, table: Table) -> bool:
        return inspect(self._engine).has_table(table.name, schema=table.schema)

    def _add(self, column: Column[Any]) -> None:
        statement = f"{self._alter} ADD COLUMN {self._definition(column)}"
        self._run(statement, done=lambda: column.name in self._there())

    def _definition(self, column: Column[Any]) -> str:
        """A column may be null where the grant did not give the field before."""
        return str(CreateColumn(Column(column.name, column.type)).compile(dialect=self._engine.dialect))

    def _let_be_null(self, column: FoundColumn, former: bool) -> None:
        if not former:
            raise self._not_granted(column)
        self._run(self._null(column), done=lambda: not self._there()[column.name].must_say_something)

    def _not_granted(self, column: FoundColumn) -> ExchangeError:
        return ExchangeError(
            "E_CONNECTOR", f"nothing is granted for the column {column.name}, run: {self._null(column)}"
        )

    def _null(self, column: FoundColumn) -> str:
        quoted = self._quote(column.name)
        if self._engine.dialect.name in _MYSQL:
            return f"{self._alter} MODIFY COLUMN {quoted} {column.declared} NULL"
        return f"{self._alter} ALTER COLUMN {quoted} DROP NOT NULL"

    @property
    def _alter(self) -> str:
        return f"ALTER TABLE {self._engine.dialect.identifier_preparer.format_table(self._table)}"

    def _quote(self, name: str) -> str:
        return str(self._engine.dialect.identifier_preparer.quote(name))

    def _run(self, statement: str, done: Callable[[], bool]) -> None:
        """Change the table, unless another process of the sink has just done so."""
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(statement)
        except SQLAlchemyError as error:
            if sort(error).kind is Kind.AWAY:
                raise
            if not done():
                raise ExchangeError("E_CONNECTOR", f"the sink may not change its table, run: {statement}") from None
