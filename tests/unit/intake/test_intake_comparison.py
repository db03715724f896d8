"""The comparison of a source with its memory: what is missing, changed or gone, and when nothing may be withdrawn."""

import threading
from pathlib import Path

import pytest

from exchange.errors import ExchangeError
from exchange.intake.compare import Order
from exchange.intake.line import IntakeLine
from exchange.intake.memory.known import Seen
from exchange.observe import metrics
from tests.harness.memory.source import CONNECTOR, PROVIDER, SourceAtWork, mapped, resident_id

AWAY = ExchangeError("E_SOURCE_UNREACHABLE", "no route")
MISSED = "exchange_source_missed_total"


@pytest.fixture
def source(tmp_path: Path) -> SourceAtWork:
    return SourceAtWork(tmp_path / "state")


def filled(source: SourceAtWork, rows: int) -> SourceAtWork:
    for number in range(rows):
        source.table.put(f"{number}", resident_id(number))
    source.run()
    return source


def missed(kind: str) -> float:
    return (
        metrics.REGISTRY.get_sample_value(
            MISSED, {"record_type": "population.death", "department": "health", "kind": kind}
        )
        or 0.0
    )


def all_missed() -> dict[str, float]:
    return {kind: missed(kind) for kind in ("missing", "changed", "gone")}


def test_what_the_cursor_missed_is_sent_and_counted(source: SourceAtWork) -> None:
    filled(source, 20)
    before = all_missed()
    source.table.behind("3", name="改名")
    row = source.table.put("new", resident_id(99))
    row.at = 1  # far behind the cursor
    source.table.remove("5")
    books = source.run()
    assert source.names()[resident_id(3)] == "改名"
    assert source.names()[resident_id(99)] == "某人"
    assert source.names()[resident_id(5)] is None
    assert {kind: number - before[kind] for kind, number in all_missed().items()} == {
        "missing": 1,
        "changed": 1,
        "gone": 1,
    }
    assert books.collected == 23


def test_what_comes_along_the_cursor_while_it_compares_was_not_missed(source: SourceAtWork) -> None:
    filled(source, 20)
    before = all_missed()
    line = source.open()
    whole = source.reader.whole
    source.reader.whole = lambda limit: _busy(source, whole, limit)  # type: ignore[method-assign]
    try:
        line.run(threading.Event(), once=True)
    finally:
        line.close()
    assert source.names()[resident_id(3)] == "改名"
    assert source.names()[resident_id(99)] == "某人"
    assert all_missed() == before


def _busy(source: SourceAtWork, whole, limit):  # type: ignore[no-untyped-def]
    """A whole reading of which the first moment sees changes that the cursor has not brought yet."""
    source.table.put("3", name="改名")
    source.table.put("new", resident_id(99))
    yield from whole(limit)


def test_a_source_without_cursor_has_missed_nothing(tmp_path: Path) -> None:
    source = filled(SourceAtWork(tmp_path, follows=False), 5)
    before = all_missed()
    source.table.behind("3", name="改名")
    source.run()
    assert source.names()[resident_id(3)] == "改名"
    assert all_missed() == before
    assert metrics.COMPARISON.read()[CONNECTOR, "changed"] == 1


def test_the_first_reading_is_no_comparison(source: SourceAtWork) -> None:
    before = all_missed()
    filled(source, 10)
    assert all_missed() == before
    assert metrics.COMPARISON.read()[CONNECTOR, "missing"] == 0


def test_half_a_reading_withdraws_nothing_and_the_next_whole_one_all_of_it(
    source: SourceAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.intake.collect.WHOLE_ROWS", 100)
    source.rows = 1_000
    filled(source, 2_000)
    source.table.remove(*(f"{number}" for number in range(1_000)))
    source.reader.broken_after = 5
    line = source.open()
    with pytest.raises(ExchangeError, match="broke"):
        line._steps.comparer.compare(Order(), True, threading.Event(), lambda: None)
    line.close()
    assert None not in source.names().values()
    source.reader.broken_after = None
    source.run()
    assert list(source.names().values()).count(None) == 1_000


def test_a_comparison_that_breaks_off_is_made_again_while_the_source_goes_on(
    source: SourceAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.intake.collect.WHOLE_ROWS", 5)
    filled(source, 20)
    source.reader.broken_after = 1
    source.table.put("3", name="改名")
    stop, line = threading.Event(), source.open()
    worker = _started(line, stop)
    try:
        _until(lambda: source.names()[resident_id(3)] == "改名")
        _until(lambda: line._broken > 0)
        source.reader.broken_after = None
        _until(lambda: line.ready == (True, "reads and writes") and line._order is None)
        assert source.reader.wholes >= 2
    finally:
        stop.set()
        worker.join()
        line.close()


def _started(line: IntakeLine, stop: threading.Event) -> threading.Thread:
    worker = threading.Thread(target=line.run, args=(stop,))
    worker.start()
    return worker


def _until(holds) -> None:  # type: ignore[no-untyped-def]
    pause = threading.Event()
    for _ in range(1_000):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come about")


def test_more_withdrawals_than_the_settings_allow_are_held_until_they_are_confirmed(source: SourceAtWork) -> None:
    source.rows, source.part = 2, 0.1
    filled(source, 50)
    source.table.remove(*(f"{number}" for number in range(6)))
    source.table.put("20", name="改名")
    for _ in range(2):
        with pytest.raises(ExchangeError, match="6 are gone") as caught:
            source.run()
        assert caught.value.code == "E_WITHDRAWALS"
    assert None not in source.names().values()
    assert source.names()[resident_id(20)] == "改名"
    assert metrics.COMPARISON.read()[CONNECTOR, "held"] == 6
    assert source.line is not None
    assert not source.line.ready[0]
    assert source.inbox.reports[-1].code == "E_WITHDRAWALS"
    assert source.inbox.reports[-1].held == 6
    source.run(confirm=True)
    assert list(source.names().values()).count(None) == 6
    assert metrics.COMPARISON.read()[CONNECTOR, "held"] == 0


def test_a_confirmation_holds_for_one_comparison(source: SourceAtWork) -> None:
    source.rows, source.part = 2, 0.0
    filled(source, 50)
    source.table.remove(*(f"{number}" for number in range(6)))
    source.ask("confirm-withdrawals")
    source.run()
    source.table.remove(*(f"{number}" for number in range(10, 16)))
    with pytest.raises(ExchangeError, match="E_WITHDRAWALS"):
        source.run()
    assert list(source.names().values()).count(None) == 6


def test_an_empty_reading_always_asks(source: SourceAtWork) -> None:
    source.rows, source.part = 1_000, 1.0
    filled(source, 3)
    source.table.remove("0", "1", "2")
    with pytest.raises(ExchangeError, match="E_WITHDRAWALS"):
        source.run()
    assert None not in source.names().values()
    source.run(confirm=True)
    assert set(source.names().values()) == {None}


def test_an_empty_source_that_was_always_empty_does_not_ask(source: SourceAtWork) -> None:
    assert source.run().collected == 0
    assert source.run().collected == 0


def test_a_file_of_changes_withdraws_nothing(source: SourceAtWork) -> None:
    source.reader.brings_all = False
    filled(source, 5)
    source.table.remove("0", "1")
    source.run()
    assert None not in source.names().values()


def test_what_is_gone_is_held_while_a_row_without_key_cannot_be_read(source: SourceAtWork) -> None:
    filled(source, 30)
    source.table.remove("7")
    row = source.table.put("?")
    row.error, row.keyed, row.place = ExchangeError("E_ROW_UNREADABLE", "a quote does not close"), False, "line 7"
    source.run()
    assert None not in source.names().values()
    assert metrics.COMPARISON.read()[CONNECTOR, "held"] == 1
    source.table.remove("?")
    source.run()
    assert source.names()[resident_id(7)] is None
    assert source.inbox.faults[-1]["settled"] == "gone"


def test_a_row_that_was_set_aside_and_is_gone_waits_no_longer(source: SourceAtWork) -> None:
    filled(source, 30)
    source.table.put("bad").values["id"] = None
    source.run()
    source.table.remove("bad")
    source.run()
    assert source.inbox.faults[-1]["settled"] == "gone"
    assert metrics.SET_ASIDE.read()["health", CONNECTOR] == 0


def test_a_declaration_that_changed_is_read_as_a_whole(tmp_path: Path) -> None:
    source = filled(SourceAtWork(tmp_path, compare=""), 5)
    wholes = source.reader.wholes
    source.run()
    assert source.reader.wholes == wholes
    source.table.put("wider", resident_id(77)).at = 0
    source.run()
    assert resident_id(77) not in source.names()
    source.reader.fingerprint = "two"
    source.run()
    assert source.names()[resident_id(77)] == "某人"
    source.run()
    assert source.reader.wholes == wholes + 1


def test_a_source_that_asks_for_a_reading_gets_it(tmp_path: Path) -> None:
    source = filled(SourceAtWork(tmp_path, compare="", follows=False), 5)
    source.table.behind("3", name="改名")
    source.run()
    assert source.names()[resident_id(3)] == "某人"
    source.reader.asks = True
    source.run()
    assert source.names()[resident_id(3)] == "改名"


@pytest.mark.parametrize("argument", ["all", f"key {PROVIDER}/{resident_id(3)}", "key 3"])
def test_a_reread_is_made_when_it_is_asked_for_and_once(tmp_path: Path, argument: str) -> None:
    source = filled(SourceAtWork(tmp_path, compare=""), 5)
    source.table.behind("4", name="改名")
    source.ask("reread", argument)
    source.run()
    assert source.names()[resident_id(4)] == "改名"
    again = [one for one in source.inbox.records if one.key.endswith(resident_id(3))]
    assert len(again) == (1 if argument == "all" else 2)
    assert [one.sequence for one in again] == sorted({one.sequence for one in again})
    sent = len(source.inbox.records)
    source.run()
    assert len(source.inbox.records) == sent


def test_rows_since_a_moment_are_sent_again(tmp_path: Path) -> None:
    source = SourceAtWork(tmp_path, compare="")
    for number in range(6):
        source.table.put(f"{number}", resident_id(number), sequence=number * 1_000_000)
    source.run()
    source.ask("reread", "since 1970-01-01T08:00:04+08:00")
    assert source.run().submitted == 8


def test_a_replay_tells_what_still_waits(tmp_path: Path) -> None:
    source = filled(SourceAtWork(tmp_path, compare=""), 30)
    source.table.put("bad").values["id"] = None
    source.table.put("worse", name="另").values["id"] = None
    source.run()
    assert len(source.inbox.faults) == 2
    source.ask("replay", source.inbox.faults[0]["item"])
    source.run()
    assert [fault["item"] for fault in source.inbox.faults[2:]] == [source.inbox.faults[0]["item"]]
    source.mapping = lambda row: mapped({**row, "id": row["id"] or resident_id(500 + len(row["name"]))})
    source.ask("replay", "all")
    source.run()
    assert [fault.get("settled") for fault in source.inbox.faults[3:]] == ["submitted"] * 2


def test_memory_of_what_was_seen_is_a_bit_a_row() -> None:
    seen = Seen(10_000_000)
    seen.add((0, 7, 8, 9_999_999, 10_000_123))
    assert len(seen._bits) < 3_000_000
    assert [number in seen for number in (0, 1, 7, 8, 9_999_999, 10_000_123, 99_999_999)] == [
        True,
        False,
        True,
        True,
        True,
        True,
        False,
    ]


def test_what_a_corrected_mapping_changes_was_not_missed_by_the_cursor(source: SourceAtWork) -> None:
    filled(source, 10)
    before = all_missed()
    source.mapping = lambda row: mapped({**row, "name": "改名"})
    source.run()
    assert set(source.names().values()) == {"改名"}
    assert metrics.COMPARISON.read()[CONNECTOR, "changed"] == 10
    assert all_missed() == before


def test_a_row_that_waited_and_is_mended_was_not_missed_by_the_cursor(source: SourceAtWork) -> None:
    filled(source, 10)
    before = all_missed()
    source.table.put("bad").values["id"] = None
    source.run()
    source.table.behind("bad", id=resident_id(70))
    source.run()
    assert source.names()[resident_id(70)] == "某人"
    assert all_missed() == before
