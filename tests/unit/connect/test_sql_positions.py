"""From where a table is read again: marks, look-back, open transactions, and the cursor that is kept of them."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.connect.sql.positions import Mark, Positions, load

SECOND = 1_000_000
NOTHING: frozenset[str] = frozenset()


def one_pass(
    positions: Positions, reached: int, moment: int, look_back: int, still_open: frozenset[str] = NOTHING
) -> None:
    positions.begin(moment - look_back, moment, still_open)
    positions.note_open(positions.high, still_open)
    positions.reach(reached, moment)
    positions.finish(moment, look_back)


def test_a_mark_becomes_the_base_only_when_a_pass_began_a_look_back_later() -> None:
    positions = Positions()
    one_pass(positions, 10, 100 * SECOND, 60 * SECOND)
    one_pass(positions, 20, 130 * SECOND, 60 * SECOND)
    assert positions.base is None
    one_pass(positions, 30, 161 * SECOND, 60 * SECOND)
    assert positions.base == 10
    assert positions.begin(0, 200 * SECOND, NOTHING).start == 10


def test_a_pause_longer_than_the_look_back_does_not_pass_over_what_came_meanwhile() -> None:
    positions = Positions()
    one_pass(positions, 10, 100 * SECOND, 60 * SECOND)
    one_pass(positions, 20, 1000 * SECOND, 60 * SECOND)  # it was away
    going = positions.begin(2000 * SECOND, 2060 * SECOND, NOTHING)
    assert going.start == 10


def test_a_value_is_left_out_only_when_the_clock_has_left_it() -> None:
    positions = Positions()
    for moment in (100, 101):
        one_pass(positions, 10, moment * SECOND, 0)
        assert not positions.strict
    for moment in (103, 104):
        one_pass(positions, 10, moment * SECOND, 0)
    assert positions.strict


def test_a_transaction_is_read_again_from_the_mark_behind_which_it_was_seen() -> None:
    positions = Positions()
    one_pass(positions, 10, 100 * SECOND, 0)
    one_pass(positions, 20, 101 * SECOND, 0, frozenset({"slow"}))
    for moment in range(102, 110):
        one_pass(positions, moment, moment * SECOND, 0, frozenset({"slow"}))
    assert positions.base > 20
    assert positions.begin(110 * SECOND, 110 * SECOND, NOTHING).start == 10
    positions.finish(110 * SECOND, 0)
    assert positions.pending == []


def test_a_pass_that_did_not_end_answers_nothing() -> None:
    positions = Positions()
    one_pass(positions, 10, 100 * SECOND, 0)
    one_pass(positions, 20, 101 * SECOND, 0, frozenset({"slow"}))
    positions.begin(102 * SECOND, 102 * SECOND, NOTHING)
    again = load(json.loads(json.dumps(positions.dump())))
    assert again is not None
    assert again.under_way is not None
    assert again.under_way.start == 10
    assert again.pending


def test_a_clock_that_was_ahead_does_not_hold_the_base_for_ever() -> None:
    positions = Positions(base=1, high=1, marks=[Mark(5, 10**18, 10**18)])
    one_pass(positions, 6, 100 * SECOND, 60 * SECOND)
    one_pass(positions, 7, 161 * SECOND, 60 * SECOND)
    assert positions.base == 6


def test_a_cursor_of_another_form_is_none() -> None:
    assert load({"at": [["n", "1"]], "snapshot": None}) is None
    assert load({}) is None
    assert load({"form": 1}) is None
    assert load(Positions(base=7).dump() | {"base": ["n", "x"]}) is None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["begin", "commit", "pass", "restart"]), st.integers(0, 4), st.integers(0, 3)),
        max_size=60,
    )
)
def test_no_row_of_any_history_is_passed_over(steps: list[tuple[str, int, int]]) -> None:
    """A model of PostgreSQL: numbers are taken by open transactions and seen at their commit, in any order."""
    positions, clock, counter = Positions(), 0, 0
    transactions: dict[int, tuple[str, list[int]]] = {}
    visible: set[int] = set()
    read: set[int] = set()
    for kind, who, times in steps:
        clock += 1
        if kind == "begin":
            name, numbers = transactions.get(who, (f"{who}/{clock}", []))
            numbers += range(counter + 1, counter + 1 + times)
            counter += times
            transactions[who] = (name, numbers)
        elif kind == "commit" and who in transactions:
            visible.update(transactions.pop(who)[1])
        elif kind == "restart":
            loaded = load(json.loads(json.dumps(positions.dump())))
            assert loaded is not None
            positions = loaded
        elif kind == "pass":
            names = frozenset(name for name, _ in transactions.values())
            going = positions.begin(clock, clock, names)
            found = {
                n for n in visible if going.start is None or n > going.start or (n == going.start and not going.strict)
            }
            positions.note_open(positions.high, names)
            if found:
                positions.reach(max(found), clock)
            read |= found
            positions.finish(clock, 0)
    clock += 10
    for _ in range(2):
        going = positions.begin(clock, clock, NOTHING)
        found = {n for n in visible if going.start is None or n >= going.start}
        read |= found
        positions.finish(clock, 0)
    assert visible <= read
