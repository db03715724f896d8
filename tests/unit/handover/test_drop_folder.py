"""Deliveries in files: what is dropped is what the share holds, taken or not, killed wherever, and never twice."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.errors import ExchangeError
from exchange.handover.files import chain, line
from exchange.handover.files.folder import CSV, DATA, MANIFEST, DropFolder, name_of
from exchange.handover.files.line import Pace
from exchange.handover.files.verify import State
from exchange.names import GrantId, TopicName
from tests.harness.memory.drop_folder import Dropped, Grantee, MemoryShare

DAYS_4 = {"days": 4}


@pytest.fixture
def dropped(tmp_path: Path) -> Dropped:
    return Dropped(tmp_path)


def names(dropped: Dropped) -> list[str]:
    return sorted(file.name for file in dropped.path.iterdir() if not file.name.startswith("."))


def test_a_delivery_holds_of_each_record_the_last_version_and_the_keys_of_those_that_are_gone(
    dropped: Dropped,
) -> None:
    dropped.share.company("A", "one")
    dropped.share.company("B", "two")
    dropped.share.company("A", "one again")
    dropped.share.append("B", None)
    dropped.share.append("~", None)
    dropped.run()
    (manifest,) = dropped.manifests()
    assert [(row["credit_code"], row["name"]) for row in dropped.rows(1)] == [("A", "one again")]
    assert dropped.withdrawn(1) == ["B"]
    counts = manifest.records
    assert (counts.taken, counts.written, counts.withdrawn, counts.replaced, counts.faulty) == (4, 1, 1, 2, 0)
    assert manifest.current and manifest.reading == 1 and manifest.key == ["credit_code"]
    assert [one.state for one in dropped.check().deliveries] == [State.WAITING]


def test_nothing_is_told_to_the_group_before_the_receipt_is_there(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.run()
    assert (dropped.share.committed, dropped.letters.sent) == ({}, [])
    taken = dropped.take()
    assert taken is not None
    dropped.run()
    assert dropped.share.committed == {number: end for number, end in dropped.share.ends.items() if end}
    assert (dropped.receipts().upserted, dropped.receipts().deleted) == (1, 0)


def test_the_next_delivery_waits_until_the_last_one_is_taken(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.share.company("B", "two")
    dropped.run()
    assert len(dropped.manifests()) == 1
    dropped.take()
    dropped.run()
    first, second = dropped.manifests()
    assert second.before == dropped.hashes()[(first.series, 1)]
    assert [row["credit_code"] for row in dropped.rows(2)] == ["B"]


def test_a_full_delivery_is_closed_and_the_rest_follows(tmp_path: Path) -> None:
    dropped = Dropped(tmp_path, Pace(records=4, every=timedelta()))
    for number in range(10):
        dropped.share.company(f"C{number}", "n")
    grantee = Grantee()
    while dropped.run() or (taken := dropped.take()):
        grantee.apply(dropped, taken)
    assert [one.current for one in dropped.manifests()][-1]
    assert len(dropped.manifests()) >= 2
    assert grantee.table == dropped.share.held()


def test_when_the_group_moves_a_delivery_is_collected_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_PAUSE_SECONDS", 0.0)
    dropped = Dropped(tmp_path, Pace(every=timedelta()))
    for number in range(20):
        dropped.share.company(f"C{number}", "n")
    dropped.share.moves = 2
    dropped.run()
    assert dropped.share.moves == 0
    assert len(dropped.rows(1)) == 20


def test_a_share_that_never_stands_still_is_delivered_all_the_same(tmp_path: Path) -> None:
    dropped = Dropped(tmp_path, Pace(longest=timedelta()))
    dropped.share.restless = True
    dropped.share.company("A", "one")
    dropped.run()
    assert [one.current for one in dropped.manifests()] == [False]


def test_deliveries_that_are_not_full_lie_apart(tmp_path: Path) -> None:
    dropped = Dropped(tmp_path, Pace(every=timedelta(hours=1)))
    dropped.share.company("A", "one")
    dropped.run()
    dropped.take()
    stop = threading.Event()
    dropped.share.company("B", "two")
    dropped.share.told = stop.set
    dropped.run(stop=stop)
    assert len(dropped.manifests()) == 1
    dropped.clock.forward(hours=1)
    dropped.run()
    assert [row["credit_code"] for row in dropped.rows(2)] == ["B"]


def test_an_empty_share_makes_no_delivery(dropped: Dropped) -> None:
    dropped.share.append("~", None)
    dropped.run()
    assert names(dropped) == []


def test_a_record_that_does_not_decode_is_reported_by_its_place_and_counted(dropped: Dropped) -> None:
    dropped.share.append("A", b"plain text")
    dropped.share.company("B", "two")
    dropped.run()
    (manifest,) = dropped.manifests()
    assert (manifest.records.faulty, manifest.records.written) == (1, 1)
    (topic, fault), *_ = dropped.letters.sent
    assert topic == "faults.taxation" and b"E_SHARE_DECODE" in fault and b"plain text" not in fault
    dropped.take()
    dropped.run()
    assert (dropped.receipts().faulty, dropped.receipts().upserted) == (1, 1)


def test_a_delivery_that_nobody_takes_in_three_days_is_made_anew_as_the_share_is_by_then(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.share.company("B", "two")
    dropped.run()
    dropped.share.append("A", None)
    dropped.clock.forward(**DAYS_4)
    dropped.run()
    first, second = dropped.manifests()
    assert (second.void, second.number, first.starts()) == (1, 2, second.starts())
    assert not any(name_of(1, what) in names(dropped) for what in DATA)
    assert (dropped.rows(2)[0]["credit_code"], dropped.withdrawn(2)) == ("B", ["A"])
    assert [one.state for one in dropped.check().deliveries] == [State.VOID, State.WAITING]
    dropped.take()
    dropped.run()
    assert (dropped.receipts().upserted, dropped.receipts().deleted) == (2, 1)


def test_files_that_were_taken_are_gone_after_three_days_and_the_chain_still_holds(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.take()
    dropped.clock.forward(**DAYS_4)
    dropped.run()
    assert not any(name_of(1, what) in names(dropped) for what in DATA)
    assert (dropped.check().faults, [one.state for one in dropped.check().deliveries]) == ([], [State.TAKEN])


def test_a_delivery_that_lost_a_file_is_made_anew(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    (dropped.path / name_of(1, CSV)).unlink()
    dropped.run()
    assert [one.void for one in dropped.manifests()] == [None, 1]
    assert [row["credit_code"] for row in dropped.rows(2)] == ["A"]


def test_when_the_grant_ends_what_was_not_taken_goes(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.active = False
    with pytest.raises(ExchangeError) as refused:
        dropped.run()
    assert refused.value.code == "E_GRANT_REFUSED"
    assert not any(name_of(1, what) in names(dropped) for what in DATA)
    dropped.active = True
    dropped.run()
    assert [one.void for one in dropped.manifests()] == [None, 1]


def test_a_grant_that_goes_on_in_another_share_is_read_anew_and_what_is_not_there_goes(dropped: Dropped) -> None:
    grantee = Grantee()
    for code in "AB":
        dropped.share.company(code, "old")
    dropped.run()
    grantee.apply(dropped, dropped.take())  # type: ignore[arg-type]
    dropped.run()
    dropped.share = MemoryShare(TopicName("share.s-2"))
    dropped.share.company("A", "new")
    dropped.run()
    grantee.apply(dropped, dropped.take())  # type: ignore[arg-type]
    assert grantee.table == {"A": "new"}
    assert [one.reading for one in dropped.manifests()] == [1, 2]
    dropped.run()
    assert dropped.receipts().upserted == 3


def test_whoever_was_away_for_longer_than_tombstones_are_kept_gets_everything_anew(dropped: Dropped) -> None:
    grantee = Grantee()
    for code in "AB":
        dropped.share.company(code, "n")
    dropped.run()
    grantee.apply(dropped, dropped.take())  # type: ignore[arg-type]
    dropped.run()
    dropped.share.append("B", None)
    dropped.share.compact()
    dropped.clock.forward(days=40)
    dropped.run()
    grantee.apply(dropped, dropped.take())  # type: ignore[arg-type]
    assert grantee.table == {"A": "n"}
    dropped.run()
    assert dropped.receipts().upserted == 2


def test_a_share_that_was_quiet_for_long_is_not_read_anew(dropped: Dropped) -> None:
    dropped.share.company("A", "n")
    dropped.run()
    dropped.take()
    for _ in range(4):
        dropped.clock.forward(days=20)
        dropped.run()
    assert [one.reading for one in dropped.manifests()] == [1]


def test_a_place_that_the_share_does_not_have_makes_a_new_reading(dropped: Dropped) -> None:
    for code in "ABCD":
        dropped.share.company(code, "n")
    dropped.run()
    dropped.take()
    dropped.run()
    dropped.share = MemoryShare()
    dropped.share.company("A", "other")
    dropped.run()
    assert [one.reading for one in dropped.manifests()] == [1, 2]
    assert dropped.rows(2)[0]["name"] == "other"


def test_an_emptied_folder_is_filled_again_in_another_series(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.take()
    dropped.run()
    before = dropped.hashes()
    for name in names(dropped):
        (dropped.path / name).unlink()
    dropped.run()
    assert [row["credit_code"] for row in dropped.rows(1)] == ["A"]
    assert not before.keys() & dropped.hashes().keys()


@pytest.mark.parametrize("gone", [1, 2])
def test_a_folder_that_lost_or_changed_a_manifest_stops_the_sink(dropped: Dropped, gone: int) -> None:
    for code in "AB":
        dropped.share.company(code, "n")
        dropped.run()
        dropped.take()
    file = dropped.path / name_of(2, MANIFEST)
    if gone == 1:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes().replace(b'"reading": 1', b'"reading": 2'))
    with pytest.raises(ExchangeError) as refused:
        dropped.run()
    assert refused.value.code == "E_FILES_FOLDER"


def test_a_full_series_stops_the_sink(dropped: Dropped, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.take()
    dropped.share.company("B", "two")
    monkeypatch.setattr(chain, "LAST_NUMBER", 1)
    with pytest.raises(ExchangeError) as refused:
        dropped.run()
    assert refused.value.code == "E_FILES_FOLDER"


def test_another_grant_goes_on_in_the_same_folder(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.grant = GrantId("g-2")
    dropped.run()
    assert [(one.grant, one.reading, one.void) for one in dropped.manifests()] == [("g-1", 1, None), ("g-2", 2, 1)]
    assert dropped.check().faults == []


def test_what_a_sink_left_half_made_is_gone_when_the_next_one_starts(dropped: Dropped) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    dropped.take()
    dropped.run()
    for name in (".000002.avro.part", "000002.csv", "000002.manifest.sig"):
        (dropped.path / name).write_bytes(b"x")
    dropped.clock.forward(**DAYS_4)
    dropped.run()
    assert sorted(one.name for one in dropped.path.iterdir()) == [
        ".lock",
        "000001.manifest.json",
        "000001.manifest.sig",
        "000001.receipt.json",
    ]


def test_a_link_or_pipe_in_the_place_of_a_receipt_is_none(dropped: Dropped, tmp_path: Path) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    receipt = dropped.path / "000001.receipt.json"
    os.mkfifo(receipt)
    dropped.run()
    receipt.unlink()
    dropped.take()
    real = tmp_path / "elsewhere"
    receipt.rename(real)
    receipt.symlink_to(real)
    dropped.run()
    assert dropped.share.committed == {}


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"manifest": "00"}', b"\xff", b"{" * 5000])
def test_a_strange_receipt_takes_nothing(dropped: Dropped, content: bytes) -> None:
    dropped.share.company("A", "one")
    dropped.run()
    (dropped.path / "000001.receipt.json").write_bytes(content)
    dropped.run()
    assert dropped.share.committed == {}


def test_a_link_in_the_place_of_the_folder_is_refused(dropped: Dropped, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    dropped.path.symlink_to(tmp_path / "real")
    with pytest.raises(ExchangeError) as refused:
        dropped.run()
    assert refused.value.code == "E_FILES_FOLDER"


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(dropped: Dropped, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    dropped.path.mkdir()
    for name in ("000001.csv", ".000001.csv.part", "000001.manifest.json.part"):
        (dropped.path / name).symlink_to(precious)
    (dropped.path / "000001.manifest.json.part").unlink()
    dropped.share.company("A", "one")
    dropped.run()
    assert precious.read_bytes() == b"precious"
    assert not (dropped.path / "000001.csv").is_symlink()


def test_two_sinks_do_not_share_a_folder(dropped: Dropped) -> None:
    other = DropFolder(dropped.path, make=True)
    other.lock()
    with pytest.raises(ExchangeError) as refused:
        dropped.run()
    other.close()
    assert refused.value.code == "E_FILES_FOLDER"


def story(dropped: Dropped, killed_at: int | None) -> tuple[Grantee, int]:
    """Two deliveries with everything in them; whether at some step the sink is killed, and how often it was."""
    grantee, kills = Grantee(), 0
    meant: dict[tuple[str, int], str] = {}

    def run() -> None:
        nonlocal kills
        kills += dropped.run(killed_at if kills == 0 else None)
        for place, found in dropped.hashes().items():
            assert meant.setdefault(place, found) == found, "a number stands for something else"

    def settle() -> None:
        for _ in range(6):
            run()
            taken = dropped.take() if dropped.path.exists() else None
            if taken is not None:
                assert all(dropped.share.committed.get(number, 0) <= start for number, start in taken.starts().items())
                grantee.apply(dropped, taken)

    for code in "ABC":
        dropped.share.company(code, "one")
    settle()
    dropped.share.append("B", None)
    dropped.share.company("A", "two")
    settle()
    return grantee, kills


def test_killed_at_any_point_nothing_is_lost_and_no_number_means_two_things(tmp_path: Path) -> None:
    kills = 0
    for killed_at in range(1, 200):
        folder = tmp_path / str(killed_at)
        folder.mkdir()
        dropped = Dropped(folder)
        grantee, killed = story(dropped, killed_at)
        assert grantee.table == dropped.share.held() == {"A": "two", "C": "one"}
        assert (dropped.receipts().upserted, dropped.receipts().deleted) == (4, 1)
        assert dropped.check().faults == []
        assert dropped.share.committed == dropped.share.ends
        if not killed:
            break
        kills += killed
    assert 20 < kills < 199


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("run"), st.integers(1, 40) | st.none()),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("days"), st.integers(1, 45)),
        st.tuples(st.just("lose"), st.sampled_from(DATA)),
        st.tuples(st.just("compact"), st.none()),
    ),
    max_size=25,
)


class Acted:
    """What the acts of an example do."""

    def __init__(self, root: Path) -> None:
        self.dropped, self.grantee = Dropped(root, Pace(records=3, every=timedelta())), Grantee()
        self.meant: dict[tuple[str, int], str] = {}
        self.version = 0

    def put(self, what: int) -> None:
        self.version += 1
        self.dropped.share.company(f"C{what}", f"v{self.version}")

    def end(self, what: int) -> None:
        self.dropped.share.append(f"C{what}", None)

    def run(self, killed_at: int | None) -> None:
        self.dropped.run(killed_at)
        for place, found in self.dropped.hashes().items():
            assert self.meant.setdefault(place, found) == found

    def take(self, _what: object = None) -> None:
        if self.dropped.path.exists() and not self.dropped.check().faults:
            taken = self.dropped.take()
            if taken is not None:
                self.grantee.apply(self.dropped, taken)

    def days(self, what: int) -> None:
        self.dropped.clock.forward(days=what)

    def compact(self, _what: object) -> None:
        self.dropped.clock.forward(days=31)
        self.dropped.share.compact()

    def lose(self, what: str) -> None:
        last = self.dropped.manifests()[-1:] if self.dropped.path.exists() else []
        if last and not self.dropped.is_taken(last[0].number):
            (self.dropped.path / name_of(last[0].number, what)).unlink(missing_ok=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ACTS)
def test_whatever_happens_the_grantee_ends_with_what_the_share_holds(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int | str | None]]
) -> None:
    acted = Acted(tmp_path_factory.mktemp("acts"))
    for act, what in acts:
        getattr(acted, act)(what)
    for _ in range(20):
        acted.run(None)
        acted.take()
    assert acted.grantee.table == acted.dropped.share.held()
    assert acted.dropped.check().faults == []
