"""What others see of a source's memory, and leave there."""

import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.errors import ExchangeError
from exchange.intake.memory import requests
from exchange.intake.memory.requests import ALL, RequestKind, SourceMemoryView
from exchange.intake.report import SourceState, decode
from tests.harness.source_memory import AT, MadeMemory

NAME = "health.deaths"


@pytest.fixture
def made(tmp_path: Path) -> MadeMemory:
    return MadeMemory(tmp_path / "state with space?", NAME)


@pytest.fixture
def view(made: MadeMemory) -> SourceMemoryView:
    return SourceMemoryView(made.file.parent, NAME)


def test_a_request_waits_until_the_source_takes_it_up(made: MadeMemory, view: SourceMemoryView) -> None:
    assert view.ask(RequestKind.REREAD, "key 11010519491231002X", AT)
    assert view.ask(RequestKind.REPLAY, ALL, AT)
    assert made.requests() == [("reread", "key 11010519491231002X"), ("replay", "all")]
    assert [one.kind for one in view.pending()] == ["reread", "replay"]
    assert "11010519491231002X" not in repr(view.pending())


def test_the_same_request_is_not_left_twice(made: MadeMemory, view: SourceMemoryView) -> None:
    assert view.ask(RequestKind.REREAD, ALL, AT)
    assert not view.ask(RequestKind.REREAD, ALL, AT + timedelta(hours=1))
    assert view.ask(RequestKind.REREAD, "since 2026-11-24T08:00:00.000Z", AT)
    assert len(made.requests()) == 2


def test_requests_of_a_clerk_that_nobody_takes_up_do_not_grow_without_end(view: SourceMemoryView) -> None:
    for number in range(1_000):
        view.ask(RequestKind.REREAD, f"key {number}", AT)
    with pytest.raises(ExchangeError) as refused:
        view.ask(RequestKind.REREAD, "key one more", AT)
    assert refused.value.code == "E_STATE"


def test_a_source_that_never_ran_here_has_no_memory_to_ask(tmp_path: Path) -> None:
    view = SourceMemoryView(tmp_path / "nothing", NAME)
    assert not view.running
    for look in (
        view.pending,
        view.report,
        view.set_aside,
        lambda: view.ask(RequestKind.REREAD, ALL, AT),
    ):
        with pytest.raises(ExchangeError) as refused:
            look()
        assert refused.value.code == "E_CONNECTOR"
        assert "has not run with this state folder" in refused.value.detail
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_memory_is_told_and_left_as_it_is(made: MadeMemory, view: SourceMemoryView) -> None:
    made.file.write_bytes(b"no database at all, and long enough to be read as one" * 100)
    with pytest.raises(ExchangeError) as refused:
        view.pending()
    assert refused.value.code == "E_STATE"
    assert "SQLITE_NOTADB" in refused.value.detail


def test_a_memory_that_is_being_made_is_told_too(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / f"{NAME}.sqlite").close()
    with pytest.raises(ExchangeError) as refused:
        SourceMemoryView(tmp_path, NAME).ask(RequestKind.REREAD, ALL, AT)
    assert refused.value.code == "E_STATE"
    assert "ask again in a moment" in refused.value.detail


def test_a_memory_that_stays_busy_is_not_waited_for_without_end(
    made: MadeMemory, view: SourceMemoryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "_BUSY_SECONDS", 0.0)
    with made.busy():
        assert view.pending() == []
        with pytest.raises(ExchangeError) as refused:
            view.ask(RequestKind.REREAD, ALL, AT)
    assert "SQLITE_BUSY" in refused.value.detail


def test_whether_it_runs_is_seen_by_its_lock_and_the_lock_is_left_alone(
    made: MadeMemory, view: SourceMemoryView
) -> None:
    assert not view.running
    with made.held():
        assert view.running
        assert view.ask(RequestKind.REREAD, ALL, AT), "a request needs no lock"
    assert not view.running
    with made.held():
        pass


def test_the_report_is_what_the_source_said_last(made: MadeMemory, view: SourceMemoryView) -> None:
    assert view.report() is None
    made.says(SourceState.AWAY, "E_SOURCE_UNREACHABLE", rows=812)
    report = decode(view.report() or b"")
    assert report is not None
    assert (report.state, report.rows) == (SourceState.AWAY, 812)


def test_a_report_that_is_kept_as_a_text_in_json_is_read_too(made: MadeMemory, view: SourceMemoryView) -> None:
    made.says(rows=7)
    with sqlite3.connect(made.file) as memory:
        memory.execute("UPDATE state SET value = json_quote(value) WHERE name = 'report'")
    memory.close()
    report = decode(view.report() or b"")
    assert report is not None
    assert report.rows == 7


def test_what_waits_is_counted_and_its_age_told(made: MadeMemory, view: SourceMemoryView) -> None:
    assert view.set_aside() == (0, None)
    made.set_aside("2", "2026-11-24T09:00:00.000Z")
    made.set_aside("1", "2026-11-24T08:00:00.000Z", place="line 7")
    assert view.set_aside() == (2, AT)


@pytest.mark.skipif(os.geteuid() == 0, reason="the super user may read everything")
def test_a_folder_that_may_not_be_looked_into_is_told(made: MadeMemory, view: SourceMemoryView) -> None:
    made.file.parent.chmod(0)
    try:
        with pytest.raises(ExchangeError) as refused:
            view.pending()
    finally:
        made.file.parent.chmod(0o700)
    assert refused.value.code == "E_STATE"
