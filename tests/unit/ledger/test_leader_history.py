import pytest

from tests.harness.faults.history import History, Operation, Written, violations

Said = tuple[str, float, float | None, tuple[str, ...]]
"""(key, sent, answered, entities)."""


def operations(*said: Said, once: str = "") -> list[Operation]:
    return [
        Operation(key, sent, once, answered, [] if answered is None else [entities])
        for key, sent, answered, entities in said
    ]


def ledger(*keys: str, once: str = "") -> list[Written]:
    return [Written(seq, key, f"t-{seq}", once) for seq, key in enumerate(keys, 1)]


def test_commands_at_the_same_time_may_stand_in_any_order() -> None:
    said = operations(("a", 1, 4, ("t-2",)), ("b", 2, 3, ("t-1",)))

    assert violations(said, ledger("b", "a")) == []


def test_open_command_may_have_taken_effect_or_not() -> None:
    said = operations(("a", 1, None, ()), ("b", 2, None, ()), ("c", 3, 4, ("t-2",)))

    assert violations(said, ledger("b", "c")) == []


def test_lost_command_is_found() -> None:
    said = operations(("a", 1, 2, ("t-1",)))

    assert violations(said, []) == ["a was answered and is not in the ledger"]


@pytest.mark.parametrize("answered", [2.0, None])
def test_command_that_took_effect_twice_is_found(answered: float | None) -> None:
    said = operations(("a", 1, answered, ("t-2",)))

    assert "a stands in the ledger 2 times" in violations(said, ledger("a", "a"))


def test_command_that_nobody_sent_is_found() -> None:
    assert violations([], ledger("a")) == ["a stands in the ledger and was never sent"]


def test_answer_that_the_ledger_does_not_give_is_found() -> None:
    said = operations(("a", 1, 2, ("t-7",)))

    assert violations(said, ledger("a")) == ["a was answered with ('t-7',), the ledger has t-1"]


def test_two_answers_to_one_key_are_found() -> None:
    history = History()
    for entity in ("t-1", "t-2"):
        history.invoke("a")
        history.answer("a", (entity,))

    found = violations(history.operations.values(), ledger("a"))

    assert found == ["a was answered differently: [('t-1',), ('t-2',)]"]


@pytest.mark.parametrize("answered", [6.0, None])
def test_command_that_overtakes_an_answered_one_is_found(answered: float | None) -> None:
    said = operations(("a", 1, 2, ("t-3",)), ("b", 0, 9, ("t-2",)), ("c", 3, answered, ("t-1",)))

    assert violations(said, ledger("c", "b", "a")) == ["a was answered before c was sent and stands behind it"]


def test_what_can_be_done_once_is_done_by_one_and_the_others_are_told() -> None:
    said = operations(("a", 1, 5, ("t-1",)), ("b", 2, 3, ()), ("c", 8, 9, ()), once="x")

    assert violations(said, ledger("a", once="x")) == []


def test_what_can_be_done_once_and_was_done_twice_is_found() -> None:
    said = operations(("a", 1, 5, ("t-1",)), ("b", 2, 3, ("t-2",)), once="x")

    assert violations(said, ledger("a", "b", once="x")) == ["x was done by a and again by b"]


def test_who_is_told_too_early_that_something_was_done_is_found() -> None:
    said = operations(("a", 5, 6, ("t-1",)), ("b", 1, 2, ()), once="x")

    assert violations(said, ledger("a", once="x")) == ["b was told that x was done before a began"]


def test_who_is_told_that_something_was_done_which_nobody_did_is_found() -> None:
    said = operations(("b", 1, 2, ()), once="x")

    assert violations(said, []) == ["b was told that x was done, and nobody has done it"]


def test_history_tells_which_outcomes_are_open_and_keeps_the_first_moments() -> None:
    history = History()
    history.invoke("a", at=1)
    history.invoke("b", at=2)
    history.invoke("a", at=3)
    history.answer("a", ("t-1",), at=4)
    history.answer("a", ("t-1",), at=5)

    assert history.open == ["b"]
    assert (history.operations["a"].invoked, history.operations["a"].answered) == (1, 4)
