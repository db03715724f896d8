"""The grammar of quotation marks, as RFC 4180 has it and no wider.

A cell stands between quotation marks, with its own marks doubled, or it holds none. A quoted cell ends on the line on
which it begins, unless the file is declared to hold line breaks in its cells. Where it does not, this bounds the harm:

1. A quoted cell whose end does not come before 20 lines with as many delimiters as the header (or 4 MiB, or 100,000
   lines), or leaves a row of another width, was not meant as one: its line is set aside alone, and the next one read.
2. A quoted cell that ends before, in a row of the header's width, runs over lines. Where no line breaks are declared,
   each of these lines is set aside: whether they are one row or several cannot be told, and neither may somebody's rows
   become another's cell, nor a text that somebody typed become a row.
3. Where they are declared, it is a row, unless its lines look like several: a line behind the first begins a row that
   is whole by itself, or first and last line both hold as many delimiters as the header. Then 2 holds.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from exchange.connect.delimited.lines import LONGEST_LINE, Line

MOST_ROWS = 20
"""Lines with as many delimiters as the header that may stand between a quotation mark and the one that closes it."""
MOST_LINES = 100_000
QUOTE = '"'


@dataclass(frozen=True, slots=True)
class Span:
    """A row that runs over several lines by its quotation marks."""

    lines: int
    """0: whether there is one cannot be said without the lines that follow."""
    cells: list[str]
    """Empty when one of them is too long."""


UNDECIDED = Span(0, [])


class Grammar:
    """The grammar for one delimiter."""

    def __init__(self, delimiter: str) -> None:
        mark = re.escape(delimiter)
        cell = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"{mark}\r\n]*+)'
        before = rf"(?:{cell}{mark})*+"
        self.delimiter = delimiter
        self.is_row = re.compile(rf"{before}{cell}(?:\r\n|\r|\n)?+\Z").match
        """Whether a text is one whole row, with or without a line break at its end."""
        self.is_open = re.compile(rf'{before}"[^"]*+(?:""[^"]*+)*+\Z').match
        """Whether a text ends inside of a quoted cell, and is right up to there."""

    def cells(self, row: str) -> list[str]:
        """The cells of one whole row. Raises csv.Error for a cell that is too long."""
        return next(csv.reader([row], delimiter=self.delimiter, strict=True), [])

    def span(self, lines: Sequence[Line], at: int, width: int, final: bool) -> Span | None:
        """The row of `width` cells over several lines that begins with the line at `at`, which is open (rule 1).

        `final`: no lines follow; otherwise it may be UNDECIDED.
        """
        marks, size, rows = 0, 0, 0
        for end in range(at, len(lines)):
            line = lines[end]
            if not isinstance(line, str):
                return None
            marks += line.count(QUOTE)
            size += len(line)
            if end > at and marks % 2 == 0:  # before the end of a quoted cell the number of marks is odd
                return self._span_of(lines[at : end + 1], width)
            rows += end > at and self._is_wide(line, width)
            if rows >= MOST_ROWS or size > LONGEST_LINE or end - at > MOST_LINES:
                return None
        return None if final else UNDECIDED

    def _span_of(self, lines: Sequence[Line], width: int) -> Span | None:
        text = "".join(line for line in lines if isinstance(line, str))
        if not self.is_row(text):
            return None
        try:
            cells = self.cells(text)
        except csv.Error:
            return Span(len(lines), [])
        return Span(len(lines), cells) if len(cells) == width else None

    def _is_wide(self, line: Line, width: int) -> bool:
        return isinstance(line, str) and line.count(self.delimiter) >= width - 1

    def is_doubtful(self, lines: Sequence[Line], at: int, span: Span, width: int, final: bool) -> bool | None:
        """Whether the lines of `span`, which begins at `at`, may as well be several rows (rule 3). None: undecided."""
        if self._is_wide(lines[at], width) and self._is_wide(lines[at + span.lines - 1], width):
            return True
        begun = [self._begins_row(lines, behind, width, final) for behind in range(at + 1, at + span.lines)]
        if True in begun:
            return True
        return None if None in begun else False

    def _begins_row(self, lines: Sequence[Line], at: int, width: int, final: bool) -> bool | None:
        line = lines[at]
        if not isinstance(line, str):
            return False
        if self.is_row(line):
            return self._is_wide(line, width) and len(self.cells(line)) == width
        if not self.is_open(line):
            return False
        span = self.span(lines, at, width, final)
        return None if span is UNDECIDED else span is not None
