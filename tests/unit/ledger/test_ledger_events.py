import hashlib
import json

import pytest
import rfc8785

from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.events.event import FIRST_HASH, LedgerEvent, event_of, read_lines, write_line
from exchange.ledger.fold.apply import apply
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.verify import Head, verify
from tests.harness.memory.ledger import chain

SUBMITTED = {
    "demand": "d-1",
    "request": "r-1",
    "demander": "taxation",
    "provider": "market-regulation",
    "registry": "legal-entity",
    "record_type": "legal-entity.registration",
    "fields": ["name"],
    "complete": True,
    "use_from": None,
    "use_until": None,
}


def test_hash_is_of_the_rfc_8785_json_without_the_offset() -> None:
    event = LedgerEvent(
        7, "demand-refused", "2026-11-24T08:00:00.000Z", 'a\u0007b"\\ü', "d-1", "k", "0" * 64, {"b": 1.0, "a": "税"}, 99
    )
    line = {name: value for name, value in event.exported().items() if name != "offset"}

    assert event.hash == hashlib.sha256(rfc8785.dumps(line)).hexdigest()


def test_first_event_has_64_zeros_before_it() -> None:
    assert chain([("secret-rotated", {})])[0].prev_hash == FIRST_HASH == "0" * 64


def test_exported_line_has_the_promised_members() -> None:
    line = json.loads(write_line(chain([("demand-submitted", SUBMITTED)])[0]))

    assert list(line) == ["seq", "offset", "event", "at", "actor", "entity", "command_id", "prev_hash", "data"]
    assert line["data"] == SUBMITTED


def test_export_read_again_gives_the_same_state() -> None:
    events = chain([("demand-submitted", SUBMITTED), ("demand-refused", {"demand": "d-1"})])

    again = list(read_lines([write_line(event) for event in events]))

    assert again == events
    assert fold(again) == fold(events) == fold(event.exported() for event in events)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": "1"},
        {"seq": True},
        {"seq": -1},
        {"at": "yesterday"},
        {"at": "2026-11-24T08:00:00"},
        {"command_id": 5},
        {"data": []},
        {"data": None},
        {"actor": None},
        {"prev_hash": 0},
        {"more": "than promised"},
        {"actor": "\ud800"},
    ],
)
def test_malformed_line_is_a_broken_ledger(change: dict[str, object]) -> None:
    line = chain([("secret-rotated", {})])[0].exported() | change

    with pytest.raises(ExchangeError, match="E_LEDGER_BROKEN"):
        event_of(line)


@pytest.mark.parametrize("text", ["{", "[]", '{"seq": NaN}', '{"seq": 1, "seq": 1}', "[" * 100_000])
def test_line_that_is_no_json_object_names_its_number(text: str) -> None:
    with pytest.raises(ExchangeError, match="line 2"):
        list(read_lines(["\n", text]))


def test_unknown_event_is_carried_over_and_counted() -> None:
    state = fold(chain([("moon-landed", {"x": 1}), ("secret-rotated", {"department": "taxation"})]))

    assert (state.seq, state.unread) == (2, 1)


def test_rated_event_without_its_promised_data_is_a_broken_ledger() -> None:
    for missing in SUBMITTED:
        data = {name: value for name, value in SUBMITTED.items() if name != missing}
        with pytest.raises(ExchangeError, match="event 1 lacks data"):
            fold(chain([("demand-submitted", data)]))


def test_event_about_an_unknown_grant_is_a_broken_ledger() -> None:
    with pytest.raises(ExchangeError, match="event 1 lacks data"):
        fold(chain([("grant-activated", {"grant": "g", "demand": "d", "share": "s"})]))


def test_gap_in_the_sequence_is_a_broken_ledger() -> None:
    events = chain([("secret-rotated", {}), ("secret-rotated", {}), ("secret-rotated", {})])
    state = LedgerState()
    apply(state, events[0])

    with pytest.raises(ExchangeError, match="event 3 follows event 1"):
        apply(state, events[2])
    assert (state.seq, state.head) == (1, events[0].hash)


def test_repr_of_an_event_shows_no_data() -> None:
    event = chain([("demand-submitted", SUBMITTED | {"scope": "张三"})])[0]

    assert "张三" not in repr(event)


def test_cut_tail_is_found_by_the_published_head() -> None:
    events = chain([("secret-rotated", {"n": n}) for n in range(3)])
    published = verify(events)

    assert verify(events[:2]).seq == 2, "a chain alone cannot show a cut tail"
    with pytest.raises(ExchangeError, match="ends with event 2, but event 3"):
        verify(events[:2], published)
    assert verify(events, Head(2, events[1].hash)) == published


def test_rewritten_ledger_is_found_by_the_published_head() -> None:
    published = verify(chain([("secret-rotated", {"n": 1})]))

    with pytest.raises(ExchangeError, match="event 1 is not the one"):
        verify(chain([("secret-rotated", {"n": 2})]), published)


@pytest.mark.parametrize("text", ["", "1", "1:", "x:" + "0" * 64, "1:" + "0" * 63, "-1:" + "0" * 64])
def test_head_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ExchangeError, match="E_REQUEST"):
        Head.parse(text)


def test_head_is_written_as_it_is_parsed() -> None:
    head = Head(12, "a" * 64)

    assert Head.parse(str(head)) == head
