"""A snapshot and the events behind it give the state of a replay; one that is not what was signed gives none."""

import copy
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.ledger.events.event import LedgerEvent, read_lines
from exchange.ledger.fold.apply import apply, fold
from exchange.ledger.fold.demands import asked_keys
from exchange.ledger.snapshot import content
from exchange.ledger.snapshot.content import KEPT, read_state, write_state
from exchange.ledger.snapshot.manifest import Manifest, opened
from exchange.ledger.state.ledger_state import LedgerState
from exchange.signing import SigningKey
from tests.harness.ledger.years import ledger_of

KEPT_LEDGER = Path(__file__).parent / "fixtures" / "kept-ledger.jsonl"
HASH = "a" * 64


def kept_events() -> list[LedgerEvent]:
    with KEPT_LEDGER.open(encoding="utf-8") as file:
        return list(read_lines(file))


def dump(state: LedgerState) -> dict[str, Any]:
    """Everything that the state says, with the order of what is walked in order."""
    said = {one.name: getattr(state, one.name) for one in dataclasses.fields(state) if one.name != "alike"}
    orders = {name: list(value) for name, value in said.items() if isinstance(value, dict)}
    return {**said, "orders": orders}


def assert_same(read: LedgerState, folded: LedgerState) -> None:
    assert dump(read) == dump(folded)
    for name in ("awaiting", "prompt"):
        assert all(one is read.demands[key] for key, one in getattr(read, name).items())
    assert all(one is read.grants[key] for key, one in read.running.items())
    for demand in folded.demands.values():
        for key in asked_keys(demand):
            assert demand.demand in read.alike.of(key)


def again(state: LedgerState) -> LedgerState:
    return read_state(list(write_state(state)))


def test_every_part_of_the_state_is_written_or_worked_out_again() -> None:
    assert {one.name for one in dataclasses.fields(LedgerState)} - {"alike"} == KEPT


def test_an_empty_state_is_read_again() -> None:
    assert_same(again(LedgerState()), LedgerState())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_snapshot_and_its_tail_give_the_state_of_a_whole_replay(data: st.DataObject) -> None:
    seed, length = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 600))
    events = kept_events() if data.draw(st.booleans()) else list(ledger_of(length, seed))
    cut = data.draw(st.integers(0, len(events)))

    state = again(fold(events[:cut]))
    for event in events[cut:]:
        apply(state, event)

    assert_same(state, fold(events))


def test_a_snapshot_of_a_snapshot_says_the_same() -> None:
    state = fold(kept_events())

    assert_same(again(again(state)), state)


def test_bytes_may_be_cut_anywhere() -> None:
    state = fold(kept_events())
    whole = b"".join(write_state(state))

    assert_same(read_state(whole[at : at + 777] for at in range(0, len(whole), 777)), state)


def test_equal_values_are_kept_once() -> None:
    state = again(fold(ledger_of(3_000)))
    grants = list(state.grants.values())

    assert len({id(one.terms) for one in grants}) == len({one.terms for one in grants})
    assert all(one.demand is state.demands[one.demand].demand for one in grants)
    schemas = [share.schema for share in state.shares.values()]
    assert len({id(one) for one in schemas}) < len(schemas)


def test_names_that_have_other_numbers_in_this_process_are_still_the_same_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = fold(ledger_of(500))
    events, actors = content.names_so_far()
    monkeypatch.setattr(content, "names_so_far", lambda: (events[::-1], actors[::-1]))
    turned = copy.deepcopy(state)
    for demand in turned.demands.values():  # as a process holds them that met the names in the opposite order
        packed = demand.history._packed
        for at in range(1, len(packed), 2):
            event, actor = (packed[at] >> 20) & 0xFFF, packed[at] & 0xFFFFF
            packed[at] = (packed[at] >> 32 << 32) | (len(events) - 1 - event) << 20 | (len(actors) - 1 - actor)

    assert_same(read_state(list(write_state(turned))), state)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_no_other_state(data: st.DataObject) -> None:
    """Cut off, or with a bit turned: an error, whatever it is, or what was written."""
    state = fold(ledger_of(200))
    whole = bytearray(b"".join(write_state(state)))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged: Iterable[bytes] = [bytes(whole[:at])]
    if data.draw(st.booleans()):
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
        damaged = [bytes(whole)]

    try:
        read = read_state(damaged)
    except Exception:
        return
    assert read.seq == 0 or len(read.demands) <= len(state.demands)


def test_a_manifest_is_read_by_the_key_that_signed_it_alone(tmp_path: Path) -> None:
    mine, other = SigningKey.make(tmp_path / "mine"), SigningKey.make(tmp_path / "other")
    manifest = Manifest("form", 7, HASH, 9, 3, (HASH, HASH))
    kept = manifest.signed(mine)

    assert opened(kept, mine.public) == manifest
    assert opened(kept, other.public) is None
    for at in range(len(kept)):
        assert opened(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :], mine.public) is None
    assert opened(kept[:63], mine.public) is None
    assert opened(b"", mine.public) is None


@pytest.mark.parametrize(
    "text", [b"[]", b"{}", b"null", b'{"form":"f","seq":0,"hash":"x","offset":0,"begins":0,"records":[]}', b"\xff"]
)
def test_what_the_key_signed_and_is_no_manifest_is_none(text: bytes, tmp_path: Path) -> None:
    key = SigningKey.make(tmp_path / "key")

    assert opened(key.sign(b"exchange.ledger.snapshot\n" + text) + text, key.public) is None


def test_a_signature_of_something_else_signs_no_snapshot(tmp_path: Path) -> None:
    key = SigningKey.make(tmp_path / "key")
    text = Manifest("form", 7, HASH, 9, 3, ()).signed(key)[64:]

    assert opened(key.sign(text) + text, key.public) is None


def test_another_fold_is_another_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for room in ("events", "fold", "snapshot", "state"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "one.py").write_text("1", encoding="utf-8")
    monkeypatch.setattr(content, "files", lambda _package: tmp_path)
    before = content.form.__wrapped__()

    (tmp_path / "fold" / "one.py").write_text("2", encoding="utf-8")

    assert content.form.__wrapped__() != before
