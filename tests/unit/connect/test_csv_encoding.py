"""Encodings of files: declared, marked or proven, never guessed."""

import codecs
from pathlib import Path

import pytest

from exchange.connect import csv_file
from exchange.errors import ExchangeError
from tests.harness.csv_files import read

TABLE = "代码,名称\n1,徽州甲\n2,乙\U0002b740\n3,丙\n"
CELLS = [["1", "徽州甲"], ["2", "乙\U0002b740"], ["3", "丙"]]


def refused(found: object) -> str:
    error = getattr(found, "error", None)
    assert isinstance(error, ExchangeError)
    assert error.code == "E_CONNECTOR"
    return str(error.detail)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "GB18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_a_declared_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    found = read(tmp_path, TABLE.encode(encoding), encoding=encoding)
    assert (found.error, found.cells, found.faults) == (None, CELLS, [])


@pytest.mark.parametrize("encoding", ["gbk", "big5", "euc-jp", "shift_jis", "cp1252"])
def test_a_declared_encoding_of_another_kind_is_read(tmp_path: Path, encoding: str) -> None:
    text = "a,b\n1,\xa3 \xd7\n" if encoding == "cp1252" else "a,b\n1,中文\n"
    assert read(tmp_path, text.encode(encoding), encoding=encoding).cells == [text.splitlines()[1].split(",")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, TABLE.encode(encoding)).cells == CELLS
    big = codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be")
    assert read(tmp_path, big).cells == CELLS
    assert read(tmp_path, b"\x84\x31\x95\x33" + TABLE.encode("gb18030")).cells == CELLS


def test_what_proves_to_be_utf8_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, TABLE.encode()).cells == CELLS
    assert read(tmp_path, b"a,b\n1,2\n").cells == [["1", "2"]]


def test_a_file_in_gb18030_is_not_misread_but_refused_with_what_to_declare(tmp_path: Path) -> None:
    assert "gb18030: declare" in refused(read(tmp_path, TABLE.encode("gb18030")))
    plain_header = "code,name\n" + "".join(f"{n},徽州模拟{n}\n" for n in range(9))
    assert "gb18030: declare" in refused(read(tmp_path, plain_header.encode("gb18030")))


def test_rows_that_happen_to_be_utf8_do_not_make_a_file_utf8(tmp_path: Path) -> None:
    lucky = "模"  # its bytes in GB18030 are a character of two bytes in UTF-8
    assert lucky.encode("gb18030").decode() != lucky
    assert "declare it" in refused(read(tmp_path, f"code,name\n1,{lucky}\n".encode("gb18030")))
    others = f"code,name\n1,{lucky}\n2,徽州\n3,x\n4,x\n5,x\n"
    assert "declare" in refused(read(tmp_path, others.encode("gb18030")))


def test_a_mark_that_contradicts_the_declaration_is_refused(tmp_path: Path) -> None:
    assert "mark of utf-8" in refused(read(tmp_path, TABLE.encode("utf-8-sig"), encoding="gb18030"))
    assert "mark of utf-16-le" in refused(read(tmp_path, TABLE.encode("utf-16"), encoding="utf-16-be"))


def test_utf16_needs_its_byte_order(tmp_path: Path) -> None:
    assert "utf-16-le or utf-16-be" in refused(read(tmp_path, TABLE.encode("utf-16-le"), encoding="utf-16"))
    assert "utf-16-le or utf-16-be" in refused(read(tmp_path, b"a\0,\0b\0\n\0"))


@pytest.mark.parametrize(
    ("start", "what"),
    [(b"\x1f\x8b\x08\0", "compressed"), (b"PK\x03\x04", "workbook"), (b"\xd0\xcf\x11\xe0", "workbook")],
)
def test_what_is_no_text_is_called_by_its_name(tmp_path: Path, start: bytes, what: str) -> None:
    assert what in refused(read(tmp_path, start + b"\n" * 9))


def test_a_broken_unit_of_utf16_costs_its_row(tmp_path: Path) -> None:
    rows = ["a,b\n", "1,x\n", "2,y\ud800\n", "3,\udc00z\n", "4,w\n"]
    content = b"".join(row.encode("utf-16-le", errors="surrogatepass") for row in rows)
    found = read(tmp_path, content, encoding="utf-16-le")
    assert (found.first, found.aside) == (["1", "4"], ["line 3", "line 4"])
    found = read(tmp_path, content + b"5\0,\0v", encoding="utf-16-le")
    assert (found.first, found.aside) == (["1", "4"], ["line 3", "line 4", "line 6"])


def test_lines_of_utf16_end_at_line_breaks_only(tmp_path: Path) -> None:
    text = "a,b\r\n1,\u0a0a\u0d0d\u0a0d\r\n2,\u010a\r\n"
    assert read(tmp_path, text.encode("utf-16")).cells == [["1", "\u0a0a\u0d0d\u0a0d"], ["2", "\u010a"]]


def test_second_bytes_that_look_like_delimiters_are_none(tmp_path: Path) -> None:
    two = b"\x81\x7c\x81\x5c".decode("gb18030")
    assert len(two) == 2
    found = read(tmp_path, f"a|b\n1|{two}\n2|x\n".encode("gb18030"), encoding="gb18030", delimiter="|")
    assert found.cells == [["1", two], ["2", "x"]]


@pytest.mark.parametrize(
    "encoding",
    ["nonsense", "base64", "utf-7", "hz", "cp037", "idna", "punycode", "undefined", "unicode_escape"],
)
def test_an_encoding_in_which_lines_cannot_be_told_is_refused(encoding: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        csv_file(encoding=encoding)
    assert caught.value.code == "E_CONNECTOR"
