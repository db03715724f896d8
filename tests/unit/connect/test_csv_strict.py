"""Strict files: a line is a row of its header, or it is set aside by its number, and its neighbours are read."""

from pathlib import Path

import pytest

from exchange.connect import csv_file
from exchange.connect.delimited.quotes import MOST_ROWS
from exchange.connect.delimited.rows import LONGEST_CELL
from exchange.errors import ExchangeError
from tests.harness.csv_files import read

HEADER = "code,name,address\n"


def rows(first: int, last: int) -> str:
    return "".join(f"{n},N{n},street {n}\n" for n in range(first, last + 1))


def test_a_quote_that_does_not_close_costs_its_own_line(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + '1,A,"street 1\n' + rows(2, 40))
    assert found.first == [str(n) for n in range(2, 41)]
    assert found.aside == ["line 2"]
    assert "does not end on its line" in found.reasons


def test_a_quote_that_does_not_close_takes_no_properly_quoted_neighbour_with_it(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + '1,A,"street 1\n2,B,street 2\n3,C,"street 3, floor 2"\n4,"D",street 4\n')
    assert found.cells[1] == ["3", "C", "street 3, floor 2"]
    assert (found.first, found.aside) == (["2", "3", "4"], ["line 2"])


@pytest.mark.parametrize("line_breaks", [False, True])
def test_rows_of_others_are_never_swallowed_when_a_second_stray_quote_closes_the_first(
    tmp_path: Path, line_breaks: bool
) -> None:
    found = read(
        tmp_path, HEADER + '1,A,"street 1\n2,B,street 2\n3,C,street 3"\n' + rows(4, 9), line_breaks=line_breaks
    )
    assert found.first == [str(n) for n in range(4, 10)]
    assert found.aside == ["line 2", "line 3", "line 4"]
    assert "lines 2 to 4" in found.reasons


@pytest.mark.parametrize("line_breaks", [False, True])
def test_two_neighbours_with_one_stray_quote_each_are_no_row(tmp_path: Path, line_breaks: bool) -> None:
    found = read(tmp_path, HEADER + '1,A,"street 1\n2,B,street 2"\n' + rows(3, 5), line_breaks=line_breaks)
    assert (found.first, found.aside) == (["3", "4", "5"], ["line 2", "line 3"])


@pytest.mark.parametrize("line_breaks", [False, True])
def test_a_line_that_somebody_typed_into_a_text_never_becomes_a_row(tmp_path: Path, line_breaks: bool) -> None:
    typed = "x\n" * 30 + "91349900EXCH,another's name,forged\n"
    found = read(tmp_path, f'{HEADER}1,A,"{typed}end"\n' + rows(2, 3), line_breaks=line_breaks)
    assert (found.first, len(found.faults)) == (["2", "3"], 32)


@pytest.mark.parametrize("apart", [MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 5])
def test_how_far_a_quote_reaches_is_bounded(tmp_path: Path, apart: int) -> None:
    found = read(tmp_path, f'{HEADER}1,A,"street\n{rows(2, apart)}99,Z,street"\n{rows(100, 101)}')
    reaches = apart - 1 < MOST_ROWS
    assert len(found.faults) == (apart + 1 if reaches else 2)
    assert found.first[-2:] == ["100", "101"]


def test_declared_line_breaks_are_read(tmp_path: Path) -> None:
    content = 'name,code,address\n"一号\n（分部）",1,"三号路\n（B座）"\nB,2,"x\n\ny"\n"乙",3,"z\n"\n'
    found = read(tmp_path, content, line_breaks=True)
    assert found.cells == [["一号\n（分部）", "1", "三号路\n（B座）"], ["B", "2", "x\n\ny"], ["乙", "3", "z\n"]]
    assert [row.place for row in found.rows] == ["line 2", "line 5", "line 8"]


def test_line_breaks_that_are_not_declared_are_set_aside_with_the_word_that_declares_them(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + '1,A,"street 1\n(rear)"\n2,B,street 2\n')
    assert (found.first, found.aside) == (["2"], ["line 2", "line 3"])
    assert "line_breaks=True" in found.reasons


def test_a_long_text_with_declared_line_breaks_is_one_cell_across_the_blocks_of_a_file(tmp_path: Path) -> None:
    text = "一二三四五六七八九十\n" * 20_000
    found = read(tmp_path, f'{HEADER}1,A,"{text}"\n2,B,y\n', line_breaks=True)
    assert found.cells == [["1", "A", text], ["2", "B", "y"]]


@pytest.mark.parametrize(
    "line",
    [
        *('1,A,5" pipe', '1,"A"x,street', '1,A "x",street', '1,""A",street', '1,A,street"', "1,A,street 1, floor 2"),
        *("1,A", "1,A,street,", ",", "1", "1;A;street", " ", '""', "1,\0,street", "\x1a"),
    ],
)
def test_a_line_that_is_no_row_is_set_aside_and_its_neighbours_are_read(tmp_path: Path, line: str) -> None:
    found = read(tmp_path, f"{HEADER}{rows(2, 3)}{line}\n{rows(5, 6)}")
    assert found.first == ["2", "3", "5", "6"]
    assert found.aside == ["line 4"]
    assert found.faults[0].error.code == "E_ROW_UNREADABLE"
    assert found.faults[0].values == {"line": line}


def test_a_file_behind_another_one_brings_no_header_as_a_row(tmp_path: Path) -> None:
    one, two = HEADER + rows(1, 2), HEADER + rows(3, 4)
    found = read(tmp_path, one + two + '"code",name,address\n')
    assert (found.first, found.reasons) == (["1", "2", "3", "4"], "line 4: the header again; line 7: the header again")
    found = read(tmp_path, one + "\ufeff" + two)
    assert (found.first, found.reasons) == (["1", "2", "3", "4"], "line 4: a byte order mark: another file begins here")


def test_a_row_of_another_length_is_told_by_its_cells(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + "1,A,street 1, floor 2\n2,B,street 2\n3,C")
    assert found.first == ["2"]
    assert found.reasons == "line 2: 4 cells, the header has 3; line 4: 2 cells, the header has 3"


def test_what_is_set_aside_is_told_without_a_value(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + 'secret,secret\nsecret,"secret\nsecret,s"ecret,s\n')
    assert len(found.faults) == 3
    assert "secret" not in found.reasons
    assert "secret" not in repr(found.faults)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_end_is_one(tmp_path: Path, end: str, last: bool) -> None:
    lines = ["code,name", "1,A", "", "2,B", '3,"C"']
    found = read(tmp_path, end.join(lines) + (end if last else ""))
    assert found.cells == [["1", "A"], ["2", "B"], ["3", "C"]]
    assert [row.place for row in found.rows] == ["line 2", "line 4", "line 5"]
    assert found.faults == []


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    cell = "a\x0b\x0c\x1c\x85\u2028\u2029b"
    assert read(tmp_path, f"code,name\n1,{cell}\n").cells == [["1", cell]]


def test_a_byte_that_is_no_text_costs_its_row(tmp_path: Path) -> None:
    good = "".join(f"{n},n{n}\n" for n in range(4000)).encode().splitlines(keepends=True)
    good[2000] = b"2000,\xff\n"
    found = read(tmp_path, b"code,name\n" + b"".join(good))
    assert found.error is None
    assert len(found.rows) == 3999
    assert found.reasons == "line 2002: byte 6 is no text in utf-8"


def test_half_a_character_at_the_end_of_a_line_costs_its_row(tmp_path: Path) -> None:
    found = read(tmp_path, "代码,名称\n1,甲\n".encode("gb18030") + b"2,\xbc\n3,\xbc\xd7\n", encoding="gb18030")
    assert (found.cells, found.aside) == ([["1", "甲"], ["3", "甲"]], ["line 3"])


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_over_a_mebibyte_costs_its_row(tmp_path: Path, quote: str) -> None:
    longest, longer = (f"{quote}{'x' * size}{quote}" for size in (LONGEST_CELL, LONGEST_CELL + 1))
    found = read(tmp_path, f"code,name\n1,a\n2,{longer}\n3,{longest}\n4,c\n")
    assert found.first == ["1", "3", "4"]
    assert found.reasons == "line 3: a cell of more than 1048576 characters"
    assert len(found.faults[0].values["line"]) <= 10_000


def test_a_line_without_end_is_not_held_in_memory_and_costs_its_row(tmp_path: Path) -> None:
    found = read(tmp_path, "code,name\n1,a\n2," + "x" * (5 << 20) + "\n3,c\n4," + "x," * (3 << 20))
    assert found.first == ["1", "3"]
    assert found.reasons == "line 3: longer than 4194304 bytes; line 5: longer than 4194304 bytes"


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("\n\ncode,name", "first line is empty"),
        ("  \ncode,name", "first line is empty"),
        ("code, name", "column 2 begins or ends with a space"),
        ("code,name\u3000", "column 2 begins or ends with a space"),
        ("code,name,code", "column 3 has the name of column 1"),
        ("code,,name", "column 2 has no name"),
        ("code,name,", "column 3 has no name"),
        ("code,na\u200bme", "column 2 holds a character that cannot be seen"),
        ("code;name", "semicolon"),
        ("code\tname", "tab"),
        ('code,"na\nme"', "quotation marks"),
        ('code,na"me', "quotation marks"),
        ("code,\0", "NUL"),
        ("code," + "x" * 201, "longer than 200"),
        ("code," + "x" * (5 << 20), "longer than 4194304 bytes"),
        ("sep=,\ncode,name", "column 2 has no name"),
    ],
)
def test_a_header_is_checked_before_anything_is_given(tmp_path: Path, header: str, what: str) -> None:
    found = read(tmp_path, f"{header}\n1,2\n1,2\n")
    assert (found.rows, found.faults) == ([], [])
    assert found.error is not None
    assert found.error.code == "E_CONNECTOR"
    assert what in str(found.error.detail)


def test_a_header_that_is_somebodys_row_is_not_told(tmp_path: Path) -> None:
    found = read(tmp_path, "Zhang San,349900,\nLi Si,349900,\n")
    assert found.error is not None
    assert "Zhang" not in str(found.error.detail)


def test_a_declared_key_is_in_the_header_and_in_every_row(tmp_path: Path) -> None:
    found = read(tmp_path, 'code,no,name\n1,a,x\n"1"",",a,y\n,,z\n,b,w\n', key=("code", "no"))
    assert [row.key for row in found.rows] == ['["1","a"]', '["1\\",","a"]', '["","b"]']
    assert found.reasons == "line 4: the key is empty"
    found = read(tmp_path, "code,name\n1,a\n", key=("code", "no"))
    assert found.error is not None
    assert (found.error.code, "no column no," in str(found.error.detail)) == ("E_CONNECTOR", True)


def test_a_key_of_one_column_is_a_list_too(tmp_path: Path) -> None:
    found = read(tmp_path, 'code,name\n"a""\\\t\x7f一",x\n \u3000,y\n', key="code")
    assert [row.key for row in found.rows] == ['["a\\"\\\\\\t\x7f一"]']
    assert found.aside == ["line 3"]


def test_without_a_declared_key_a_row_has_none(tmp_path: Path) -> None:
    assert [row.key for row in read(tmp_path, HEADER + rows(1, 2)).rows] == [None, None]


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "a", "7", "，"])
def test_a_delimiter_that_cannot_be_one_is_refused(delimiter: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        csv_file(delimiter=delimiter)
    assert caught.value.code == "E_CONNECTOR"


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "^", "]", "\\", "\x01", "-", " "])
def test_any_other_character_may_delimit(tmp_path: Path, delimiter: str) -> None:
    found = read(
        tmp_path, f'a{delimiter}b\n1{delimiter}"x{delimiter}y"\n2{delimiter}"x\n3{delimiter}', delimiter=delimiter
    )
    assert found.cells == [["1", f"x{delimiter}y"], ["3", ""]]
    assert found.aside == ["line 3"]
