"""Rows that are as they were are neither mapped nor sent, whatever else happened to them, mapping and memory."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exchange.errors import ExchangeError
from exchange.intake.compare import Order
from exchange.intake.memory.known import KnownRows
from exchange.intake.unchanged.digests import DIGEST_BYTES
from exchange.names import SchemaId
from tests.harness.memory.source import CONNECTOR, SourceAtWork, mapped, resident_id

ROWS = 100
SAMPLE = 2
"""Rows of so few that a reading may map although they are as they were."""


class Counted:
    """The mapping of the table, which counts how often it is asked and can give other names."""

    def __init__(self, suffix: str = "") -> None:
        self.asked = 0
        self.suffix = suffix

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        self.asked += 1
        return mapped(row) | {"name": row["name"] + self.suffix}

    def since(self) -> int:
        """How often it was asked since somebody looked."""
        asked, self.asked = self.asked, 0
        return asked


@pytest.fixture
def mapping() -> Counted:
    return Counted()


@pytest.fixture
def source(tmp_path: Path, mapping: Counted) -> SourceAtWork:
    source = SourceAtWork(tmp_path / "state", mapping)
    for number in range(ROWS):
        source.table.put(f"{number}", resident_id(number))
    source.run()
    mapping.since()
    return source


def sent(source: SourceAtWork) -> int:
    return len(source.inbox.records)


def waiting(source: SourceAtWork) -> int:
    with closing(sqlite3.connect(source.folder / f"{CONNECTOR}.sqlite")) as memory:
        ((number,),) = memory.execute("SELECT count(*) FROM set_aside")
    return int(number)


def digests(source: SourceAtWork) -> Iterator[bytes | None]:
    with closing(sqlite3.connect(source.folder / f"{CONNECTOR}.sqlite")) as memory:
        yield from (one for (one,) in memory.execute("SELECT row_digest FROM rows"))


def test_a_second_whole_reading_maps_no_row_that_is_as_it_was(source: SourceAtWork, mapping: Counted) -> None:
    before = sent(source)
    source.run()
    assert mapping.since() <= SAMPLE
    assert sent(source) == before


def test_each_row_is_mapped_once_in_a_while_whatever_its_digest_says(source: SourceAtWork, mapping: Counted) -> None:
    for _ in range(64):
        source.run()
    assert mapping.since() >= ROWS


def test_a_change_that_the_mapping_passes_over_is_learnt_and_not_sent(source: SourceAtWork, mapping: Counted) -> None:
    source.table.behind("7", more="x")
    before = sent(source)
    source.run()
    assert 1 <= mapping.since() <= SAMPLE + 1
    source.run()
    assert mapping.since() <= SAMPLE
    assert sent(source) == before


def test_one_changed_row_among_many_that_are_as_they_were_is_sent(source: SourceAtWork, mapping: Counted) -> None:
    source.table.behind("7", name="改名")
    source.run()
    assert mapping.since() <= SAMPLE + 1
    assert source.names()[resident_id(7)] == "改名"


@pytest.mark.parametrize(("before", "after"), [("1", 1), (1, True), (1, 1.0), (0.0, -0.0), (None, "")])
def test_a_value_of_another_type_is_another_row(source: SourceAtWork, before: object, after: object) -> None:
    def shown(row: Mapping[str, Any]) -> dict[str, Any]:
        return mapped(row) | {"name": f"{row.get('more')!r}"}

    source.mapping = shown
    source.table.behind("7", more=before)
    source.run()
    source.table.behind("7", more=after)
    source.run()
    assert source.names()[resident_id(7)] == repr(after)


def test_a_corrected_mapping_maps_every_row(source: SourceAtWork) -> None:
    source.mapping = corrected = Counted("（改）")
    source.run()
    assert corrected.since() >= ROWS
    assert set(source.names().values()) == {"某人（改）"}
    source.run()
    assert corrected.since() <= SAMPLE


def test_a_mapping_that_was_put_back_in_the_middle_of_a_reading_finds_none_of_the_others_rows(
    source: SourceAtWork, mapping: Counted
) -> None:
    def wrong(row: Mapping[str, Any]) -> dict[str, Any]:
        return mapped(row) | {"name": "错"}

    for number in range(ROWS, 1500):
        source.table.put(f"{number}", resident_id(number))
    source.run()
    source.reader.broken_after = 1
    source.mapping = wrong
    with closing(source.open()) as line, pytest.raises(ExchangeError):
        line._steps.comparer.compare(Order(), True, threading.Event(), lambda: None)
    source.reader.broken_after = None
    assert "错" in set(source.names().values())
    source.mapping = mapping
    source.run()
    assert set(source.names().values()) == {"某人"}


def test_a_raised_schema_maps_every_row(source: SourceAtWork, mapping: Counted) -> None:
    source.schema = replace(source.schema, id=SchemaId(source.schema.id + 1000))
    source.run()
    assert mapping.since() >= ROWS


def test_a_reading_that_somebody_asks_for_maps_every_row(source: SourceAtWork, mapping: Counted) -> None:
    for argument in ("all", "since 2026-11-24T00:00:00Z", "key 5"):
        source.ask("reread", argument)
        source.run()
        assert mapping.since() >= ROWS, argument


def test_what_a_mapping_reads_from_elsewhere_is_sent_by_a_reading_that_somebody_asks_for(
    source: SourceAtWork, mapping: Counted
) -> None:
    mapping.suffix = "（表二）"
    source.ask("reread", "all")
    source.run()
    assert set(source.names().values()) == {"某人（表二）"}


def test_a_mapping_that_gives_two_records_for_one_row_is_found_out_and_then_asked_for_every_row(
    source: SourceAtWork, mapping: Counted
) -> None:
    mapping.suffix = "（明天）"
    source.run()
    assert "某人（明天）" in set(source.names().values())
    source.run()
    assert set(source.names().values()) == {"某人（明天）"}
    mapping.suffix = "（后天）"
    source.run()
    assert set(source.names().values()) == {"某人（后天）"}


def test_a_corrected_mapping_is_trusted_again(source: SourceAtWork, mapping: Counted) -> None:
    mapping.suffix = "（明天）"
    source.run()
    source.mapping = corrected = Counted()
    source.run()
    corrected.since()
    source.run()
    assert corrected.since() <= SAMPLE


def test_two_rows_that_do_not_map_among_many_that_are_as_they_were_are_set_aside(
    source: SourceAtWork,
) -> None:
    """Those that are passed over are known to map: the declaration is not at fault."""

    def put_aside(row: Mapping[str, Any]) -> dict[str, Any]:
        return mapped(row) if row["name"] != "坏" else mapped(row) | {"death_date": object()}

    source.mapping = put_aside
    source.run()
    source.table.behind("3", name="坏")
    source.table.behind("4", name="坏")
    books = source.run()
    assert books.unmapped == 2


def test_a_row_that_was_set_aside_and_is_as_before_waits_no_longer(source: SourceAtWork, mapping: Counted) -> None:
    row = source.table.rows["3"]
    row.values["name"] = None
    source.run()
    assert waiting(source) == 1
    row.values["name"] = "某人"
    before = sent(source)
    source.run()
    assert waiting(source) == 0
    assert sent(source) == before
    assert mapping.asked


def test_a_row_that_was_withdrawn_and_is_as_before_is_sent_again(source: SourceAtWork) -> None:
    row = source.table.rows["3"]
    row.withdrawn = True
    source.run()
    assert source.names()[resident_id(3)] is None
    row.withdrawn = False
    source.run()
    assert source.names()[resident_id(3)] == "某人"


def test_a_row_that_came_back_as_it_was_is_sent_again(source: SourceAtWork) -> None:
    row = source.table.rows.pop("3")
    source.run()
    assert source.names()[resident_id(3)] is None
    source.table.rows["3"] = row
    source.run()
    assert source.names()[resident_id(3)] == "某人"


def test_a_row_that_had_to_leave_its_natural_key_to_another_and_gets_it_back_is_sent_again(
    source: SourceAtWork,
) -> None:
    source.table.put("other", resident_id(3), name="另")
    source.run()
    assert source.names()[resident_id(3)] == "另"
    source.table.remove("other")
    source.run()
    source.run()
    assert source.names()[resident_id(3)] == "某人"


def test_a_row_whose_version_is_no_number_any_longer_is_set_aside(source: SourceAtWork) -> None:
    source.table.rows["3"].sequence = -5
    source.run()
    assert waiting(source) == 1


def test_rows_on_their_way_when_the_process_ended_are_sent_whatever_their_digests_say(source: SourceAtWork) -> None:
    class Killed(BaseException):
        pass

    source.table.behind("3", name="改名")
    source.inbox.dies = Killed()
    with pytest.raises(Killed):
        source.run()
    source.inbox.dies = None
    source.inbox.records = [one for one in source.inbox.records if not one.key.endswith(resident_id(3))]
    source.run()
    assert source.names()[resident_id(3)] == "改名"


def test_a_memory_of_the_form_before_costs_one_reading_and_sends_nothing(
    source: SourceAtWork, mapping: Counted
) -> None:
    with closing(sqlite3.connect(source.folder / f"{CONNECTOR}.sqlite")) as memory:
        memory.execute("ALTER TABLE rows DROP COLUMN row_digest")
        memory.execute("PRAGMA user_version = 1")
        memory.commit()
    before = sent(source)
    source.run()
    assert mapping.since() >= ROWS
    source.run()
    assert mapping.since() <= SAMPLE
    assert sent(source) == before
    assert all(len(one or b"") == DIGEST_BYTES for one in digests(source))


def test_a_row_of_values_that_nobody_can_write_down_is_mapped_each_time(source: SourceAtWork, mapping: Counted) -> None:
    class Strange:
        def __reduce__(self) -> str:
            raise RuntimeError

    source.table.behind("7", more=Strange())
    before = sent(source)
    for _ in range(3):
        source.run()
        assert 1 <= mapping.since() <= SAMPLE + 1
    assert sent(source) == before


def test_the_last_of_several_lines_of_a_key_stands_after_each_reading_of_a_file_of_changes(
    source: SourceAtWork,
) -> None:
    source.reader.brings_all, source.follows = False, False
    first, last = source.table.rows["3"], source.table.put("3", name="后来")
    source.table.rows = {"first": first, "last": last}
    for _ in range(3):
        source.run()
        assert source.names()[resident_id(3)] == "后来"


def test_the_memory_can_be_asked_for_more_rows_than_a_statement_has_room_for(source: SourceAtWork) -> None:
    line = source.open()
    with closing(line):
        known: KnownRows = line._memory.known
        assert len(known.hashes([f"{number}" for number in range(12_000)])) == ROWS
