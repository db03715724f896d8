"""Files against Python's own writer: exact when they are in order, and never altered when one line is damaged."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.harness.csv_files import Read, read

ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-be", "utf-32")
_ANY = st.characters(exclude_characters="\0\ufeff", exclude_categories=("Cs",))
_TROUBLE = st.sampled_from(['"', '""', ",", "\r\n", "\n", "\r", '",', ',"', "\n,", "\x85", "\u2028", "甲", "é", " "])
_LINE = st.text(st.one_of(_ANY.filter(lambda one: one not in "\r\n"), st.sampled_from('",, 甲"')), max_size=8)
_TEXT = st.lists(st.one_of(_TROUBLE, _LINE), max_size=6).map("".join)


def table(cell: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    widths = st.integers(2, 5)
    return widths.flatmap(lambda width: st.lists(st.lists(cell, min_size=width, max_size=width), max_size=6))


def written(rows: list[list[str]], quoting: int, end: str = "\r\n") -> list[str]:
    """The rows as Python writes them, the header among them. With another end than CR LF, it leaves CR unquoted."""
    lines = []
    for row in [[f"c{number}" for number in range(len(rows[0]))], *rows]:
        text = io.StringIO(newline="")
        csv.writer(text, quoting=quoting, lineterminator=end).writerow(row)
        lines.append(text.getvalue())
    return lines


def reading(content: bytes, **declared: object) -> Read:
    with tempfile.TemporaryDirectory() as folder:
        return read(Path(folder), content, **declared)


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(rows=table(_LINE).filter(bool), end=st.sampled_from(["\n", "\r\n", "\r"]))
@example(rows=[["", ""]], end="\n")
def test_a_table_without_line_breaks_is_read_exactly(
    quoting: int, encoding: str, rows: list[list[str]], end: str
) -> None:
    found = reading("".join(written(rows, quoting, end)).encode(encoding), encoding=encoding)
    assert (found.error, found.faults, found.cells) == (None, [], rows)


@settings(max_examples=300, deadline=None)
@given(
    rows=table(_TEXT).filter(bool), quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), declared=st.booleans()
)
def test_a_table_with_line_breaks_is_read_exactly_or_set_aside(
    rows: list[list[str]], quoting: int, declared: bool
) -> None:
    lines = written(rows, quoting)
    found = reading("".join(lines).encode(), encoding="utf-8", line_breaks=declared)
    assert found.error is None
    assert_exact_or_aside(found, rows, lines)


@settings(max_examples=200, deadline=None)
@given(
    rows=table(st.lists(st.sampled_from(["a", "甲", '"', "\n", "\r\n", " "]), max_size=6).map("".join)).filter(bool),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_declared_line_breaks_in_cells_without_delimiters_are_read_exactly(rows: list[list[str]], quoting: int) -> None:
    # of two columns, the line break itself can stand where a delimiter would have to be missed
    rows = [[*row, "end", "end"] for row in rows]
    found = reading("".join(written(rows, quoting)).encode(), encoding="utf-8", line_breaks=True)
    assert (found.error, found.faults, found.cells) == (None, [], rows)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[list[list[str]], list[str], int, bytes]:
    """A table, its lines, and one of them damaged in one place."""
    rows = draw(table(draw(st.sampled_from([_LINE, _TEXT]))).filter(bool))
    lines = written(rows, draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])))
    at = draw(st.integers(1, len(rows)))
    line = lines[at][:-2]
    kind = draw(st.sampled_from(['+"', "+,", '-"', "-,", "bad byte"]))
    places = [place for place in range(len(line)) if line[place] == kind[1]]
    if kind[0] == "-" and places:
        place = draw(st.sampled_from(places))
        return rows, lines, at, (line[:place] + line[place + 1 :]).encode() + b"\r\n"
    place = draw(st.integers(0, len(line)))
    inserted = kind[1:].encode() if kind[0] == "+" else b"\xff"
    return rows, lines, at, line[:place].encode() + inserted + line[place:].encode() + b"\r\n"


@settings(max_examples=250, deadline=None)
@given(case=damaged(), declared=st.booleans())
def test_one_damaged_line_alters_no_other(case: tuple[list[list[str]], list[str], int, bytes], declared: bool) -> None:
    rows, lines, at, line = case
    content = b"".join([*(one.encode() for one in lines[:at]), line, *(one.encode() for one in lines[at + 1 :])])
    found = reading(content, encoding="utf-8", line_breaks=declared)
    assert found.error is None
    assert_exact_or_aside(found, rows, lines, damaged_row=at - 1, damaged_lines=_physical(line.decode("latin-1")))


def _physical(text: str) -> int:
    return len(io.StringIO(text, newline="").readlines())


def assert_exact_or_aside(
    found: Read, rows: list[list[str]], lines: list[str], damaged_row: int = -1, damaged_lines: int = 0
) -> None:
    """Every row is given as it is, or one of its lines was set aside."""
    aside = {int(str(place).split()[1]) for place in found.aside}
    given = {int(str(row.place).split()[1]): list(row.values.values()) for row in found.rows}
    number = 2
    starts = {number + sum(map(_physical, lines[1 : at + 1])) for at in range(len(rows))}
    assert damaged_row >= 0 or set(given) <= starts, "a line of a cell became a row"
    for at, row in enumerate(rows):
        length = damaged_lines if at == damaged_row else _physical(lines[at + 1])
        if at != damaged_row:
            assert given.get(number) == row or aside & set(range(number, number + length)), f"row {at}"
            assert given.get(number, row) == row, f"row {at} altered"
        number += length
