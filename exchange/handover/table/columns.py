"""A sink's table follows its grant: a field that was added gets a column, one that was taken away is emptied.

Which columns a grant has filled stands in the table `exchange_columns`, beside the sink's own: a column that the
department has for itself is never touched. After an amendment the sink reads another share from its beginning, and so
writes every row once more: with the values of the new field, and with nulls where the grant gives no value any more.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, Table, Text, insert, inspect, select, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import NotSupportedError, ProgrammingError
from sqlalchemy.schema import CreateColumn
from sqlalchemy.types import String

from exchange.errors import ExchangeError
from exchange.names import GrantId

COLUMNS_TABLE = "exchange_columns"


class FollowedTable:
    """The table of one sink, as the database has it and as the grant wants it."""

    def __init__(self, engine: Engine, table: Table, key: Sequence[str]) -> None:
        self._engine = engine
        self._table = table
        self._key = tuple(key)
        self._filled = Table(
            COLUMNS_TABLE,
            table.metadata,
            Column("grant_id", Text, primary_key=True),
            Column("table_name", Text, primary_key=True),
            Column("column_name", Text, primary_key=True),
        )

    def fit(self, grant: GrantId) -> list[Column[Any]]:
        """Make the table fit for what the grant gives now; the columns that it filled before and that are emptied.

        Raises ExchangeError(E_CONNECTOR) that names the statement to run, when it is not for us to run it.
        """
        self._refuse_other_key()
        wanted = [column.name for column in self._table.columns]
        there = self._there()
        for column in [column for column in self._table.columns if column.name not in there]:
            self._add(column)
        with self._engine.begin() as connection:
            filled = self._note(connection, grant, wanted)
        former = [name for name in there if name in filled and name not in wanted]
        for name in there.keys() - set(wanted):
            if _must_say_something(there[name]):
                self._let_be_null(name, former=name in former)
        self._refuse_other_types()
        return [Column(name, there[name]["type"]) for name in former]

    def _there(self) -> dict[str, Any]:
        found = inspect(self._engine).get_columns(self._table.name, schema=self._table.schema)
        return {column["name"]: column for column in found}

    def _refuse_other_key(self) -> None:
        found = inspect(self._engine).get_pk_constraint(self._table.name, schema=self._table.schema)
        if set(found["constrained_columns"]) != set(self._key):
            raise ExchangeError("E_CONNECTOR", f"the primary key of {self._table.name} must be {', '.join(self._key)}")

    def _refuse_other_types(self) -> None:
        """Text for a column of another type, as after a stronger mask; all else the database converts or refuses."""
        there = self._there()
        for column in self._table.columns:
            if isinstance(column.type, String) and not isinstance(there[column.name]["type"], String):
                raise ExchangeError(
                    "E_CONNECTOR", f"{column.name} is granted as text: {self._alter(column.name)} TYPE TEXT"
                )

    def _note(self, connection: Connection, grant: GrantId, wanted: Sequence[str]) -> set[str]:
        """Note what the grant fills from now on; what it has filled so far."""
        columns = self._filled.c
        place = {"grant_id": grant, "table_name": self._table.fullname}
        mine = select(columns.column_name).where(columns.grant_id == grant, columns.table_name == self._table.fullname)
        filled = set(connection.execute(mine).scalars())
        new = [{**place, "column_name": name} for name in wanted if name not in filled]
        if new:
            connection.execute(insert(self._filled), new)
        return filled

    def _add(self, column: Column[Any]) -> None:
        """A column may be null where the grant did not give the field before."""
        added = CreateColumn(Column(column.name, column.type)).compile(dialect=self._engine.dialect)
        self._run(f"ALTER TABLE {self._quoted} ADD COLUMN {added}", done=lambda: column.name in self._there())

    def _let_be_null(self, name: str, former: bool) -> None:
        statement = f"{self._alter(name)} DROP NOT NULL"
        if not former:
            raise ExchangeError("E_CONNECTOR", f"nothing is granted for the column {name}, run: {statement}")
        self._run(statement, done=lambda: not _must_say_something(self._there()[name]))

    def _alter(self, name: str) -> str:
        quoted = self._engine.dialect.identifier_preparer.quote(name)
        return f"ALTER TABLE {self._quoted} ALTER COLUMN {quoted}"

    @property
    def _quoted(self) -> str:
        return self._engine.dialect.identifier_preparer.format_table(self._table)

    def _run(self, statement: str, done: Callable[[], bool]) -> None:
        """Change the table, unless another process of the sink has just done so."""
        try:
            with self._engine.begin() as connection:
                connection.execute(text(statement))
        except (ProgrammingError, NotSupportedError):
            if not done():
                raise ExchangeError("E_CONNECTOR", f"the sink may not change its table, run: {statement}") from None


def _must_say_something(column: Any) -> bool:
    """Whether a row cannot be written without a value for the column."""
    given = ("default", "identity", "computed")
    return not column["nullable"] and all(column.get(name) is None for name in given)
