"""Files as sources: read whole when they changed and are at rest, and never half a file for a whole one."""

import gzip
import os
import socket
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exchange.connect import csv_file
from exchange.connect.files import FileReader
from exchange.connect.reading import Page
from exchange.errors import ExchangeError
from exchange.settings import ConnectorSettings
from tests.harness.csv_files import Looks, read_all, reader_of

TWO_ROWS = b"code,name\n1,A\n2,B\n"
BIG = b"code,name\n" + b"".join(b"%d,name of %d\n" % (n, n) for n in range(60_000))


def code_of(error: ExchangeError | None) -> str:
    assert error is not None
    return error.code


def write(path: Path, content: bytes = TWO_ROWS) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix.lower() == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "ROWS.CSV.GZ"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_a_file_is_read_whole_in_pages(tmp_path: Path, name: str, limit: int) -> None:
    path = write(tmp_path / name, b"code,name\n" + b"".join(b"%d,x\n" % n for n in range(6)))
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    found = read_all(reader_of(path), limit)
    assert found.first == [str(n) for n in range(6)]
    assert {row.sequence for row in found.rows} == {1_700_000_000_123_456}
    assert [bool(cursor) for cursor in found.cursors] == [False] * (len(found.cursors) - 1) + [True]


def test_a_file_without_rows_gives_one_page_without_rows(tmp_path: Path) -> None:
    reader = reader_of(write(tmp_path / "rows.csv", b"code,name\n"))
    (page,) = reader.whole(10)
    assert page.rows == []
    assert page.cursor


def test_a_file_is_due_until_it_was_read_and_when_it_changes(tmp_path: Path) -> None:
    path, looks = write(tmp_path / "rows.csv"), Looks()
    reader = reader_of(path, looks)
    cursor = read_all(reader).cursors[-1]
    assert reader.due(None)
    assert not reader.due(cursor)
    assert not reader_of(path).due(cursor), "another process knows the file by its cursor"
    write(path, TWO_ROWS + b"3,C\n")
    assert not reader.due(cursor)
    assert reader.waiting
    looks.now += 1
    assert reader.due(cursor)
    assert not reader.waiting
    assert len(read_all(reader).rows) == 3


def test_a_file_of_the_same_size_and_time_is_due_when_it_was_replaced(tmp_path: Path) -> None:
    path, looks = write(tmp_path / "rows.csv"), Looks()
    reader = reader_of(path, looks)
    cursor = read_all(reader).cursors[-1]
    other = write(tmp_path / "new", TWO_ROWS.replace(b"A", b"C"))
    old = path.stat()
    os.utime(other, ns=(old.st_atime_ns, old.st_mtime_ns))
    other.replace(path)
    reader.due(cursor)
    looks.now += 1
    assert reader.due(cursor)


def test_a_file_with_an_older_time_is_due(tmp_path: Path) -> None:
    path, looks = write(tmp_path / "rows.csv"), Looks()
    reader = reader_of(path, looks)
    cursor = read_all(reader).cursors[-1]
    write(path, TWO_ROWS.replace(b"A", b"C"))
    os.utime(path, (1, 1))
    reader.due(cursor)
    looks.now += 1
    assert reader.due(cursor)
    assert [row.sequence for row in read_all(reader).rows] == [1_000_000] * 2


def test_a_file_that_is_being_written_waits_for_as_long_as_it_grows(tmp_path: Path) -> None:
    path, looks = write(tmp_path / "rows.csv"), Looks()
    reader = reader_of(path, looks)
    for more in range(5):
        assert not reader.due(None)
        assert reader.waiting
        looks.now += 1
        write(path, TWO_ROWS + b"3,C\n" * more)
    reader.due(None)
    looks.now += 1
    assert reader.due(None)


def test_a_reading_that_nobody_asked_for_waits_for_the_file_too(tmp_path: Path) -> None:
    path, looks = write(tmp_path / "rows.csv"), Looks()
    reader = reader_of(path, looks)
    assert len(read_all(reader).rows) == 2
    assert looks.waits == 1
    assert len(read_all(reader).rows) == 2
    assert looks.waits == 1, "a file that has been at rest is read at once"

    class Growing(Looks):
        def pause(self, seconds: float) -> None:
            super().pause(seconds)
            path.write_bytes(TWO_ROWS + b"3,C\n" * (self.waits + 1))

    found = read_all(reader_of(path, Growing()))
    assert (found.rows, code_of(found.error)) == ([], "E_SOURCE_UNREACHABLE")


def test_a_file_dated_ahead_is_read_and_told_once(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv")
    ahead = time.time() + 86_400
    os.utime(path, (ahead, ahead))
    reader = reader_of(path)
    with capture_logs() as logs:
        assert len(read_all(reader).rows) == 2
        assert len(read_all(reader).rows) == 2
    assert [entry["event"] for entry in logs] == ["connect.file_dated_ahead"]
    assert 86_000 < logs[0]["seconds_ahead"] <= 86_400


def test_a_file_dated_before_1970_has_a_sequence(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv")
    os.utime(path, (-5, -5))
    assert [row.sequence for row in read_all(reader_of(path)).rows] == [0, 0]


def halted(path: Path) -> tuple[Iterator[Page], list[Page]]:
    """A reading that has given its first page, of a file that was written long ago."""
    os.utime(path, (1, 1))
    pages = reader_of(path).whole(1000)
    return pages, [next(pages)]


def changed_at_the_end(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"60000,late\n")


def replaced(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(BIG)
    new.replace(path)


def cut(path: Path) -> None:
    os.truncate(path, len(BIG) // 2)


def rewritten(path: Path) -> None:
    path.write_bytes(BIG.replace(b"name of 5", b"NAME OF 5"))


@pytest.mark.parametrize("change", [changed_at_the_end, replaced, cut, rewritten, os.unlink])
@pytest.mark.parametrize("late", [False, True])
def test_a_file_that_changes_while_it_is_read_never_passes_as_whole(tmp_path: Path, change: object, late: bool) -> None:
    path = write(tmp_path / "rows.csv", BIG)
    pages, given = halted(path)
    if late:  # when all but the last page was given
        given += [next(pages) for _ in range(58)]
    assert callable(change)
    change(path)
    with pytest.raises(ExchangeError) as caught:
        given.extend(pages)
    assert caught.value.code == "E_SOURCE_UNREACHABLE"
    assert all(not page.cursor for page in given)


def test_a_damaged_file_is_away_with_the_line_and_its_rows_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    compressed = gzip.compress(BIG, mtime=0)
    path.write_bytes(compressed[: len(compressed) // 2])
    found = read_all(reader_of(path))
    assert code_of(found.error) == "E_SOURCE_UNREACHABLE"
    assert found.first == [str(n) for n in range(len(found.rows))]
    assert len(found.rows) > 1000
    assert found.error is not None
    assert f"cut off behind line {len(found.rows) + 1}" in str(found.error.detail)
    assert not any(found.cursors)


def test_a_file_whose_checksum_is_wrong_does_not_pass_as_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    compressed = bytearray(gzip.compress(TWO_ROWS, mtime=0))
    compressed[-8] ^= 1
    path.write_bytes(compressed)
    found = read_all(reader_of(path))
    assert (found.first, code_of(found.error)) == (["1", "2"], "E_SOURCE_UNREACHABLE")
    assert found.cursors == [{}]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8bnot gzip", b"code,name\n1,a\n", gzip.compress(b"", mtime=0), gzip.compress(TWO_ROWS, mtime=0)[:12]],
)
def test_a_file_that_cannot_be_read_is_away_and_not_read_again_before_it_changes(
    tmp_path: Path, content: bytes
) -> None:
    path, looks = tmp_path / "rows.csv.gz", Looks()
    path.write_bytes(content)
    reader = reader_of(path, looks)
    first, second = read_all(reader), read_all(reader)
    assert (first.rows, code_of(first.error)) == ([], "E_SOURCE_UNREACHABLE")
    assert second.error is first.error
    path.write_bytes(gzip.compress(TWO_ROWS, mtime=0))
    assert len(read_all(reader).rows) == 2


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_away_because_an_export_may_just_have_begun(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "rows.csv", content)
    reader = reader_of(path)
    assert code_of(read_all(reader).error) == "E_SOURCE_UNREACHABLE"
    write(path)
    assert read_all(reader).first == ["1", "2"]


def test_a_file_that_is_not_there_is_away(tmp_path: Path) -> None:
    reader = reader_of(tmp_path / "rows.csv")
    assert code_of(read_all(reader).error) == "E_SOURCE_UNREACHABLE"
    with pytest.raises(ExchangeError) as caught:
        reader.due(None)
    assert caught.value.code == "E_SOURCE_UNREACHABLE"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "what"),
    [(Path.mkdir, "a folder"), (pipe, "a pipe"), (loop, "ELOOP"), (device, "a device"), (listener, "a socket")],
)
def test_a_path_that_leads_to_no_file_stops_the_connector(tmp_path: Path, make: object, what: str) -> None:
    path = tmp_path / "rows.csv"
    assert callable(make)
    make(path)
    found = read_all(reader_of(path))
    assert code_of(found.error) == "E_SETTINGS"
    assert what in str(found.error and found.error.detail)


@pytest.mark.parametrize("path", ["rows\0.csv", "x" * 5000, "rows.csv/more"])
def test_a_path_that_can_be_none_stops_the_connector(tmp_path: Path, path: str) -> None:
    write(tmp_path / "rows.csv")
    assert code_of(read_all(reader_of(tmp_path / path)).error) == "E_SETTINGS"


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(write(tmp_path / "rows.csv"))
    assert len(read_all(reader_of(tmp_path / "link")).rows) == 2


def test_a_reading_that_is_left_closes_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", BIG)
    before = len(list(Path("/proc/self/fd").iterdir()))
    pages, _ = halted(path)
    pages.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_has_nothing_along_a_cursor(tmp_path: Path) -> None:
    reader = reader_of(write(tmp_path / "rows.csv"))
    assert reader.page({}, 10) is None
    assert not reader.waiting


def test_a_whole_file_brings_all_and_a_file_of_changes_does_not(tmp_path: Path) -> None:
    settings = ConnectorSettings(path=tmp_path / "rows.csv")
    assert csv_file().reader(settings).brings_all
    assert not csv_file(changes=True).reader(settings).brings_all


def test_the_fingerprint_is_that_of_the_declaration(tmp_path: Path) -> None:
    settings = ConnectorSettings(path=tmp_path / "rows.csv")

    def of(**declared: object) -> str:
        return csv_file(**declared).reader(settings).fingerprint  # type: ignore[arg-type]

    others = [of(key="code"), of(encoding="gb18030"), of(delimiter=";"), of(line_breaks=True), of(key=("code", "name"))]
    assert len({of(), *others}) == 6
    assert of(key="code") == of(key=("code",))


def test_a_file_without_a_path_is_a_fault_of_the_settings() -> None:
    with pytest.raises(ExchangeError) as caught:
        csv_file().reader(ConnectorSettings())
    assert caught.value.code == "E_SETTINGS"


def test_a_reader_made_from_a_declaration_looks_by_the_real_clock(tmp_path: Path) -> None:
    reader = csv_file().reader(ConnectorSettings(path=write(tmp_path / "rows.csv")))
    assert isinstance(reader, FileReader)
    assert len(read_all(reader).rows) == 2
    reader.close()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = write(tmp_path / f"{rows}.csv", b"code,name\n" + b'%d,"some name"\n' * rows)
        reader = reader_of(path)
        tracemalloc.start()
        count = sum(len(page.rows) for page in reader.whole(500))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == rows
        return most

    peak(1_000)
    assert peak(100_000) < peak(25_000) * 1.2
