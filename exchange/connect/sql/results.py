"""Runs the statements of one table or query, and finds the row that the database itself cannot give.

A cast in a view, a division, a function that raises: the database then gives nothing of the page in which such a row
stands. The keys of the page are asked for alone and its rows one by one, so that the others are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from exchange.connect.database_errors import DatabaseFault, Kind, sort
from exchange.connect.reading import FaultyRow, SourceColumns, SourceRow
from exchange.connect.sql.column_types import Storage, Storages, storage_of, untyped
from exchange.connect.sql.fetching import Values, fetch
from exchange.connect.sql.rows import RowForm
from exchange.connect.sql.snapshots import Session
from exchange.connect.sql.statements import Limits, Span, Statement, Statements
from exchange.errors import ExchangeError

Rows = list[SourceRow | FaultyRow]
Place = list[Any]
"""Cursor (where there is one) and key."""

_READ_ONLY = "SQLSTATE 25006"


@dataclass(frozen=True, slots=True)
class Found:
    """What a statement gave, in its order."""

    form: RowForm
    values: Sequence[Values | FaultyRow]
    spoilt: bool
    places: Sequence[Place | None]
    """Where each row stands; None: that cannot be read."""

    def identities(self) -> list[Any]:
        """Tells rows of neighbouring pages apart; only for the memory of the process."""
        pairs = zip(self.places, self.values, strict=True)
        return [repr(values) if place is None else tuple(place) for place, values in pairs]

    def readable_keys(self) -> list[Place | None]:
        """The key of each row; None: it has none that can be read."""
        return [None if isinstance(one, FaultyRow) else self.form.key_of(one) for one in self.values]

    def rows(self, moment: int, wanted: Sequence[bool] | None = None) -> Rows:
        """The rows, or those `wanted`. moment: the sequence of rows that have none, in microseconds since 1970."""
        chosen = self.values if wanted is None else [one for one, is_ in zip(self.values, wanted, strict=True) if is_]
        return [one if isinstance(one, FaultyRow) else self.form.row(one, self.spoilt, moment) for one in chosen]


class Results:
    """Runs statements in a session. Errors of the driver pass through it; `fault_of` says what they mean."""

    def __init__(self, what: str, dialect: Dialect, columns: SourceColumns, statements: Statements) -> None:
        self._what = what
        self._dialect = dialect
        self._columns = columns
        self._statements = statements
        self._form: RowForm | None = None
        self._described: list[Any] = []
        self._storages = Storages()
        self.errors: tuple[type[Exception], ...] = (SQLAlchemyError, dialect.loaded_dbapi.Error)
        """What SQLAlchemy and the driver raise."""

    def shape(self, session: Session) -> RowForm:
        """The form of the rows: asked for once, and learnt from every result."""
        return self._form or self.run(session, self._statements.shape()).form

    def count_storages(self, session: Session) -> None:
        """See how most values of the cursor and withdrawn columns are kept, where columns have no types that say it."""
        if not untyped(self._dialect.name):
            return
        names = (self._columns.cursor, self._columns.withdrawn)
        cursor, withdrawn = (None if name is None else self._storage_of(session, name) for name in names)
        self._take_storages(Storages(cursor, withdrawn))

    def know_storages(self, session: Session, former: Any) -> None:
        """The same once. former: a value of the cursor column that was read before, which is kept like the others."""
        if self._storages.cursor is not None or not untyped(self._dialect.name):
            return
        self.count_storages(session)
        if former is not None:
            self._take_storages(Storages(type(former), self._storages.withdrawn))

    def fits(self, value: Any) -> bool:
        """Whether a cursor value of before can be compared with those of the column as it was last seen."""
        return self._form is None or self._form.fits(value)

    def form_of(self, description: Sequence[Any]) -> RowForm:
        """The form of a result's rows. Columns of a table may change from one result to the next."""
        described = [(one[0], one[1]) for one in description]
        if self._form is None or described != self._described:
            self._form = RowForm(self._what, self._dialect.name, self._columns, description, self._storages)
            self._described = described
        return self._form

    def run(self, session: Session, statement: Statement) -> Found:
        """All rows of a statement."""
        with session.cursor() as cursor:
            cursor.execute(*statement)
            form = self.form_of(cursor.description)
            values, spoilt = fetch(cursor, self._dialect.name, None)
        return Found(form, values, spoilt, [form.place_of(one) for one in values])

    def value(self, session: Session, statement: Statement) -> Any:
        """The only value of a statement."""
        return self._columns_only(session, statement)[0][0]

    def page(self, session: Session, span: Span, limits: Limits, limit: int) -> Found:
        """A page along cursor and key."""
        try:
            return self.run(session, self._statements.page(span, limits, limit))
        except self.errors as error:
            if self.fault_of(error).kind is not Kind.ROW:
                raise
        session.begin()
        places = self._columns_only(session, self._statements.page(span, limits, limit, places=True))
        return self._one_by_one(session, [list(place) for place in places], keys_from=1)

    def all_by_key(self, session: Session, limit: int) -> Iterator[Found]:
        """Every row of the session's snapshot along the key, where `Statements.all` fails on one of them."""
        yield self.run(session, self._statements.keyless())
        at: Place | None = None
        last: set[str] = set()
        while True:
            found, keys, count = self._part(session, at, limit)
            yield found
            if count < limit:
                return
            known = {repr(key) for key in keys}
            if known <= last:
                raise ExchangeError("E_CONNECTOR", f"{self._what}: more rows than a page have one key")
            at, last = keys[-1], known

    def fault_of(self, error: Exception) -> DatabaseFault:
        """What an error of SQLAlchemy or of the driver means."""
        if not isinstance(error, SQLAlchemyError):
            driver = self._dialect.loaded_dbapi.Error
            wrapped = DBAPIError.instance(None, None, error, driver, dialect=self._dialect)
            assert isinstance(wrapped, SQLAlchemyError)
            error = wrapped
        fault = sort(error)
        if _READ_ONLY in fault.detail:  # of a sink it means a standby; a source's session is read-only by our own wish
            return DatabaseFault(Kind.DECLARATION, f"{fault.detail}: a source only reads")
        return fault

    def _storage_of(self, session: Session, name: str) -> Storage:
        ((numbers, texts),) = self._columns_only(session, self._statements.storages(name))
        return storage_of(numbers, texts)

    def _take_storages(self, storages: Storages) -> None:
        if storages != self._storages:
            self._storages, self._form = storages, None

    def _part(self, session: Session, at: Place | None, limit: int) -> tuple[Found, list[Place], int]:
        """Rows from a key on, their keys as far as they can be read, and how many rows there were."""
        try:
            with session.attempt():
                found = self.run(session, self._statements.by_key(at, limit))
            return found, [key for key in found.readable_keys() if key is not None], len(found.values)
        except self.errors as error:
            if self.fault_of(error).kind is not Kind.ROW:
                raise
        keys = [list(key) for key in self._columns_only(session, self._statements.by_key(at, limit, places=True))]
        return self._one_by_one(session, keys, keys_from=0), keys, len(keys)

    def _one_by_one(self, session: Session, places: list[Place], keys_from: int) -> Found:
        """The rows at `places`, each asked for alone."""
        form = self.shape(session)
        values: list[Values | FaultyRow] = []
        stand: list[Place | None] = []
        for place in places:
            key = place[keys_from:]
            try:
                with session.attempt():
                    found = self.run(session, self._statements.one(key))
                values += found.values
                stand += [place] * len(found.values)
            except self.errors as error:
                fault = self.fault_of(error)
                if fault.kind is not Kind.ROW:
                    raise
                values.append(form.unread(key, f"the database cannot give the row ({fault.detail})"))
                stand.append(place)
        return Found(form, values, True, stand)

    def _columns_only(self, session: Session, statement: Statement) -> list[Values]:
        with session.cursor() as cursor:
            cursor.execute(*statement)
            return fetch(cursor, self._dialect.name, None)[0]
