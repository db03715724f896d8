"""The memory of a source: one process, one file, exact after a kill, harmless when it is lost."""

import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.errors import ExchangeError
from exchange.intake.memory.memory import Books, Memory
from tests.harness.memory.ledger import SetClock
from tests.harness.memory.source import CONNECTOR, SourceAtWork, mapped, resident_id

A, B = resident_id(101), resident_id(102)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def source(tmp_path: Path) -> SourceAtWork:
    return SourceAtWork(tmp_path / "state")


def killed(source: SourceAtWork) -> None:
    """A run that ends when Kafka has what it was sent, and the memory has not noted that."""
    source.inbox.dies = Killed()
    with pytest.raises(Killed):
        source.run()
    source.inbox.dies = None


def test_a_source_killed_behind_kafkas_word_repeats_the_same_versions(source: SourceAtWork) -> None:
    for number in range(10):
        source.table.put(f"{number}", resident_id(number))
    killed(source)
    first = {(one.key, one.sequence, one.value) for one in source.inbox.records}
    books = source.run()
    assert {(one.key, one.sequence, one.value) for one in source.inbox.records} == first
    assert (books.collected, books.submitted) == (10, 10)


def test_a_row_that_changes_while_the_source_is_dead_never_has_two_contents_under_one_sequence(
    source: SourceAtWork,
) -> None:
    source.table.put("1", A)
    source.run()
    source.table.put("1", name="二")
    killed(source)
    source.table.behind("1", name="三")
    source.run()
    assert source.names() == {A: "三"}


def test_a_withdrawal_of_an_old_natural_key_survives_a_kill(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.run()
    source.table.put("1", B)
    killed(source)
    source.inbox.records = source.inbox.records[:1]  # Kafka had not taken them after all
    books = source.run()
    assert source.names() == {A: None, B: "某人"}
    assert books.collected == books.submitted + books.unmapped


def test_a_withdrawal_of_a_row_that_is_gone_survives_a_kill(source: SourceAtWork) -> None:
    for number in range(30):
        source.table.put(f"{number}", resident_id(number))
    source.run()
    source.table.remove("3")
    killed(source)
    source.inbox.records = source.inbox.records[:30]
    source.run()
    assert source.names()[resident_id(3)] is None


def test_a_row_that_goes_while_the_source_is_dead_is_withdrawn(source: SourceAtWork) -> None:
    for number in range(30):
        source.table.put(f"{number}", resident_id(number))
    source.run()
    source.table.put("new", A)
    killed(source)
    source.table.remove("new")
    source.run()
    assert source.names()[A] is None


def test_a_kill_at_every_step_ends_in_the_same_state(source: SourceAtWork) -> None:
    for number in range(20):
        source.table.put(f"{number}", resident_id(number), name=f"{number}")
        killed(source)
        if number % 3 == 0:
            source.table.put(f"{number // 2}", name=f"again {number}")
        if number % 5 == 4:
            source.table.put(f"{number}", resident_id(200 + number))
            killed(source)
            killed(source)
    books = source.run()
    expected = {row.values["id"]: row.values["name"] for row in source.table.rows.values()}
    assert {key: name for key, name in source.names().items() if name is not None} == expected
    assert books.collected == books.submitted + books.unmapped


def lost(source: SourceAtWork) -> None:
    shutil.rmtree(source.folder)


@pytest.mark.parametrize("cursor", ["a small number", "a time"])
def test_a_lost_memory_costs_a_reading_and_never_a_wrong_state(source: SourceAtWork, cursor: str) -> None:
    if cursor == "a time":
        source.table.counter = int(source.clock.now().timestamp()) * 1_000_000 - 60_000_000
    source.table.put("1", A, name="一")
    source.table.put("2", B, name="一")
    source.run()
    source.mapping = lambda row: mapped({**row, "name": row["name"] + "!"})
    source.run()
    source.table.put("1", withdrawn=True)
    source.run()
    lost(source)
    source.table.put("1", name="二")
    source.mapping = mapped
    source.run()
    assert source.names() == {A: "二", B: "一"}


def test_a_memory_restored_from_a_copy_never_sends_below_what_was_sent_since(
    source: SourceAtWork, tmp_path: Path
) -> None:
    source.table.put("1", A, name="一")
    source.run()
    shutil.copytree(source.folder, tmp_path / "copy")
    for number in range(5):
        source.mapping = lambda row, number=number: mapped({**row, "name": f"{number}"})
        source.run()
    lost(source)
    shutil.copytree(tmp_path / "copy", source.folder)
    source.table.put("1", name="二")
    source.mapping = mapped
    source.run()
    assert source.names() == {A: "二"}


def test_a_clock_that_is_set_back_does_not_lower_the_sequences(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.run()
    source.clock.moment -= timedelta(days=400)
    source.table.put("1", name="二")
    source.table.put("2", B)
    source.run()
    assert source.names() == {A: "二", B: "某人"}
    first = source.inbox.records[0].sequence
    assert all(one.sequence >= first for one in source.inbox.records)


def test_a_second_process_of_the_same_source_is_refused(tmp_path: Path) -> None:
    memory = Memory(tmp_path, CONNECTOR, SetClock())
    try:
        with pytest.raises(ExchangeError, match="another process") as caught:
            Memory(tmp_path, CONNECTOR, SetClock())
        assert caught.value.code == "E_STATE"
        program = (
            "from pathlib import Path; from exchange.clock import SystemClock;"
            "from exchange.intake.memory.memory import Memory;"
            f"Memory(Path({str(tmp_path)!r}), {CONNECTOR!r}, SystemClock())"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
        assert b"E_STATE" in done.stderr
    finally:
        memory.close()
    Memory(tmp_path, CONNECTOR, SetClock()).close()


def test_the_files_are_their_owners_alone(source: SourceAtWork) -> None:
    source.table.put("1", A)
    line = source.open()
    try:
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in source.folder.iterdir()}
        assert set(modes.values()) == {0o600}
        assert f"{CONNECTOR}.sqlite" in modes
    finally:
        line.close()


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_a_damaged_file_is_an_error_that_says_what_to_do(source: SourceAtWork, damage: bytes | None) -> None:
    for number in range(200):
        source.table.put(f"{number}", resident_id(number))
    source.run()
    file = source.folder / f"{CONNECTOR}.sqlite"
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(ExchangeError, match="move it away") as caught:
        source.run()
    assert caught.value.code == "E_STATE"
    file.unlink()
    source.run()
    assert set(source.names().values()) == {"某人"}


def test_a_full_disk_stops_the_source_and_says_so(source: SourceAtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    source.table.put("1", A)
    source.run()
    source.table.put("2", B)
    line = source.open()
    line._memory._store.change(f"PRAGMA max_page_count = {line._memory._store.rows('PRAGMA page_count')[0][0]}")
    for number in range(500):
        source.table.put(f"more {number}", resident_id(300 + number))
    monkeypatch.setattr(source, "open", lambda: line)
    with pytest.raises(ExchangeError, match="the disk is full") as caught:
        source.run()
    assert caught.value.code == "E_STATE"
    monkeypatch.undo()
    source.run()
    assert len(source.names()) == 502


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExchangeError) as caught:
        Memory(tmp_path / "file", CONNECTOR, SetClock())
    assert caught.value.code == "E_STATE"


def test_a_file_of_a_newer_form_is_refused(tmp_path: Path) -> None:
    Memory(tmp_path, CONNECTOR, SetClock()).close()
    with sqlite3.connect(tmp_path / f"{CONNECTOR}.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ExchangeError, match="newer version") as caught:
        Memory(tmp_path, CONNECTOR, SetClock())
    assert caught.value.code == "E_STATE"


def test_the_counts_of_a_state_file_of_before_are_taken_over_and_its_cursor_is_not(source: SourceAtWork) -> None:
    source.folder.mkdir()
    old = {"cursor": {"at": [9_999, "zzz"]}, "collected": 10, "submitted": 9, "unmapped": 1, "runs": 2}
    (source.folder / f"{CONNECTOR}.json").write_text(json.dumps(old), encoding="utf-8")
    source.table.put("1", A)
    assert source.run() == Books(11, 10, 1, 3)
    assert source.names() == {A: "某人"}
    assert source.run() == Books(11, 10, 1, 4)


@pytest.mark.parametrize("old", ["{", "[]", '{"collected": "many"}'])
def test_a_damaged_state_file_of_before_counts_nothing(source: SourceAtWork, old: str) -> None:
    source.folder.mkdir()
    (source.folder / f"{CONNECTOR}.json").write_text(old, encoding="utf-8")
    assert source.run() == Books(0, 0, 0, 1)


def test_the_file_holds_no_value_of_a_record(source: SourceAtWork) -> None:
    source.table.put("1", A, name="不可外传")
    source.table.put("2", name="不可外传").values["id"] = None
    source.run()
    for file in source.folder.iterdir():
        assert "不可外传".encode() not in file.read_bytes()
