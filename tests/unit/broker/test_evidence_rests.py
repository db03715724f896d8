"""Evidence looks less often while nothing happens, and at once when something does."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from exchange.broker.service import BrokerService


class Store:
    """A ledger of which the next event comes while somebody waits for the third time."""

    leader = True

    def __init__(self) -> None:
        self.waited = 0

    def read(self, question: Any) -> Any:
        return question(SimpleNamespace(seq=7))

    def wait(self, after_seq: int, seconds: float) -> int:
        assert seconds <= 0.5, "whoever stops the service does not wait for long"
        self.waited += 1
        return after_seq + (self.waited == 3)


def service(seconds: float) -> tuple[BrokerService, Store]:
    made, store = BrokerService.__new__(BrokerService), Store()
    vars(made).update(_settings=SimpleNamespace(evidence_seconds=seconds), _store=store, _stop=threading.Event())
    return made, store


def test_the_next_event_ends_the_rest_of_an_idle_exchange() -> None:
    idle, store = service(0.5)
    idle._rest(moved=False)
    assert store.waited == 3


@pytest.mark.parametrize(("seconds", "moved"), [(0.001, True), (5.0, False)])
def test_what_moves_is_looked_at_again_after_the_pause_that_is_set(
    seconds: float, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, store = service(seconds)
    monkeypatch.setattr(busy._stop, "wait", lambda _seconds: False)
    busy._rest(moved)
    assert store.waited == 0
