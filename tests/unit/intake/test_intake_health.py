"""The health of a source tells the truth: metrics, /readyz, reports, signs of life; and its schedule."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exchange.errors import ExchangeError
from exchange.intake.line import IntakeLine
from exchange.intake.report import SourceState
from exchange.intake.schedule import Schedule
from exchange.observe import metrics
from tests.harness.memory.source import CONNECTOR, SourceAtWork, resident_id

AWAY = ExchangeError("E_SOURCE_UNREACHABLE", "no route")
NO_KAFKA = ExchangeError("E_KAFKA_UNREACHABLE", "no broker")


@pytest.fixture
def source(tmp_path: Path) -> SourceAtWork:
    work = SourceAtWork(tmp_path / "state")
    for number in range(5):
        work.table.put(f"{number}", resident_id(number))
    return work


class Running:
    """A line in a thread."""

    def __init__(self, source: SourceAtWork) -> None:
        self.stop = threading.Event()
        self.line: IntakeLine = source.open()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.line.run(self.stop)
        except ExchangeError as error:
            self.error = error

    def until(self, holds: Callable[[], bool]) -> None:
        pause = threading.Event()
        for _ in range(1_500):
            if holds():
                return
            pause.wait(0.02)
        raise AssertionError("it did not come about")

    def end(self) -> None:
        self.stop.set()
        self._thread.join()
        self.line.close()


@pytest.fixture
def running(source: SourceAtWork) -> Iterator[Running]:
    line = Running(source)
    yield line
    line.end()


def up() -> float | None:
    return metrics.CONNECTOR_UP.read().get((CONNECTOR,))


@pytest.mark.parametrize("what", ["the database", "Kafka"])
def test_a_source_that_cannot_read_or_write_is_not_ready_and_says_since_when(
    source: SourceAtWork, running: Running, what: str
) -> None:
    running.until(lambda: running.line.ready == (True, "reads and writes") and len(source.inbox.records) == 5)
    assert up() == 1
    if what == "Kafka":
        source.inbox.away = NO_KAFKA
        source.table.put("1", name="改名")
    else:
        source.reader.away = AWAY
    running.until(lambda: not running.line.ready[0])
    assert "away since 20" in running.line.ready[1]
    assert up() == 0
    if what == "the database":
        running.until(lambda: source.inbox.reports[-1].state is SourceState.AWAY)
    source.inbox.away = source.reader.away = None
    running.until(lambda: running.line.ready == (True, "reads and writes"))
    running.until(lambda: source.inbox.reports[-1].state is SourceState.WORKING)
    assert up() == 1


def test_a_source_that_is_away_gives_no_sign_of_life(source: SourceAtWork) -> None:
    source.reader.away = AWAY
    running = Running(source)
    running.until(lambda: not running.line.ready[0] and "away" in running.line.ready[1])
    running.end()
    assert source.inbox.heartbeats == 0


@pytest.mark.parametrize(("compare", "follows", "signs"), [("start", True, True), ("02:30", False, True)])
def test_a_quiet_source_that_is_read_again_gives_signs_of_life(
    source: SourceAtWork, compare: str, follows: bool, signs: bool
) -> None:
    source.compare, source.follows = compare, follows
    source.run()
    assert (source.line is not None and source.line._pace.returns) is signs


def test_a_snapshot_that_is_never_read_again_gives_no_sign_of_life(source: SourceAtWork) -> None:
    line = source.open()
    line._pace = type(line._pace)(0.01, 0.0, Schedule.of("start"), False, False)
    stop = threading.Event()
    worker = threading.Thread(target=line.run, args=(stop,))
    worker.start()
    pause = threading.Event()
    while len(source.inbox.records) < 5 or not source.inbox.reports:
        pause.wait(0.01)
    stop.set()
    worker.join()
    line.close()
    assert source.inbox.heartbeats == 0


def test_a_source_that_stops_says_so_with_its_code(source: SourceAtWork) -> None:
    source.run()
    source.reader.away = ExchangeError("E_CONNECTOR", "SQLSTATE 42P01")
    with pytest.raises(ExchangeError, match="42P01"):
        source.run()
    assert source.line is not None
    assert source.line.ready[0] is False
    assert "E_CONNECTOR" in source.line.ready[1]
    assert up() == 0
    report = source.inbox.reports[-1]
    assert (report.state, report.code) == (SourceState.STOPPED, "E_CONNECTOR")


def test_a_report_that_does_not_arrive_holds_up_no_record(source: SourceAtWork) -> None:
    send = source.inbox.send

    def refusing(topic: str, *rest: object) -> None:
        if topic == "report":
            raise ExchangeError("E_KAFKA_FORBIDDEN", "no right")
        send(topic, *rest)  # type: ignore[arg-type]

    source.inbox.send = refusing  # type: ignore[method-assign, assignment]
    assert source.run().submitted == 5


def test_reports_and_gauges_count_what_waits(source: SourceAtWork) -> None:
    source.table.put("bad").values["id"] = None
    source.run()
    report = source.inbox.reports[-1]
    assert (report.rows, report.set_aside, report.set_aside_since) == (6, 1, source.clock.now())
    assert metrics.SET_ASIDE.read()["health", CONNECTOR] == 1
    assert metrics.SET_ASIDE_SINCE.read()["health", CONNECTOR] == source.clock.now().timestamp()
    source.table.remove("bad")
    source.run()
    assert source.inbox.reports[-1].set_aside == 0
    assert ("health", CONNECTOR) not in metrics.SET_ASIDE_SINCE.read()


# the schedule


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        ("2026-11-24T02:00:00+08:00", "2026-11-24T02:29:59+08:00", False),
        ("2026-11-24T02:00:00+08:00", "2026-11-24T02:30:00+08:00", True),
        ("2026-11-24T02:31:00+08:00", "2026-11-24T23:59:00+08:00", False),
        ("2026-11-24T02:31:00+08:00", "2026-11-25T02:31:00+08:00", True),
        ("2026-11-20T02:31:00+08:00", "2026-11-24T01:00:00+08:00", True),
        ("2026-11-24T13:00:00+08:00", "2026-11-24T12:00:00+08:00", False),
    ],
)
def test_a_comparison_is_due_when_its_time_of_day_in_china_has_come(last: str, now: str, due: bool) -> None:
    assert Schedule.of("start,02:30").due(moment(last), moment(now)) is due


def test_a_schedule_may_have_several_times_or_none() -> None:
    several = Schedule.of(" 12:00 ,02:30")
    assert (several.at_start, len(several.times)) == (False, 2)
    assert several.due(moment("2026-11-24T03:00:00+08:00"), moment("2026-11-24T12:00:00+08:00"))
    assert Schedule.of("") == Schedule(False, ())
    assert not Schedule.of("").due(moment("2020-11-24T03:00:00+08:00"), moment("2026-11-24T12:00:00+08:00"))


@pytest.mark.parametrize("text", ["always", "start,25:00", "start,,02:30", "2:30", "start;02:30"])
def test_a_schedule_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        Schedule.of(text)
    assert caught.value.code == "E_SETTINGS"
