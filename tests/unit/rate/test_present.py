from collections.abc import Callable
from itertools import islice
from typing import Any

from exchange.broker.rate.present import Present
from exchange.broker.rate.satisfaction import judged
from exchange.ledger.fold.apply import apply
from exchange.ledger.state.ledger_state import LedgerState
from tests.harness.ledger.years import ledger_of


def test_what_is_remembered_of_demands_is_what_they_are() -> None:
    state, present, read = LedgerState(), Present(), of_state
    events = ledger_of(3_000)
    while some := list(islice(events, 100)):
        for event in some:
            apply(state, event)
        assert present.judged(read(state), some[-1].moment) == list(judged(state, some[-1].moment))
    assert any(one.strictly for one in present.judged(read(state), state.at or some[-1].moment))


def test_another_state_is_judged_from_the_beginning() -> None:
    present = Present()
    for seed in (1, 2):
        state = LedgerState()
        for event in ledger_of(500, seed):
            apply(state, event)
        assert state.at is not None
        assert present.judged(of_state(state), state.at) == list(judged(state, state.at))


def of_state(state: LedgerState) -> Callable[[Callable[[LedgerState], Any]], Any]:
    return lambda question: question(state)
