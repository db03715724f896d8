"""The statements that read a table or query, as each database understands them.

A query reaches the server as it was written: nothing in it is taken for a parameter. Only what follows it is the
exchange's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.engine import Dialect

from exchange.errors import ExchangeError

Statement = tuple[str, Any]
"""SQL and its parameters, as the driver takes them."""
_FETCH_FIRST = {"oracle": "FETCH FIRST {} ROWS ONLY", "mssql": "OFFSET 0 ROWS FETCH NEXT {} ROWS ONLY"}


@dataclass(frozen=True, slots=True)
class Limits:
    """The values of a cursor column that Python can hold. None: no limit is needed."""

    least: Any = None
    greatest: Any = None


class Span(Protocol):
    """Where a page begins."""

    @property
    def start(self) -> Any:
        """A cursor value; None: at the beginning."""

    @property
    def strict(self) -> bool:
        """Whether rows of that value are left out."""

    @property
    def at(self) -> Sequence[Any] | None:
        """A row, by cursor and key, from which to read in place of `start`, inclusive."""


class Statements:
    """Makes the statements of one table or query. Every one of them reads only."""

    def __init__(self, dialect: Dialect, rows: str, cursor: str | None, key: Sequence[str]) -> None:
        """rows: what stands behind FROM, from `from_table` or `from_query`."""
        self._dialect = dialect
        self._format = dialect.paramstyle in ("format", "pyformat")
        self._rows = self._escaped(rows)
        self._key = [self._name(name) for name in key]
        self._cursor = None if cursor is None else self._name(cursor)

    def all(self) -> Statement:
        """Every row."""
        return self._select("*"), self._parameters([])

    def shape(self) -> Statement:
        """No row, for the names and types of the columns."""
        return self._select("*", ["1 = 0"]), self._parameters([])

    def page(self, span: Span, limits: Limits, limit: int, places: bool = False) -> Statement:
        """Rows of a span along cursor and key. places: no more than these columns of them."""
        order = ", ".join([str(self._cursor), *self._key])
        return self._spanned(span, limits, limit, order if places else "*")

    def count(self, span: Span, limits: Limits, most: int) -> Statement:
        """How many rows a span has, counted up to `most`."""
        rows, parameters = self._spanned(span, limits, most, "1 AS one")
        return f"SELECT COUNT(*) FROM ({rows}) counted", parameters  # noqa: S608 - of a statement of ours

    def _spanned(self, span: Span, limits: Limits, limit: int, what: str) -> Statement:
        values: list[Any] = []
        conditions = self._readable(limits, values)
        if span.at is not None:
            conditions.append(self._from(span.at, values))
        elif span.start is not None:
            conditions.append(f"{self._cursor} {'>' if span.strict else '>='} {self._bound(span.start, values)}")
        conditions += [f"{name} IS NOT NULL" for name in self._key]
        order = ", ".join([str(self._cursor), *self._key])
        return self._selected(what, conditions, order, values, limit)

    def by_key(self, at: Sequence[Any] | None, limit: int, places: bool = False) -> Statement:
        """Rows from the key `at`, inclusive, along the key. places: no more than the key of them."""
        values: list[Any] = []
        conditions = [f"{name} IS NOT NULL" for name in self._key]
        if at is not None:
            conditions.append(self._from(at, values, self._key))
        order = ", ".join(self._key)
        return self._selected(order if places else "*", conditions, order, values, limit)

    def one(self, key: Sequence[Any]) -> Statement:
        """The row of a key."""
        values: list[Any] = []
        conditions = [f"{name} = {self._bound(value, values)}" for name, value in zip(self._key, key, strict=True)]
        return self._select("*", conditions), self._parameters(values)

    def keyless(self) -> Statement:
        """Every row that has a null in its key."""
        return self._select("*", [f"({' OR '.join(f'{name} IS NULL' for name in self._key)})"]), self._parameters([])

    def unplaced(self, limits: Limits, after: Sequence[Any] | None, limit: int) -> Statement:
        """Rows whose cursor is null or beyond `limits`, in the order of their keys, behind the key `after`."""
        values: list[Any] = []
        beyond = [f"{self._cursor} IS NULL"]
        if limits.least is not None:
            beyond.append(f"{self._cursor} < {self._bound(limits.least, values)}")
        if limits.greatest is not None:
            beyond.append(f"{self._cursor} > {self._bound(limits.greatest, values)}")
        conditions = [f"({' OR '.join(beyond)})"]
        if after is not None:
            conditions.append(self._from(after, values, self._key))
        return self._selected("*", conditions, ", ".join(self._key), values, limit)

    def without_key(self, start: Any, limits: Limits, limit: int) -> Statement:
        """Rows from the cursor value `start` that have a null in their key."""
        values: list[Any] = []
        conditions = self._readable(limits, values)
        if start is not None:
            conditions.append(f"{self._cursor} >= {self._bound(start, values)}")
        conditions.append(f"({' OR '.join(f'{name} IS NULL' for name in self._key)})")
        return self._selected("*", conditions, str(self._cursor), values, limit)

    def highest(self, limits: Limits) -> Statement:
        """The greatest cursor value."""
        values: list[Any] = []
        return self._select(f"MAX({self._cursor})", self._readable(limits, values)), self._parameters(values)

    def storages(self, column: str) -> Statement:
        """How many values of a column are kept as whole numbers, and how many as texts (SQLite)."""
        counts = (f"COALESCE(SUM(typeof({self._name(column)}) = '{kind}'), 0)" for kind in ("integer", "text"))
        return self._select(", ".join(counts)), self._parameters([])

    def _readable(self, limits: Limits, values: list[Any]) -> list[str]:
        conditions = [f"{self._cursor} IS NOT NULL"]
        if limits.least is not None:
            conditions.append(f"{self._cursor} >= {self._bound(limits.least, values)}")
        if limits.greatest is not None:
            conditions.append(f"{self._cursor} <= {self._bound(limits.greatest, values)}")
        return conditions

    def _from(self, at: Sequence[Any], values: list[Any], order: Sequence[str] | None = None) -> str:
        """`order` >= `at`, as every database understands it and an index serves it."""
        names = [str(self._cursor), *self._key] if order is None else list(order)
        served = f"{names[0]} >= {self._bound(at[0], values)}"
        cases = []
        for position, name in enumerate(names):
            last = position == len(names) - 1
            parts = [f"{names[i]} = {self._bound(at[i], values)}" for i in range(position)]
            parts.append(f"{name} {'>=' if last else '>'} {self._bound(at[position], values)}")
            cases.append(" AND ".join(parts))
        return f"{served} AND ({' OR '.join(f'({case})' for case in cases)})"

    def _selected(self, what: str, conditions: list[str], order: str, values: list[Any], limit: int) -> Statement:
        first = _FETCH_FIRST.get(self._dialect.name, "LIMIT {}").format(limit)
        return f"{self._select(what, conditions)} ORDER BY {order} {first}", self._parameters(values)

    def _select(self, what: str, conditions: Sequence[str] = ()) -> str:
        where = ["WHERE", " AND ".join(conditions)] if conditions else []
        return " ".join(["SELECT", what, "FROM", self._rows, *where])

    def _bound(self, value: Any, values: list[Any]) -> str:
        values.append(value)
        if self._format:
            return "%s"
        return f":p{len(values)}" if self._dialect.paramstyle in ("named", "numeric") else "?"

    def _parameters(self, values: list[Any]) -> Any:
        if self._dialect.paramstyle in ("named", "numeric"):
            return {f"p{at}": value for at, value in enumerate(values, start=1)}
        return tuple(values)

    def _name(self, name: str) -> str:
        return self._escaped(str(self._dialect.identifier_preparer.quote(name)))

    def _escaped(self, text: str) -> str:
        """Drivers that look for `%` in a statement take `%%` for one."""
        return text.replace("%", "%%") if self._format else text


def from_table(dialect: Dialect, name: str) -> str:
    """A table, named `name` or `schema.name`."""
    schema, _, table = name.rpartition(".")
    quote = dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(table)}" if schema else str(quote(table))


def from_query(statement: str) -> str:
    """A SELECT statement, which may end with a semicolon or a comment.

    Raises ExchangeError(E_CONNECTOR) when it is empty.
    """
    text = statement.strip().removesuffix(";").strip()
    if not text:
        raise ExchangeError("E_CONNECTOR", "the query: there is no statement")
    return f"(\n{text}\n) source_rows"
