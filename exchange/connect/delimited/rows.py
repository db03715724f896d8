"""From lines to rows: a line is a row of its header, or it is set aside by its number."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from json.encoder import encode_basestring

from exchange.connect.delimited.header import Header
from exchange.connect.delimited.lines import Line, Unreadable
from exchange.connect.delimited.quotes import QUOTE, UNDECIDED, Grammar, Span
from exchange.connect.reading import FaultyRow, SourceRow
from exchange.errors import ExchangeError

LONGEST_CELL = 1 << 20
"""Characters of a cell that is read."""
_SHOWN = 10_000
"""Characters of a faulty line that its department is shown."""
_UNCLOSED = "a quoted cell does not end on its line"
_MISPLACED = "a quotation mark inside of a cell that is not quoted, or behind the end of one that is"
_CELL_TOO_LONG = f"a cell of more than {LONGEST_CELL} characters"

AnyRow = SourceRow | FaultyRow


class RowReader:
    """Makes rows of the lines behind a header. Lines whose quoted cell may go on in the next stretch are held back."""

    def __init__(self, header: Header, grammar: Grammar, line_breaks: bool, sequence: int) -> None:
        """line_breaks: whether quoted cells may hold any. sequence: that of every row."""
        csv.field_size_limit(LONGEST_CELL)  # of the whole process; others may have changed it
        self._names = list(header.names)
        self._width = len(header.names)
        self._key = _key_of(header.key)
        self._grammar = grammar
        self._line_breaks = line_breaks
        self._sequence = sequence
        self._held: list[Line] = []
        self._behind = 1
        """Number of the last line that was read, those in `_held` not counted."""

    @property
    def lines(self) -> int:
        """Lines that were read so far, the header among them."""
        return self._behind + len(self._held)

    def read(self, new: list[Line], final: bool = False) -> Iterator[AnyRow]:
        """The rows that are complete with the lines of `new`; with `final`, no lines follow."""
        lines = [*self._held, *new] if self._held else new
        first, start, is_row = self._behind + 1, 0, self._grammar.is_row
        self._held, self._behind = [], self._behind + len(lines)
        suspects = [
            at
            for at, line in enumerate(lines)
            if not isinstance(line, str) or QUOTE in line or len(line) > LONGEST_CELL
        ]
        for at in suspects:
            line = lines[at]
            if at < start or (isinstance(line, str) and len(line) <= LONGEST_CELL and is_row(line)):
                continue
            yield from self._rows(lines[start:at], first + start)
            taken, rows = self._suspect(lines, at, first, final)
            yield from rows
            if not taken:
                self._held, self._behind = lines[at:], first + at - 1
                return
            start = at + taken
        yield from self._rows(lines[start:] if start else lines, first + start)

    def _rows(self, lines: Sequence[Line], number: int) -> Iterator[AnyRow]:
        """The rows of lines each of which is a whole row by its quotation marks; blank ones are skipped."""
        names, width, sequence, key_of = self._names, self._width, self._sequence, self._key
        columns = tuple(names)
        read = csv.reader(lines, delimiter=self._grammar.delimiter, strict=True)  # type: ignore[arg-type]  # all str
        for at, cells in enumerate(read, number):
            if len(cells) == width and (key := key_of(cells)) != "" and cells != names:
                row = SourceRow.of_cells(columns, cells, sequence, False, key)
                row.place = f"line {at}"
                yield row
            elif cells:
                yield self._unfit(cells, at, str(lines[at - number]))

    def _suspect(self, lines: list[Line], at: int, first: int, final: bool) -> tuple[int, list[AnyRow]]:
        """What the line at `at` is, and with how many lines; 0 when those that follow must be known first."""
        line, number = lines[at], first + at
        if isinstance(line, Unreadable):
            return 1, [_faulty(number, line.reason, line.text)]
        if self._grammar.is_row(line):
            return 1, [self._long(line, number)]
        if not self._grammar.is_open(line):
            return 1, [_faulty(number, _MISPLACED, line)]
        span = self._grammar.span(lines, at, self._width, final)
        if span is None:
            return 1, [_faulty(number, _UNCLOSED, line)]
        return self._over_lines(lines, at, span, number, final)

    def _over_lines(self, lines: list[Line], at: int, span: Span, number: int, final: bool) -> tuple[int, list[AnyRow]]:
        """The row that `span`, which begins at `at`, is, or its lines set aside."""
        doubtful: bool | None = True
        if self._line_breaks and span.cells:
            doubtful = self._grammar.is_doubtful(lines, at, span, self._width, final)
        if span is UNDECIDED or doubtful is None:
            return 0, []
        if not doubtful:
            return span.lines, [self._row(span.cells, number, str(lines[at]))]
        reason = self._reason(number, number + span.lines - 1, bool(span.cells))
        between = enumerate(lines[at : at + span.lines], number)
        return span.lines, [
            _faulty(each, reason, line if isinstance(line, str) else line.text) for each, line in between
        ]

    def _reason(self, first: int, last: int, short: bool) -> str:
        if not short:
            return f"{_CELL_TOO_LONG}, over lines {first} to {last}"
        if self._line_breaks:
            return f"a quoted cell runs over lines {first} to {last}, which look like rows of their own"
        return f"a quoted cell runs over lines {first} to {last}; line_breaks=True declares that cells hold line breaks"

    def _long(self, line: str, number: int) -> AnyRow:
        try:
            cells = self._grammar.cells(line)
        except csv.Error:
            return _faulty(number, _CELL_TOO_LONG, line)
        return self._row(cells, number, line)

    def _row(self, cells: list[str], number: int, line: str) -> AnyRow:
        if len(cells) != self._width or (key := self._key(cells)) == "" or cells == self._names:
            return self._unfit(cells, number, line)
        return SourceRow(dict(zip(self._names, cells, strict=False)), self._sequence, False, key, f"line {number}")

    def _unfit(self, cells: list[str], number: int, line: str) -> FaultyRow:
        if len(cells) != self._width:
            return _faulty(number, f"{len(cells)} cells, the header has {self._width}", line)
        return _faulty(number, "the header again" if cells == self._names else "the key is empty", line)


def _faulty(number: int, reason: str, line: str) -> FaultyRow:
    place = f"line {number}"
    shown = {"line": line[:_SHOWN].rstrip("\r\n")}
    return FaultyRow(ExchangeError("E_ROW_UNREADABLE", f"{place}: {reason}"), None, place, shown)


def _key_of(columns: tuple[int, ...]) -> Callable[[list[str]], str | None]:
    """A function that gives the key of a row as JSON list: None without key columns, empty when all of them are."""
    if not columns:
        return lambda _cells: None
    if len(columns) > 1:
        return lambda cells: _key_text(cells[column] for column in columns)
    (only,) = columns
    # what `_key_text` gives for one part; every row passes here
    return lambda cells: f"[{encode_basestring(cells[only])}]" if cells[only].strip() else ""


def _key_text(parts: Iterable[str]) -> str:
    found = list(parts)
    return f"[{','.join(map(encode_basestring, found))}]" if any(part.strip() for part in found) else ""
