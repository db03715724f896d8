"""What a row of a source means, held against what was sent before."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.connect import Unmapped
from exchange.connect.reading import sequence_of_cursor
from exchange.errors import ExchangeError
from exchange.faults.log import item_of
from tests.harness.memory.source import CONNECTOR, SourceAtWork, mapped, resident_id

A, B, C = resident_id(101), resident_id(102), resident_id(103)
UNREADABLE = ExchangeError("E_ROW_UNREADABLE", "column died: not readable")


@pytest.fixture
def source(tmp_path: Path) -> SourceAtWork:
    return SourceAtWork(tmp_path / "state")


def test_rows_that_are_equal_are_sent_once_and_counted_once(source: SourceAtWork) -> None:
    for resident in (A, B, C):
        source.table.put(resident, resident)
    assert source.run().submitted == 3
    for _ in range(3):
        books = source.run()
    assert (books.collected, books.submitted, books.unmapped, books.runs) == (3, 3, 0, 4)
    assert len(source.inbox.records) == 3


def test_a_changed_row_is_sent_again_with_a_greater_sequence(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.run()
    source.table.put("1", name="改名")
    books = source.run()
    first, second = source.inbox.records
    assert second.sequence > first.sequence
    assert (books.collected, books.submitted) == (2, 2)
    assert source.names() == {A: "改名"}


def test_a_corrected_natural_key_withdraws_the_record_under_the_old_one(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.run()
    source.table.put("1", B)
    source.run()
    assert source.names() == {A: None, B: "某人"}
    source.table.put("1", A)
    source.run()
    assert source.names() == {A: "某人", B: None}


def test_two_rows_that_swap_their_natural_keys_both_have_the_right_record(source: SourceAtWork) -> None:
    source.table.put("1", A, name="甲")
    source.table.put("2", B, name="乙")
    source.run()
    source.table.put("1", B, name="甲")
    source.table.put("2", A, name="乙")
    books = source.run()
    source.run()
    assert source.names() == {A: "乙", B: "甲"}
    assert books.collected == books.submitted + books.unmapped


def test_of_two_rows_with_one_natural_key_the_later_wins_and_it_does_not_flip_at_comparisons(
    source: SourceAtWork,
) -> None:
    source.table.put("1", A, name="早")
    source.table.put("2", A, name="晚")
    books = source.run()
    assert source.names() == {A: "晚"}
    sent = len(source.inbox.records)
    for _ in range(3):
        assert source.run().collected == books.collected
    assert len(source.inbox.records) == sent
    assert [fault["detail"] for fault in source.inbox.faults] == ["another row has the same natural key"]
    assert source.inbox.faults[0]["item"] == item_of(CONNECTOR, "1")


def test_a_row_that_waited_for_a_natural_key_gets_it_when_the_other_row_goes(source: SourceAtWork) -> None:
    source.table.put("1", A, name="早")
    source.table.put("2", A, name="晚")
    source.run()
    source.table.remove("2")
    source.run()
    assert source.names() == {A: "早"}
    assert source.inbox.faults[-1]["settled"] == "submitted"


def test_a_row_moves_to_the_key_of_a_row_that_was_deleted(source: SourceAtWork) -> None:
    source.table.put("1", A, name="甲")
    source.table.put("2", B, name="乙")
    source.run()
    source.table.remove("2")
    source.table.put("1", B)
    source.run()
    source.run()
    assert source.names() == {A: None, B: "甲"}


def test_a_withdrawn_row_needs_its_key_alone(tmp_path: Path) -> None:
    def strict(row: Any) -> dict[str, Any]:
        if row["name"] is None:
            raise Unmapped("name", "empty")
        return mapped(row)

    source = SourceAtWork(tmp_path, strict)
    source.table.put("1", A)
    source.run()
    source.table.put("1", name=None, withdrawn=True)
    source.table.rows["1"].values["id"] = None
    source.run()
    assert source.names() == {A: None}


def test_a_withdrawn_row_that_a_new_memory_does_not_know_is_withdrawn(source: SourceAtWork) -> None:
    source.table.put("1", A, withdrawn=True, name=None)
    assert source.run().submitted == 1
    assert source.names() == {A: None}
    assert source.run().submitted == 1


def test_a_withdrawn_row_does_not_withdraw_the_record_of_another_row_with_its_key(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.run()
    source.table.put("2", A, withdrawn=True)
    source.run()
    assert source.names() == {A: "某人"}


def test_a_row_that_was_withdrawn_and_comes_back_is_news(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.run()
    source.table.put("1", withdrawn=True)
    source.run()
    source.table.put("1")
    source.run()
    assert source.names() == {A: "某人"}
    assert len(source.inbox.records) == 3


@pytest.mark.parametrize("fault", ["unreadable", "unmapped"])
def test_a_row_that_becomes_faulty_keeps_what_was_sent_and_is_solved_when_mended(
    source: SourceAtWork, fault: str
) -> None:
    for number in range(30):
        source.table.put(f"{number}", resident_id(number))
    source.run()
    row = source.table.put("7")
    if fault == "unreadable":
        row.error = UNREADABLE
    else:
        row.values["id"] = None
    books = source.run()
    assert books.unmapped == 1
    assert None not in source.names().values()
    assert len(source.inbox.faults) == 1
    assert source.run().unmapped == 1
    assert len(source.inbox.faults) == 1
    source.table.put("7", resident_id(7), name="改名")
    books = source.run()
    assert source.names()[resident_id(7)] == "改名"
    assert source.inbox.faults[-1] | {"at": ""} == {
        "item": item_of(CONNECTOR, "7"),
        "connector": CONNECTOR,
        "record_type": "population.death",
        "settled": "submitted",
        "at": "",
    }
    assert books.collected == books.submitted + books.unmapped == 32


def test_a_faulty_row_that_is_mended_to_what_it_was_is_solved_without_being_sent(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.table.put("2", B)
    source.run()
    source.table.put("1").error = UNREADABLE
    source.run()
    source.table.put("1")
    source.run()
    assert len(source.inbox.records) == 2
    assert source.inbox.faults[-1]["settled"] == "submitted"


def test_a_row_that_waits_for_a_week_is_announced_again(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.table.put("2", B).error = UNREADABLE
    books = source.run()
    source.clock.forward(days=6)
    source.run()
    assert len(source.inbox.faults) == 1
    source.clock.forward(days=1)
    assert source.run().unmapped == books.unmapped
    assert [fault["item"] for fault in source.inbox.faults] == [item_of(CONNECTOR, "2")] * 2


def test_a_file_whose_content_changed_is_news_although_its_time_is_older(source: SourceAtWork) -> None:
    source.table.put(A, A, name="新名公司", keyed=False, sequence=1_000_000)
    source.run()
    source.table.put(A, name="旧名公司", keyed=False, sequence=500_000)
    source.run()
    assert source.names() == {A: "旧名公司"}


def test_a_corrected_mapping_sends_what_it_changed_and_nothing_else(source: SourceAtWork) -> None:
    source.table.put("1", A, name="甲 ")
    source.table.put("2", B, name="乙")
    source.run()
    source.mapping = lambda row: mapped({**row, "name": row["name"].strip()})
    source.run()
    assert source.names() == {A: "甲", B: "乙"}
    assert len(source.inbox.records) == 3


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "NaN", "1.5", "-1"])
def test_a_number_that_is_none_is_no_sequence(value: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        sequence_of_cursor(Decimal(value))
    assert caught.value.code == "E_ROW_UNMAPPED"


def test_a_version_beyond_all_sequences_sets_the_row_aside(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.table.put("2", B, sequence=1 << 63)
    books = source.run()
    assert (books.submitted, books.unmapped) == (1, 1)


@pytest.mark.parametrize("column", ["id", "name"])
def test_a_lone_surrogate_sets_its_row_aside(source: SourceAtWork, column: str) -> None:
    source.table.put("1", A)
    source.table.put("2", B).values[column] = "\ud800"
    books = source.run()
    assert (books.submitted, books.unmapped) == (1, 1)


def test_a_lone_surrogate_in_the_key_of_a_row_sets_it_aside(source: SourceAtWork) -> None:
    source.table.put("1", A)
    source.table.put("\udcff", B)
    source.table.put("中", C)
    books = source.run()
    assert (books.submitted, books.unmapped) == (2, 1)
    assert source.run().collected == 3


def test_a_line_that_stands_twice_in_a_file_does_not_flip_at_each_reading(source: SourceAtWork) -> None:
    source.table.put("a", A, name="一", keyed=False, sequence=5, place="line 2")
    source.table.put("b", A, name="二", keyed=False, sequence=5, place="line 3")
    source.table.put("c", A, name="一", keyed=False, sequence=5, place="line 4")
    source.run()
    source.run()
    assert source.names() == {A: "一"}
    assert len(source.inbox.records) == 1
    assert [fault["place"] for fault in source.inbox.faults] == ["line 3"]


def test_in_a_file_of_changes_the_last_line_of_a_key_wins(source: SourceAtWork) -> None:
    source.reader.brings_all = False
    source.table.put("a", A, name="一", keyed=False, sequence=5, place="line 2")
    source.table.put("b", A, name="二", keyed=False, sequence=5, place="line 3")
    source.run()
    source.table.remove("a", "b")
    source.run()
    assert source.names() == {A: "二"}
