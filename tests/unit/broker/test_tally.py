"""Metrics of the ledger: the same figures as from scratch, for the cost of what changed; a fault costs one entry."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from exchange.broker import tally
from exchange.broker.demands.state import demand_state
from exchange.broker.ledger_metrics import LedgerMetrics
from exchange.broker.rate.satisfaction import rate
from exchange.broker.tally import Tally
from exchange.clock import format_time, parse_time
from exchange.ledger.events.event import NewEvent
from exchange.ledger.fold.apply import apply
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import DemandId
from exchange.observe import metrics
from tests.harness.ledger.years import ledger_of
from tests.harness.memory.ledger import MemoryLedger, publish_demands

FAMILIES = (
    metrics.SATISFACTION,
    metrics.DEMANDS_COUNTED,
    metrics.DEMANDS_SATISFIED,
    metrics.REGISTRY_SATISFACTION,
    metrics.DEPARTMENT_SATISFACTION,
    metrics.DEMANDS,
    metrics.DEMANDS_OVERDUE,
    metrics.GRANTS_IN_BREACH,
    metrics.GRANTS_EXPIRING,
    metrics.DISPOSALS_OPEN,
    metrics.DEMANDS_AWAITING_HEIR,
    metrics.TOKENS_ENDING,
    metrics.FAULTY_ENTRIES,
)
EVENTS = 3_000


def of(state: LedgerState) -> Callable[[Callable[[LedgerState], Any]], Any]:
    return lambda question: question(state)


def test_figures_kept_up_to_date_are_those_from_scratch() -> None:
    state, kept = LedgerState(), LedgerMetrics()
    events = ledger_of(EVENTS)
    now = None
    while some := list(islice(events, 250)):
        for event in some:
            apply(state, event)
        for later in (timedelta(), timedelta(days=1), timedelta(days=9)):
            now = some[-1].moment + later
            kept.refresh(of(state), now)
            found = [family.read() for family in FAMILIES]
            publish_demands(state, now)
            assert found == [family.read() for family in FAMILIES]
            expected = rate(state, now)
            assert metrics.DEMANDS_COUNTED.read()[()] == expected.counted
            assert metrics.SATISFACTION.read().get(("strict",)) == expected.strict
            assert metrics.SATISFACTION.read().get(("weighted",)) == expected.weighted
    assert sum(metrics.DEMANDS.read().values()) == len(state.demands) > 100


def test_a_look_judges_what_has_changed_and_nothing_else() -> None:
    state, kept = LedgerState(), Tally()
    *events, last = ledger_of(EVENTS)
    for event in events:
        apply(state, event)
    kept.look(of(state), events[-1].moment)
    judged = kept.judgements
    assert judged == len(state.demands) + len(state.corrections)
    asked: list[object] = []

    def read(question: Callable[[LedgerState], Any]) -> Any:
        asked.append(question)
        return question(state)

    kept.look(read, events[-1].moment)
    assert kept.judgements == judged
    assert len(asked) == 1, "where nothing has happened nothing is looked through"
    apply(state, last)
    kept.look(of(state), max(last.moment, events[-1].moment))
    assert kept.judgements - judged <= 2


def test_a_moment_at_which_time_alone_changes_a_demand_is_seen() -> None:
    ledger = MemoryLedger()
    begins = ledger.clock.moment + timedelta(minutes=10)
    ledger.execute(wrote("demand-submitted", **submitted("d-1", use_from=begins)))
    kept = Tally()
    kept.look(ledger.read, ledger.clock.moment)
    assert kept.of(tally.COUNTED) == {}
    kept.look(ledger.read, begins)
    assert kept.of(tally.COUNTED)[(tally.ALL, "")] == 1


def submitted(demand: str, use_from: Any = None) -> dict[str, Any]:
    """The data of an event, as any version of the exchange may have written it."""
    return {
        "demand": demand, "request": "r-1", "demander": "taxation", "provider": "market-regulation",
        "registry": "legal-entity", "record_type": "legal-entity.registration", "resource": "102001/0001",
        "fields": ["name"], "complete": True, "use_from": None if use_from is None else format_time(use_from),
        "use_until": None, "reply_days": 10,
    }  # fmt: skip


def wrote(event: str, **data: Any) -> Callable[..., Sequence[NewEvent]]:
    """A command that writes an event just so."""
    return lambda _state, _now: [NewEvent(event, str(data.get("demand")), data)]


def faulty_ledger() -> MemoryLedger:
    """A good demand, and one that is granted from the last hours of the year 9999 on."""
    ledger = MemoryLedger()
    far = parse_time("9999-12-31T20:00:00Z")
    for demand, use_from in (("d-1", None), ("d-2", far)):
        ledger.execute(wrote("demand-submitted", **submitted(demand, use_from)))
    ledger.execute(
        wrote("demand-consented", demand="d-2", grant="g-3", fields=["name"], masked=[], scope_narrowed=False,
              freshness_seconds=60)
    )  # fmt: skip
    return ledger


def test_an_entry_that_cannot_be_judged_is_counted_and_the_others_are_as_always() -> None:
    ledger = faulty_ledger()
    publish_demands(ledger.state, ledger.clock.now())
    assert metrics.FAULTY_ENTRIES.read() == {("demand",): 1.0, ("correction",): 0.0}
    assert metrics.DEMANDS_COUNTED.read()[()] == 1.0
    now = ledger.clock.now()
    states = [demand_state(ledger.state, one, now).value for one in ledger.state.demands.values()]
    assert {labels[0] for labels, count in metrics.DEMANDS.read().items() if count} == set(states)


def test_an_entry_of_any_other_fault_is_counted_too() -> None:
    ledger = faulty_ledger()
    broken = ledger.state.demands[DemandId("d-2")]
    ledger.state.demands[DemandId("d-2")] = replace(broken, fields=None)  # type: ignore[arg-type]
    ledger.state.demands[DemandId("d-2")].use_from = None
    publish_demands(ledger.state, ledger.clock.now())
    assert metrics.FAULTY_ENTRIES.read()[("demand",)] == 1.0
    assert metrics.DEMANDS_COUNTED.read()[()] == 1.0


@pytest.mark.parametrize("demands", [100])
def test_the_ledger_is_held_for_a_few_entries_at_a_time(demands: int) -> None:
    ledger = MemoryLedger()
    for number in range(demands):
        ledger.execute(wrote("demand-submitted", **submitted(f"d-{number + 1}")))
    kept, seen = Tally(), [0]

    def read(question: Callable[[LedgerState], Any]) -> Any:
        found = question(ledger.state)
        if isinstance(found, dict):
            seen.append(len(found))
        return found

    kept.look(read, ledger.clock.now())
    assert sum(seen) == demands
    assert max(seen) <= 40
