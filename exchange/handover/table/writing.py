"""Applying changes so that one that the table refuses holds no other up.

A batch is one savepoint. What the database refuses is halved until the records are found that it refuses, whatever
error it names for them: a trigger may raise anything. Only when the statements themselves fail, or nothing at all
passes and the table or a right is named as the cause, it is the declaration's fault.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from exchange.connect.database_errors import Kind, sort
from exchange.errors import ExchangeError
from exchange.handover.layout import Change
from exchange.handover.table.batch import Made, Mark, Refused
from exchange.handover.table.marks import RowMarks
from exchange.handover.table.rows import RowMaker
from exchange.handover.table.upsert import KeyedTable

_NOT_BY_CHANCE = 20
"""Of so many records not one passes: it is not theirs."""


class Writer:
    """Writes changes into a table as it is now, with the marks of their rows."""

    def __init__(self, rows: KeyedTable, maker: RowMaker, marks: RowMarks) -> None:
        self._rows = rows
        self._maker = maker
        self._marks = marks

    def ready(self, connection: Connection) -> None:
        """Whatever the session needs before it writes, in a transaction of its own."""
        self._rows.ready(connection)

    def write(
        self, connection: Connection, mark: Mark, changes: Sequence[Change], whole: bool = False
    ) -> list[Refused]:
        """Apply the last change of each key, and of a key whose last is refused the last that is not.

        Gives the last changes that were refused. whole: nothing else was written in this transaction. Raises
        ExchangeError(E_CONNECTOR) when the table or a right is at fault, and what the driver raises when it is away.
        """
        last = {change.key: change for change in changes}
        made, refused = self._maker.all(last.values())
        made.sort(key=lambda one: one.row is not None)  # withdrawals first: they make room for what is unique
        refused += self._tried(connection, mark, made, whole)
        if refused:
            self._former(connection, mark, refused, changes)
            self.keep(connection, mark, [one.change.key for one in refused])
        return refused

    def keep(self, connection: Connection, mark: Mark, keys: Sequence[bytes]) -> None:
        """The share has not given these rows up, although the table is not as it says: no sweep takes them."""
        if not keys:
            return
        try:
            with connection.begin_nested():
                self._marks.seen(connection, mark, dict.fromkeys(keys))
        except Exception as error:  # a key that cannot be kept has no row either
            _raise_if_away(error)

    def _tried(self, connection: Connection, mark: Mark, made: Sequence[Made], whole: bool) -> list[Refused]:
        refused = self._halved(connection, mark, made, whole)
        if whole and len(refused) == len(made) >= _NOT_BY_CHANCE and all(one.declared for one in refused):
            raise ExchangeError("E_CONNECTOR", f"the table takes no record: {refused[0].detail}")
        return refused

    def _halved(self, connection: Connection, mark: Mark, made: Sequence[Made], whole: bool) -> list[Refused]:
        if not made:
            return []
        try:
            with connection.begin_nested():
                self._at_once(connection, mark, made, whole)
        except Exception as error:  # a driver says of a value what it likes
            refused = _refused(made[0].change, error)
            if whole and refused.declared:
                self._probe(connection, made)
            if len(made) == 1:
                return [refused]
            half = len(made) // 2
            first = self._halved(connection, mark, made[:half], False)
            return first + self._halved(connection, mark, made[half:], False)
        return []

    def _at_once(self, connection: Connection, mark: Mark, made: Sequence[Made], whole: bool) -> None:
        gone = [one for one in made if one.row is None]
        self._rows.remove(connection, [one.key for one in gone])
        self._marks.gone(connection, mark.grant, [one.change.key for one in gone])
        kept = [one for one in made if one.row is not None]
        by_columns = _by_columns(kept)
        put = self._rows.put_first if whole and len(by_columns) == 1 else self._rows.put
        for columns, rows in by_columns.items():
            put(connection, columns, rows)
        self._marks.seen(connection, mark, [one.change.key for one in kept])

    def _probe(self, connection: Connection, made: Sequence[Made]) -> None:
        """Raises ExchangeError(E_CONNECTOR) when the statements fail without a record."""
        columns = next((one.columns for one in made if one.row is not None), ())
        try:
            with connection.begin_nested():
                self._rows.probe(connection, columns)
        except SQLAlchemyError as error:
            _raise_if_away(error)
            raise ExchangeError("E_CONNECTOR", sort(error).detail) from None

    def _former(
        self, connection: Connection, mark: Mark, refused: Sequence[Refused], changes: Sequence[Change]
    ) -> None:
        """The versions before, in this batch, of what was refused: the last that the table takes."""
        waiting = {one.change.key: one.change.offset for one in refused}
        before: dict[bytes, list[Change]] = defaultdict(list)
        for change in changes:
            if change.offset < waiting.get(change.key, -1):
                before[change.key].append(change)
        for of_key in before.values():
            for change in reversed(of_key):
                made, _ = self._maker.all([change])
                if made and not self._halved(connection, mark, made, False):
                    break


def _by_columns(kept: Sequence[Made]) -> dict[tuple[str, ...], list[tuple[Any, ...]]]:
    found: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    columns, rows = None, []
    for one in kept:
        if one.columns is not columns:
            columns, rows = one.columns, found.setdefault(one.columns, [])
        assert one.row is not None
        rows.append(one.row)
    return found


def _refused(change: Change, error: Exception) -> Refused:
    """Raises when the database is away."""
    _raise_if_away(error)
    if not isinstance(error, SQLAlchemyError):
        return Refused(change, f"a value that cannot be sent ({type(error).__name__})")
    fault = sort(error)
    return Refused(change, fault.detail, fault.kind is Kind.DECLARATION)


def _raise_if_away(error: Exception) -> None:
    """Also when only the savepoint is said to be gone: a deadlock has ended the whole transaction before."""
    for one in _with_causes(error):
        if isinstance(one, SQLAlchemyError) and sort(one).kind is Kind.AWAY:
            raise one


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__context__
