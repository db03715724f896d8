"""From where a table is read again, so that no row is passed over because its transaction commits late.

A *pass* reads from a position to the end. The highest value that it reaches, with the database's own moment, is a
*mark*. What is below a mark can still appear in two ways, and each has its answer:

1. A transaction was open when rows were read (PostgreSQL tells which). One that begins after a snapshot takes its
   values (`now()`, `nextval`) after everything in that snapshot; so a transaction first seen open behind a mark writes
   nothing below that mark. It is kept with that mark, and when it has ended, the next pass begins there. One that was
   open at the first reading is kept with no mark: when it has ended, the whole is read along the cursor once.
2. For what the database does not tell (other databases; transactions that no snapshot shows; clocks of applications
   that differ), rows below a mark are taken to be there a *look-back* later, by the database's clock. A pass that began
   later than that has read all that will ever be below the mark: the mark becomes the *base*, where passes begin.

A pass begins at its position inclusive, because a column of whole seconds gives one value to all changes of a second.
Only when the position has not moved for a whole look-back (at least two seconds) before the mark was made, no clock
gives its value any more, and passes begin strictly behind it: the rows of one bulk load are not read again for ever.

Values are those of the cursor column. Moments are microseconds since 1970 by the database's clock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchange.connect.reading import Cursor
from exchange.connect.sql.values import pack, unpack

FORM = 1
"""Of cursors. One of another form is worthless, and the whole is read."""
_COARSEST = 2_000_000
"""Microseconds: a clock column of whole seconds, which a database may round up."""

Token = str | int
"""A transaction by its name, or a moment that the look-back has to reach."""


@dataclass(slots=True)
class Mark:
    """Everything visible up to `value` was read. None: nothing was there."""

    value: Any
    moment: int
    since: int
    """Since when the value is the highest."""


@dataclass(slots=True)
class Pass:
    """A pass under way."""

    start: Any
    strict: bool
    horizon: int
    """Marks up to this moment become the base when the pass is done."""
    ended: set[Token]
    """What is answered when it is done."""
    at: list[Any] | None = None
    """Cursor and key of the last row; None before the first."""


@dataclass(slots=True)
class Positions:
    """The state behind the cursor of a table. Values are None where nothing was read yet."""

    base: Any = None
    strict: bool = False
    high: Any = None
    since: int = 0
    marks: list[Mark] = field(default_factory=list)
    pending: list[tuple[Any, set[Token]]] = field(default_factory=list)
    """Ascending by value, None first: what to wait for, and from where to read when it has come."""
    under_way: Pass | None = None

    def begin(self, horizon: int, moment: int, still_open: frozenset[str]) -> Pass:
        """Begin a pass.

        horizon: moment up to which the look-back has passed. still_open: transactions open before the pass's snapshot.
        """
        for mark in self.marks:
            mark.moment = min(mark.moment, moment)  # the database's clock was set back: its look-back begins anew
        ended: set[Token] = set()
        start, strict = self.base, self.strict
        for value, tokens in self.pending:
            over = {one for one in tokens if _over(one, horizon, still_open)}
            ended |= over
            if over and _not_after(value, start):
                start, strict = value, False
        self.under_way = Pass(start, strict, horizon, ended)
        return self.under_way

    def fit(self, fits: Callable[[Any], bool]) -> bool:
        """Whether all values can be compared with those of the column as it is: its type may have been changed."""
        values = [self.base, self.high, *(mark.value for mark in self.marks), *(value for value, _ in self.pending)]
        if self.under_way is not None:
            values.append(self.under_way.start)
        return all(fits(value) for value in values)

    def forget(self) -> None:
        """Nothing was read yet: the next pass begins with the first row."""
        self.base = self.high = self.under_way = None
        self.strict, self.since = False, 0
        self.marks, self.pending = [], []

    def reach(self, value: Any, moment: int) -> None:
        """A page has read up to `value`, which is not ahead of the database's clock."""
        if self.high is None or value > self.high:
            self.high, self.since = value, moment

    def note_open(self, value: Any, tokens: Iterable[Token]) -> None:
        """Transactions that were open when a page was read; those not seen before write nothing below `value`."""
        known = {token for _, ones in self.pending for token in ones}
        new = set(tokens) - known
        if not new:
            return
        if self.pending and self.pending[-1][0] == value:
            self.pending[-1][1].update(new)
        else:
            self.pending.append((value, new))

    def finish(self, moment: int, look_back: int) -> None:
        """The pass has come to the end, and its last snapshot was taken before `moment`."""
        done = self.under_way
        assert done is not None
        self.under_way = None
        self.marks.append(Mark(self.high, moment, self.since))
        self.pending = [(value, left) for value, tokens in self.pending if (left := tokens - done.ended)]
        passed = [at for at, mark in enumerate(self.marks) if mark.moment <= done.horizon]
        if passed:
            self.marks = self.marks[passed[-1] :]
            mark = self.marks[0]
            self.base = mark.value
            self.strict = mark.moment - mark.since >= max(look_back, _COARSEST)

    def dump(self) -> Cursor:
        """As JSON can hold it. A pass under way goes on where it is."""
        going = self.under_way
        return {
            "form": FORM,
            "base": _packed(self.base),
            "strict": self.strict,
            "high": _packed(self.high),
            "since": self.since,
            "marks": [[_packed(mark.value), mark.moment, mark.since] for mark in self.marks],
            "pending": [[_packed(value), sorted(tokens, key=str)] for value, tokens in self.pending],
            "pass": None
            if going is None
            else {
                "start": _packed(going.start),
                "strict": going.strict,
                "horizon": going.horizon,
                "ended": sorted(going.ended, key=str),
                "at": None if going.at is None else [pack(part) for part in going.at],
            },
        }


def load(cursor: Cursor) -> Positions | None:
    """What `dump` made; None for a cursor of another form, or a damaged one."""
    if cursor.get("form") != FORM:
        return None
    try:
        return _loaded(cursor)
    except (KeyError, ValueError, TypeError, ArithmeticError):
        return None


def newest(cursor: Cursor) -> Any:
    """The greatest cursor value that was read, of a row that is not ahead of the database's clock; None: none was."""
    found = load(cursor)
    return None if found is None else found.high


def _loaded(cursor: Cursor) -> Positions:
    going = cursor["pass"]
    return Positions(
        base=_unpacked(cursor["base"]),
        strict=cursor["strict"],
        high=_unpacked(cursor["high"]),
        since=cursor["since"],
        marks=[Mark(_unpacked(value), moment, since) for value, moment, since in cursor["marks"]],
        pending=[(_unpacked(value), set(tokens)) for value, tokens in cursor["pending"]],
        under_way=None
        if going is None
        else Pass(
            start=_unpacked(going["start"]),
            strict=going["strict"],
            horizon=going["horizon"],
            ended=set(going["ended"]),
            at=None if going["at"] is None else [unpack(part) for part in going["at"]],
        ),
    )


def _over(token: Token, horizon: int, still_open: frozenset[str]) -> bool:
    return token <= horizon if isinstance(token, int) else token not in still_open


def _not_after(value: Any, other: Any) -> bool:
    return value is None or (other is not None and bool(value <= other))


def _packed(value: Any) -> list[str] | None:
    return None if value is None else pack(value)


def _unpacked(packed: Sequence[str] | None) -> Any:
    return None if packed is None else unpack(packed)
