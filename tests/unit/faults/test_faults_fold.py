"""The faults log, folded: what of it still waits."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from exchange.errors import ExchangeError
from exchange.faults.fold import FaultsFold, row_of
from exchange.faults.log import Faults, Settled, item_of
from exchange.names import RecordType

T0 = datetime(2026, 11, 24, 8, tzinfo=UTC)
DEATHS = Faults("health.deaths", RecordType("population.death"))
COMPANIES = Faults("taxation.companies", RecordType("legal-entity.registration"))
UNMAPPED = ExchangeError("E_ROW_UNMAPPED", "field cause: too long")
UNREADABLE = ExchangeError("E_ROW_UNREADABLE", "5 cells, the header has 4")


@pytest.fixture
def fold() -> Iterator[FaultsFold]:
    with FaultsFold() as fold:
        yield fold


def hours(number: int) -> datetime:
    return T0 + timedelta(hours=number)


def add(fold: FaultsFold, *entries: bytes) -> None:
    for offset, entry in enumerate(entries):
        fold.add(offset, entry)


def test_what_is_settled_waits_no_longer(fold: FaultsFold) -> None:
    one = DEATHS.of_row(UNMAPPED, T0, {"id": "1"}, "1")
    two = DEATHS.of_row(UNREADABLE, hours(1), {"id": "2"}, "2", "line 7")
    add(fold, one, two, DEATHS.settled("1", Settled.SUBMITTED, hours(2)))
    (waits,) = fold.faults(None, 10)
    assert (waits.item, waits.place, waits.code) == (item_of("health.deaths", "2"), "line 7", "E_ROW_UNREADABLE")
    assert [(one.connector, one.code, one.waiting) for one in fold.counts()] == [
        ("health.deaths", "E_ROW_UNREADABLE", 1)
    ]


def test_an_item_that_is_announced_again_waits_since_its_first_entry(fold: FaultsFold) -> None:
    add(fold, DEATHS.of_row(UNMAPPED, T0, {}, "1"), DEATHS.of_row(UNREADABLE, hours(170), {}, "1"))
    (waits,) = fold.faults(None, 10)
    assert (waits.since, waits.at, waits.code, waits.entry) == (T0, hours(170), "E_ROW_UNREADABLE", 1)


def test_what_was_settled_and_fails_again_waits_since_then() -> None:
    for keep in (False, True):
        with FaultsFold(keep_settled=keep) as fold:
            entry = DEATHS.of_row(UNMAPPED, T0, {}, "1")
            again = DEATHS.of_row(UNMAPPED, hours(5), {}, "1")
            add(fold, entry, DEATHS.settled("1", Settled.SUBMITTED, hours(1)), again)
            (waits,) = fold.faults(None, 10)
            assert (waits.since, waits.settled) == (hours(5), None)


def test_all_shows_what_waits_no_longer_and_how_it_ended() -> None:
    with FaultsFold(keep_settled=True) as fold:
        add(fold, DEATHS.of_row(UNMAPPED, T0, {}, "1"), DEATHS.settled("1", Settled.GONE, hours(1)))
        (done,) = fold.faults(None, 10)
        assert (done.settled, done.at) == ("gone", hours(1))
        assert fold.counts() == []


def test_a_sinks_record_is_told_by_its_place_in_the_share(fold: FaultsFold) -> None:
    add(fold, COMPANIES.of_record(ExchangeError("E_APPLY"), T0, ("share.x", 1, 812), "91110000EXCH00001X"))
    (waits,) = fold.faults(None, 10)
    assert (waits.of_sink, waits.place) == (True, "share.x, partition 1, offset 812")


def test_one_connectors_faults_are_not_anothers() -> None:
    with FaultsFold("health.deaths") as fold:
        add(fold, DEATHS.of_row(UNMAPPED, T0, {}, "1"), COMPANIES.of_record(UNMAPPED, T0, ("share.x", 0, 1), "1"))
        assert [one.connector for one in fold.faults(None, 10)] == ["health.deaths"]


def test_the_oldest_comes_first_and_no_more_than_asked_for(fold: FaultsFold) -> None:
    add(fold, *(DEATHS.of_row(UNMAPPED, hours(-number), {}, str(number)) for number in range(20)))
    assert [one.since for one in fold.faults(None, 3)] == [hours(-19), hours(-18), hours(-17)]
    assert fold.counts()[0].waiting == 20
    assert fold.faults("E_ENCODE", 3) == []


def test_entries_of_before_items_had_names_are_history_and_not_said_to_wait() -> None:
    old = json.loads(DEATHS.of_row(UNMAPPED, T0, {}, "1"))
    del old["item"]
    with FaultsFold() as fold:
        add(fold, json.dumps(old).encode())
        assert (fold.faults(None, 10), fold.counts(), fold.without_item) == ([], [], 1)
    with FaultsFold(keep_settled=True) as fold:
        add(fold, json.dumps(old).encode(), json.dumps(old).encode())
        assert [one.item for one in fold.faults(None, 10)] == [None, None]
        assert fold.counts() == []


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b"[" * 100_000,
        b'{"item": 7, "at": "2026-11-24T08:00:00Z"}',
        b'{"item": "0123456789abcdef", "at": "yesterday"}',
        b'{"item": "0123456789abcdef", "at": "2026-11-24T08:00:00"}',
        b'{"item": "0123456789abcdef", "settled": [], "at": "2026-11-24T08:00:00Z"}',
        b'{"item": "0123456789abcdef", "settled": "so so", "at": "2026-11-24T08:00:00Z"}',
        b'{"item": "0123456789abcdef", "at": "0001-01-01T00:00:00+23:59"}',
    ],
)
def test_what_is_no_entry_is_passed_over(fold: FaultsFold, value: bytes | None) -> None:
    fold.add(0, value)
    assert fold.faults(None, 10) == []


def test_a_text_can_steer_no_terminal_and_fill_no_screen(fold: FaultsFold) -> None:
    entry = json.loads(DEATHS.of_row(UNMAPPED, T0, {"\x1b[2J": "\ud800\x00"}, "1", "line\n\x9b7\x1b]0;x\x07"))
    entry["detail"] = "\x1b[31m" + "x" * 100_000 + "\ud800"
    fold.add(0, json.dumps(entry).encode())
    (waits,) = fold.faults(None, 10)
    assert waits.place == "line??7?]0;x?"
    assert len(waits.detail) <= 500
    assert waits.detail.isprintable()
    assert row_of(json.dumps(entry).encode()) == {"?[2J": "??"}


def test_a_name_that_begins_as_two_items_do_is_not_taken_for_one_of_them(fold: FaultsFold) -> None:
    entries = [json.loads(DEATHS.of_row(UNMAPPED, T0, {}, "1")) for _ in range(3)]
    for entry, item in zip(entries, ("abcd000000000000", "abcd100000000000", "ffff000000000000"), strict=True):
        entry["item"] = item
    add(fold, *(json.dumps(entry).encode() for entry in entries))
    assert len(fold.named("abcd")) == 2
    assert [one.item for one in fold.named("abcd1")] == ["abcd100000000000"]
    for part in ("abc", "", "*", "abc*", "ffff000000000000ff", "ABCD1"):
        assert fold.named(part) == []


def test_memory_is_flat_however_many_items_wait(fold: FaultsFold) -> None:
    def fill(start: int, number: int) -> int:
        for at in range(start, start + number):
            fold.add(at, b'{"item":"%016x","connector":"a.b","code":"E_ENCODE","at":"2026-11-24T08:00:00Z"}' % at)
        return psutil.Process().memory_info().rss

    few = fill(0, 20_000)
    many = fill(20_000, 80_000)
    assert many - few < 8_000_000
    assert fold.counts()[0].waiting == 100_000


def test_the_row_of_an_entry_is_for_its_own_department() -> None:
    entry = DEATHS.of_row(UNMAPPED, T0, {"name": "张三", "cause": None}, "1")
    assert row_of(entry) == {"name": "张三", "cause": None}
    assert row_of(COMPANIES.of_record(UNMAPPED, T0, ("share.x", 0, 1), "1")) is None
    assert row_of(None) is None
    assert row_of(b'{"row": 7}') is None
