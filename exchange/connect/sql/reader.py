"""Reads a table or query of a department's database: the whole of one moment, and what is new along its cursor."""

import hashlib
import json
import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from exchange.clock import Deadline, Every
from exchange.connect.database_errors import Kind
from exchange.connect.engine import Address, open_engine
from exchange.connect.reading import Cursor, FaultyRow, Page, SourceColumns
from exchange.connect.sql.fetching import fetch
from exchange.connect.sql.positions import FORM, Mark, Positions, Token, load
from exchange.connect.sql.results import Found, Results, Rows
from exchange.connect.sql.snapshots import SECOND, Observation, Session, Snapshots
from exchange.connect.sql.statements import Statements, from_query, from_table
from exchange.errors import ExchangeError

TOLD_LOOK_BACK = 5.0
"""Seconds, where the database tells of its open transactions: only clocks may differ."""
UNTOLD_LOOK_BACK = 60.0
"""Seconds elsewhere: longer than a transaction of an application takes (a lock of InnoDB is waited for 50 s)."""

_PAUSE_SECONDS = 0.02
_HEARD_SECONDS = 0.25
"""Whoever reads is asked so often whether to wait any longer."""


class SqlReader:
    """The reader of one table or query. See `exchange.connect.reading.Reader`."""

    brings_all = True
    """What a whole reading does not bring is gone from the table."""
    waiting = False
    """Whatever has been committed is read at once; what was not is none of this run's."""

    def __init__(self, what: str, statement: str | None, columns: SourceColumns, address: Address) -> None:
        """what: the table's name, or how errors call the query; statement: of a query.

        Raises ExchangeError as `open_engine` does, and E_CONNECTOR for a look-back or a statement that is none.
        """
        if columns.look_back_seconds is not None and not 0 <= columns.look_back_seconds < math.inf:
            raise ExchangeError("E_CONNECTOR", f"{what}: look_back_seconds is a number of seconds, 0 or more")
        self._what = what
        self._columns = columns
        self.fingerprint = _fingerprint(what, statement, columns)
        self._engine = open_engine(address)
        self._dialect = self._engine.dialect.name
        rows = from_table(self._engine.dialect, what) if statement is None else from_query(statement)
        self._statements = Statements(self._engine.dialect, rows, columns.cursor, columns.key)
        self._snapshots = Snapshots(self._engine)
        self._results = Results(what, self._engine.dialect, columns, self._statements)
        self._positions: Positions | None = None
        self._given: Cursor | None = None
        """The cursor that `_positions` stands for: it runs ahead of it while nothing new is found."""
        self._done = False
        """Whether the last page ended a pass, so that the line may rest before the next."""
        self._last: set[Any] = set()
        """The rows of the last page; the next one begins with the last of them again."""
        self._unplaced_after: list[Any] | None = None

    def due(self, cursor: Cursor | None) -> bool:
        """Whether no whole reading was made yet, or by a reader of another form."""
        if cursor is None or cursor.get("form") != FORM:
            return True
        return self._columns.cursor is not None and cursor != self._given and load(cursor) is None

    def page(self, cursor: Cursor, limit: int) -> Page | None:
        """The next rows of a pass, or None once when it is done; the call after that begins the next pass."""
        if self._columns.cursor is None:
            return None
        positions = self._continue(cursor)
        if self._done:
            self._done = False
            return None
        with self._reached():
            if positions.under_way is None:
                unplaced = self._begin_pass(positions, limit)
                if unplaced:
                    return self._give(unplaced)
            rows = self._next_rows(positions, limit)
        if not rows:
            return None
        self._done = positions.under_way is None
        return self._give(rows)

    def whole(self, limit: int) -> Iterator[Page]:
        """Every row of one moment, in the order in which the database gives them.

        When the database fails on a row in the middle, the rows come again, of a later moment and along the key, and
        that row is a faulty one.
        """
        with self._reached():
            before = yield from self._look_ahead()
            try:
                with self._snapshots.session(patient=True) as session:
                    yield from self._stream(session, before, limit)
                return
            except self._results.errors as error:
                if self._results.fault_of(error).kind is not Kind.ROW:
                    raise
            with self._snapshots.session(patient=True) as session:
                yield from self._row_by_row(session, before, limit)

    def rows_left(self, cursor: Cursor, most: int) -> int:
        """Rows of the pass behind `cursor`, counted up to `most`; among them those that are read again."""
        going = self._continue(cursor).under_way
        if going is None:
            return 0
        with self._reached(), self._snapshots.session() as session:
            session.begin()
            limits = self._results.shape(session).limits
            counted = int(self._results.value(session, self._statements.count(going, limits, most + 1)))
        return min(counted - 1 if going.at is not None and counted else counted, most)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    # a pass along the cursor

    def _continue(self, cursor: Cursor) -> Positions:
        """The state behind `cursor`: the one in memory when it is that of the last page, since idle passes move it."""
        if self._positions is None or cursor != self._given:
            loaded = load(cursor)
            if loaded is None:
                raise ExchangeError("E_CONNECTOR", f"{self._what}: the cursor is not one of a table")
            self._positions, self._given = loaded, cursor
            self._done, self._last = False, set()
        return self._positions

    def _give(self, rows: Rows) -> Page:
        assert self._positions is not None
        self._given = self._positions.dump()
        return Page(rows, self._given)

    def _begin_pass(self, positions: Positions, limit: int) -> Rows:
        """Begin a pass; the rows that have no place in its order."""
        with self._snapshots.session() as session:
            observed = session.observe()
            session.begin()
            self._results.know_storages(session, positions.high)
            limits = self._results.shape(session).limits
            if not positions.fit(self._results.fits):
                positions.forget()
            going = positions.begin(observed.horizon(self._look_back(observed)), observed.moment, observed.open)
            self._last = set()
            found = self._results.run(session, self._statements.unplaced(limits, self._unplaced_after, limit))
            rows = found.rows(observed.moment)
            full = len(rows) == limit
            self._unplaced_after = found.readable_keys()[-1] if full else None
            if full:
                self._results.count_storages(session)
            if not full:
                statement = self._statements.without_key(going.start, limits, limit - len(rows))
                rows += self._results.run(session, statement).rows(observed.moment)
        return rows

    def _next_rows(self, positions: Positions, limit: int) -> Rows:
        """The next rows of the pass; the pass is finished when they are the last."""
        going = positions.under_way
        assert going is not None
        wanted = limit
        while True:
            with self._snapshots.session() as session:
                session.begin()
                self._results.know_storages(session, positions.high)
                limits = self._results.shape(session).limits
                found = self._results.page(session, going, limits, wanted)
                observed = session.observe()
            if not positions.fit(self._results.fits):
                positions.forget()  # the column has another type since the pass began
                return []
            positions.note_open(positions.high, observed.open)
            identities = found.identities()
            if len(found.places) < wanted or not self._last.issuperset(identities):
                break
            wanted *= 2  # as many rows as a page stand at one place of the database's order
        known, self._last = self._last, set(identities)
        if found.places:
            self._advance(positions, found, observed)
        if len(found.places) < wanted:
            positions.finish(observed.moment, self._look_back(observed))
        return found.rows(observed.moment, [one not in known for one in identities])

    def _advance(self, positions: Positions, found: Found, observed: Observation) -> None:
        going = positions.under_way
        assert going is not None
        readable = [place for place in found.places if place is not None]
        if not readable:
            raise ExchangeError("E_CONNECTOR", f"{self._what}: a page of rows whose cursor or key cannot be read")
        going.at = readable[-1]
        reached = found.form.highest([place[0] for place in readable], observed.moment)
        if reached is not None:
            positions.reach(reached, observed.moment)

    # the whole

    def _look_ahead(self) -> Generator[Page, None, Observation | None]:
        """Wait a little for the transactions that are open, where the database names them.

        Meanwhile there are pages without rows, so that whoever reads can leave.
        Those that begin after the look write nothing below the highest value by then. For the others nobody knows where
        they write, so that they cost another reading once they have ended.
        """
        if self._columns.cursor is None or self._dialect != "postgresql":
            return None
        with self._snapshots.session() as session:
            session.begin()
            form = self._results.shape(session)
            # the snapshot is taken by now, so that whatever is open in it is observed
            first = session.observe()
            highest = self._results.value(session, self._statements.highest(form.limits_until(first.moment)))
            until = Deadline.after(TOLD_LOOK_BACK)
            left = first.open
            heard = Every(_HEARD_SECONDS)
            while left and not until.passed:
                if heard.due:
                    heard.done()
                    yield Page([], {})
                time.sleep(_PAUSE_SECONDS)
                left &= session.observe().open
        return replace(first, open=left, highest=highest)

    def _stream(self, session: Session, before: Observation | None, limit: int) -> Iterator[Page]:
        session.begin()
        self._results.count_storages(session)
        self._results.shape(session)
        observed = session.observe()
        high: Any = None
        rows: Rows = []
        with session.stream() as cursor:
            cursor.execute(*self._statements.all())
            form = self._results.form_of(cursor.description)
            fetched, spoilt = fetch(cursor, self._dialect, limit)
            while fetched:
                high = _greater(high, form.highest(form.cursors(fetched), observed.moment))
                rows = [form.row(values, spoilt, observed.moment) for values in fetched]
                fetched, spoilt = fetch(cursor, self._dialect, limit)
                if fetched:
                    yield Page(rows, {})
        yield Page(rows, self._after_whole(high, before, observed))

    def _row_by_row(self, session: Session, before: Observation | None, limit: int) -> Iterator[Page]:
        """The whole, where the database fails on a row of it."""
        session.begin()
        self._results.count_storages(session)
        form = self._results.shape(session)
        observed = session.observe()
        high: Any = None
        for found in self._results.all_by_key(session, limit):
            read = [values for values in found.values if not isinstance(values, FaultyRow)]
            high = _greater(high, form.highest(found.form.cursors(read), observed.moment))
            rows = found.rows(observed.moment)
            for at in range(0, len(rows), limit):
                yield Page(rows[at : at + limit], {})
        yield Page([], self._after_whole(high, before, observed))

    def _after_whole(self, high: Any, before: Observation | None, observed: Observation) -> Cursor:
        """Where to go on behind a whole reading: nothing of before counts, a cursor that was wrong is mended."""
        if self._columns.cursor is None:
            return {"form": FORM}
        look_back = self._look_back(observed)
        unsure: set[Token] = set()
        if before is not None:
            base = _earlier(before.highest, look_back)
            unsure = set(before.open)
        elif isinstance(high, datetime):
            base = _earlier(high, observed.moment - observed.horizon(look_back))
        else:
            base, unsure = high, {observed.moment}
        fresh = Positions(base=base, high=high, since=observed.moment)
        fresh.marks.append(Mark(high, observed.moment, observed.moment))
        if unsure:
            fresh.pending.append((self._final(high), unsure))
        if before is not None:
            fresh.note_open(before.highest, observed.open)
        self._positions, self._given = fresh, fresh.dump()
        self._done, self._last = False, set()
        return self._given

    def _final(self, high: Any) -> Any:
        """Below this value nothing can appear, by what was read along the cursor before; None: that is not known."""
        former = self._positions
        if former is None or former.base is None or high is None or any(value is None for value, _ in former.pending):
            return None
        if not former.fit(self._results.fits):
            return None
        return min([former.base, high, *(value for value, _ in former.pending)])

    # the database

    def _look_back(self, observed: Observation) -> int:
        """Microseconds."""
        usual = TOLD_LOOK_BACK if observed.told else UNTOLD_LOOK_BACK
        declared = self._columns.look_back_seconds
        return int((usual if declared is None else declared) * SECOND)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Errors of the database as what they mean."""
        try:
            yield
        except self._results.errors as error:
            fault = self._results.fault_of(error)
            code = "E_SOURCE_UNREACHABLE" if fault.kind is Kind.AWAY else "E_CONNECTOR"
            raise ExchangeError(code, f"{self._what}: {fault.detail}") from None
        except OSError as error:
            raise ExchangeError("E_SOURCE_UNREACHABLE", f"{self._what}: {type(error).__name__}") from None


def _greater(one: Any, other: Any) -> Any:
    return one if other is None or (one is not None and one >= other) else other


def _earlier(value: Any, look_back: int) -> Any:
    """A time so much earlier (in microseconds); a number as it is."""
    if not isinstance(value, datetime):
        return value
    try:
        return value - timedelta(microseconds=look_back)
    except OverflowError:
        return None


def _fingerprint(what: str, statement: str | None, columns: SourceColumns) -> str:
    declared = [what, statement, columns.key, columns.cursor, columns.version, columns.withdrawn]
    return hashlib.sha256(json.dumps(declared, ensure_ascii=True).encode()).hexdigest()
