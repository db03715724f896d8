from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.events.event import LedgerEvent, event_of, read_lines, write_line
from exchange.ledger.fold.apply import apply
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.verify import verify
from tests.harness.memory.ledger import chain

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DATA = st.dictionaries(TEXT, JSON, max_size=4)
LEDGERS = st.lists(st.tuples(st.sampled_from(["secret-rotated", "moon-landed"]), DATA), min_size=2, max_size=8).map(
    chain
)


def _break_at(events: list[LedgerEvent]) -> int:
    """The number that verification names."""
    with pytest.raises(ExchangeError) as caught:
        verify(events)
    assert caught.value.code == "E_LEDGER_BROKEN"
    return int(caught.value.detail.split()[1])


@given(LEDGERS)
def test_export_and_import_change_nothing(events: list[LedgerEvent]) -> None:
    again = list(read_lines([write_line(event) for event in events]))

    assert [event.hash for event in again] == [event.hash for event in events]
    assert verify(again) == verify(events)


@given(LEDGERS, st.data())
def test_fold_of_a_prefix_goes_on_to_the_fold_of_all(events: list[LedgerEvent], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    state = fold(events[:cut])
    for event in events[cut:]:
        apply(state, event)

    assert state == fold(events)


@given(LEDGERS, DATA, st.data())
def test_changed_event_is_found_where_it_stands(
    events: list[LedgerEvent], other: dict[str, Any], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(events) - 2))
    changed = event_of(events[at].exported() | {"data": other})
    if changed.hash == events[at].hash:
        return

    assert _break_at([*events[:at], changed, *events[at + 1 :]]) == at + 2


@given(LEDGERS, st.sampled_from(["event", "actor", "entity", "command_id"]), st.data())
def test_changed_member_is_found_where_it_stands(events: list[LedgerEvent], name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 2))
    changed = event_of(events[at].exported() | {name: "something else"})

    assert _break_at([*events[:at], changed, *events[at + 1 :]]) == at + 2


@given(LEDGERS, st.data())
def test_missing_event_is_found(events: list[LedgerEvent], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 2))

    assert _break_at([*events[:at], *events[at + 1 :]]) == at + 2


@given(LEDGERS, st.data())
def test_doubled_event_is_found(events: list[LedgerEvent], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 1))

    assert _break_at([*events[: at + 1], *events[at:]]) == at + 1


@given(LEDGERS, st.data())
def test_swapped_events_are_found(events: list[LedgerEvent], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 2))
    swapped = [*events[:at], events[at + 1], events[at], *events[at + 2 :]]

    assert _break_at(swapped) == at + 2


@given(LEDGERS, st.data())
def test_fold_refuses_what_verification_refuses(events: list[LedgerEvent], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 2))
    state = LedgerState()

    with pytest.raises(ExchangeError, match="E_LEDGER_BROKEN"):
        for event in [*events[:at], *events[at + 1 :]]:
            apply(state, event)
    assert state.seq == at
