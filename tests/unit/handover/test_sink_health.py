"""What a sink says of itself while something is away: once, and then ever more seldom; and in its condition."""

import threading
from typing import Any

import pytest
import structlog

from exchange.errors import ExchangeError
from exchange.handover.health import SinkHealth
from exchange.handover.patience import Patience
from exchange.observe import metrics
from exchange.observe.condition import Condition
from tests.harness.memory.ledger import SetClock

AWAY = ExchangeError("E_SINK_UNREACHABLE", "companies: OperationalError")
CONNECTOR = "taxation.companies-of-this-test"


class Reader:
    """What health asks of a reader."""

    def __init__(self, reached: bool, served: bool = True) -> None:
        self._reached = reached
        self.served = served

    def reached(self) -> bool:
        return self._reached


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def condition() -> Condition:
    return Condition()


@pytest.fixture
def health(condition: Condition, clock: SetClock) -> SinkHealth:
    return SinkHealth(CONNECTOR, condition, clock)


def up() -> float:
    return metrics.CONNECTOR_UP.read()[CONNECTOR,]


def test_what_is_away_is_said_once_and_then_ever_more_seldom(health: SinkHealth, clock: SetClock) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(24 * 60):
            health.away(AWAY)
            clock.forward(minutes=1)
    said = [line for line in lines if line["event"] == "handover.sink_away"]
    assert 24 <= len(said) <= 32
    assert {line["code"] for line in said} == {"E_SINK_UNREACHABLE"}
    assert len({line["since"] for line in said}) == 1


def test_an_attempt_a_second_is_no_line_a_second(health: SinkHealth, clock: SetClock) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(59):
            health.away(AWAY)
            clock.forward(seconds=1)
    assert len(lines) == 1


def test_a_sink_whose_database_is_away_is_not_ready_and_says_since_when(
    health: SinkHealth, condition: Condition, clock: SetClock
) -> None:
    health.well("at work")
    assert (condition.state, up()) == ((True, "at work"), 1.0)
    since = clock.now()
    for _ in range(3):
        health.away(AWAY)
        clock.forward(minutes=5)
    assert not condition.ready
    assert condition.reason == f"away since {since:%Y-%m-%dT%H:%M:%S.000Z} (E_SINK_UNREACHABLE)"
    assert up() == 0.0
    with structlog.testing.capture_logs() as lines:
        health.well("at work")
    assert [line["event"] for line in lines] == ["handover.back"]
    assert condition.ready


def test_another_thing_that_is_away_is_said_at_once(health: SinkHealth, condition: Condition) -> None:
    with structlog.testing.capture_logs() as lines:
        health.away(AWAY)
        health.away(ExchangeError("E_KAFKA_UNREACHABLE"))
        health.away(ExchangeError("E_API_UNREACHABLE"))
    events = ["handover.sink_away", "handover.share_away", "handover.service_away"]
    assert [line["event"] for line in lines] == events
    assert "E_API_UNREACHABLE" in condition.reason


def test_a_reader_that_kafka_has_not_served_yet_does_not_make_a_sink_ready(
    health: SinkHealth, condition: Condition
) -> None:
    health.reading(Reader(reached=True, served=False))  # type: ignore[arg-type]
    assert condition.state == (False, "starting")
    health.reading(Reader(reached=True))  # type: ignore[arg-type]
    assert condition.ready
    health.reading(Reader(reached=False))  # type: ignore[arg-type]
    assert not condition.ready


def test_a_reading_that_begins_anew_is_no_absence(health: SinkHealth, condition: Condition) -> None:
    health.well("at work")
    health.broken_off(ExchangeError("E_SHARE_POSITION"))
    assert condition.ready
    health.broken_off(ExchangeError("E_KAFKA_UNREACHABLE"))
    assert not condition.ready


def attempts(*outcomes: Any) -> Any:
    left = list(outcomes)

    def act() -> Any:
        outcome = left.pop(0)
        if isinstance(outcome, ExchangeError):
            raise outcome
        return outcome

    return act


def test_patience_waits_for_what_is_away_and_stops_for_what_waiting_does_not_mend(
    health: SinkHealth, condition: Condition
) -> None:
    patience = Patience(health, threading.Event(), lambda _seconds: None)
    assert patience.until(attempts(AWAY, AWAY, "done")) == "done"
    assert condition.ready
    with pytest.raises(ExchangeError, match="E_CONNECTOR"):
        patience.until(attempts(AWAY, ExchangeError("E_CONNECTOR", "the table does not fit")))
    with pytest.raises(ExchangeError, match="E_SHARE_POSITION"):
        patience.until(attempts(ExchangeError("E_SHARE_POSITION")))


def test_patience_ends_with_the_order_to_stop(health: SinkHealth) -> None:
    stop = threading.Event()
    assert Patience(health, stop, lambda _seconds: stop.set()).until(attempts(AWAY, "late")) is None
