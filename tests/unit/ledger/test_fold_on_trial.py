"""An error of any kind in a fold writes nothing, and leaves the state as it was for everybody else."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from exchange.broker.departments.tokens import IssueToken
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent, NewEvent, read_lines
from exchange.ledger.fold import apply as applying
from exchange.ledger.fold.apply import apply, fold
from exchange.ledger.fold.trial import StateLostError, apply_new
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.verify import verify
from tests.harness.ledger.years import ledger_of
from tests.harness.memory.ledger import MemoryLedger

KEPT = Path(__file__).parent / "fixtures" / "kept-ledger.jsonl"
DEEP = 5_000


@dataclass(frozen=True)
class Say:
    """A command that says any event with any data."""

    event: str
    entity: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, _state: LedgerState, _now: datetime) -> Sequence[NewEvent]:
        return (
            IssueToken("auditor", None, "digest-before")(_state, _now)[0],
            NewEvent(self.event, self.entity, dict(self.data)),
        )


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(DEEP):
        nested = [nested]
    return nested


@pytest.mark.parametrize("error", [KeyError, OverflowError, MemoryError, RecursionError, ZeroDivisionError])
def test_an_error_of_any_kind_in_a_fold_writes_nothing_and_the_next_command_goes_on(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = MemoryLedger()
    ledger.execute(IssueToken("auditor", None, "digest-1"))
    before = copy.deepcopy(ledger.state)

    monkeypatch.setitem(applying._HANDLERS, "token-revoked", _half(error))
    with pytest.raises(ExchangeError, match=f"E_INTERNAL.*{error.__name__}"):
        ledger.execute(Say("token-revoked", "t-1", {"token": "t-1"}), command_id="key")

    assert ledger.state == before
    assert ledger.execute(IssueToken("auditor", None, "digest-2")).first == 2
    assert verify(ledger.events).seq == 2
    assert fold(ledger.events) == ledger.state


def _half(error: type[Exception]) -> applying._Handler:
    """A fold that fails in the middle of its work."""

    def handle(state: LedgerState, data: Mapping[str, Any], _at: datetime) -> None:
        state.tokens[data["token"]].revoked = True
        state.enforced = 7
        raise error

    return handle


@pytest.mark.parametrize(
    "data",
    [
        {"value": math.nan},
        {"value": math.inf},
        {"value": "\ud800"},
        {"\udfff": 1},
        {"value": 10**30},
        {"value": deep()},
        {"value": b"bytes"},
        {"value": {1, 2}},
        {"value": "x" * 2_000_000},
    ],
    ids=[
        "nan",
        "infinity",
        "surrogate",
        "surrogate in a name",
        "huge",
        "deep",
        "bytes",
        "set",
        "too large for a record",
    ],
)
def test_what_has_no_canonical_form_or_no_record_is_refused_before_it_is_written(data: dict[str, Any]) -> None:
    ledger = MemoryLedger()
    before = copy.deepcopy(ledger.state)

    with pytest.raises(ExchangeError, match="E_REQUEST"):
        ledger.execute(Say("secret-rotated", "tax", data))

    assert ledger.state == before
    assert ledger.events == []


@pytest.mark.parametrize("entity", ["\ud800", "t-\udfff"])
def test_an_entity_that_is_no_text_is_refused(entity: str) -> None:
    ledger = MemoryLedger()

    with pytest.raises(ExchangeError, match="E_REQUEST"):
        ledger.execute(Say("secret-rotated", entity))

    assert ledger.state.seq == 0


def test_an_event_that_nobody_would_read_is_not_written() -> None:
    ledger = MemoryLedger()

    with pytest.raises(ExchangeError, match="KeyError"):
        ledger.execute(Say("no-such-event", "tax"))
    with pytest.raises(ExchangeError, match="KeyError"):
        ledger.execute(Say("token-revoked", "t-9", {"token": "t-9"}))

    assert (ledger.events, ledger.state.unread) == ([], 0)


def test_an_event_is_folded_as_it_will_be_read() -> None:
    ledger = MemoryLedger()

    ledger.execute(Say("resource-published", "r", _resource(details={"numbers": (1, 2)})))

    assert ledger.state.resources["r"].details == {"numbers": [1, 2]}
    assert fold(ledger.events) == ledger.state


def _resource(**more: Any) -> dict[str, Any]:
    return {
        "resource": "r",
        "record_type": "enterprise.base",
        "provider": "market",
        "sharing": "conditional",
        "fields": {"name": "conditional"},
        "update_cycle_seconds": 1,
        **more,
    }


def _later(state: LedgerState) -> list[LedgerEvent]:
    """Events of the kinds that the ledger had not learnt when the kept one was written."""
    grant = next(iter(state.grants))
    state.grants[grant].suspensions["provider"] = ""
    lifted = {"grant": grant, "by": "market-regulation", "of": "provider"}
    return [
        LedgerEvent(
            state.seq + 1, "suspension-lifted", "2999-01-01T00:00:00.000Z", "market", grant, None, state.head, lifted
        )
    ]


def test_every_kind_of_event_can_be_put_back() -> None:
    """Of a kept ledger with every kind, and of a believable one: fold on trial, put back, compare, fold."""
    with KEPT.open(encoding="utf-8") as file:
        events = list(read_lines(file))
    events += _later(fold(events))
    assert applying._HANDLERS.keys() - {event.event for event in events} == set()
    for ledger in (events, list(ledger_of(300))):
        state = LedgerState()
        for event in ledger:
            before = copy.deepcopy(state)
            apply_new(state, event).put_back()
            assert state == before, event.event
            apply(state, event)
        assert state.unread == 0


def test_events_decided_together_are_put_back_together() -> None:
    with KEPT.open(encoding="utf-8") as file:
        events = list(read_lines(file))
    state = fold(events[:200])
    before = copy.deepcopy(state)

    kept = [apply_new(state, event) for event in events[200:]]
    assert state == fold(events)
    for one in reversed(kept):
        one.put_back()

    assert state == before


def test_a_state_that_cannot_be_put_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    state = LedgerState()
    event = next(iter(ledger_of(1)))
    kept = apply_new(state, event)
    monkeypatch.setattr(kept, "_steps", [lambda: 1 / 0])

    with pytest.raises(StateLostError):
        kept.put_back()
