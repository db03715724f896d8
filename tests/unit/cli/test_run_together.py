"""`exchange run` with several connectors: one department, and each its own end."""

import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

import connectors
from exchange.backoff import Backoff
from exchange.cli.main import app
from exchange.cli.process.together import Member, Orders, Together
from exchange.errors import ExchangeError
from exchange.observe.health import HealthServer

DEADLINE_SECONDS = 20.0
AT_ONCE = Backoff(first=0.0, longest=0.0)


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    return CliRunner(env={"EXCHANGE_METRICS__PORT": "0", "EXCHANGE_CONNECTOR__STATE_FOLDER": str(tmp_path)})


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command sets up logging for its process, and its output is closed behind it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()


class Lives:
    """What each connector does at each of its beginnings, in order; behind them it works until told to stop."""

    def __init__(self, stop: threading.Event, **ends: list[BaseException | None]) -> None:
        self._stop = stop
        self._ends = {name.replace("_", "."): list(reversed(found)) for name, found in ends.items()}
        self.at_work = {name: threading.Event() for name in self._ends}
        self.begun = dict.fromkeys(self._ends, 0)

    def __call__(self, member: Member) -> None:
        self.begun[member.name] += 1
        if self._ends[member.name]:
            end = self._ends[member.name].pop()
            if end is not None:
                raise end
            return
        member.condition.set(True, "at work")
        self.at_work[member.name].set()
        self._stop.wait(DEADLINE_SECONDS)

    @property
    def names(self) -> list[str]:
        return list(self._ends)


class InBackground:
    """Connectors that run while the test looks at them."""

    def __init__(self, together: Together, lives: Lives) -> None:
        self.error: ExchangeError | None = None
        self._thread = threading.Thread(target=self._run, args=(together, lives))
        self._thread.start()

    def _run(self, together: Together, lives: Lives) -> None:
        try:
            together.run(lives)
        except ExchangeError as error:
            self.error = error

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> ExchangeError | None:
        self._thread.join(DEADLINE_SECONDS)
        assert not self.runs
        return self.error


def wait_until(holds: Callable[[], bool]) -> None:
    pause, waited = threading.Event(), 0.0
    while not holds():
        assert waited < DEADLINE_SECONDS
        pause.wait(0.01)
        waited += 0.01


def test_connectors_of_two_departments_share_no_process(runner: CliRunner) -> None:
    done = runner.invoke(app, ["run", "taxation.companies", "health.deaths"])
    assert done.exit_code == 2
    assert "E_CONNECTOR" in done.output


def test_a_connector_that_is_named_twice_runs_once(runner: CliRunner) -> None:
    done = runner.invoke(app, ["run", "taxation.real-estate-rights", "taxation.real_estate_rights"])
    assert done.exit_code == 2
    assert done.output.count("connector.stopped") == 1


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (ExchangeError("E_CONNECTOR"), "E_CONNECTOR"),
        (ExchangeError("E_STATE"), "E_STATE"),
        (OSError(28, "No space left on device"), "E_STATE"),
        (ConnectionRefusedError(111, "Connection refused"), "E_INTERNAL"),
        (KeyError("a bug"), "E_INTERNAL"),
        (SystemExit(0), "E_INTERNAL"),
    ],
    ids=lambda found: found if isinstance(found, str) else type(found).__name__,
)
def test_the_end_of_one_connector_does_not_end_its_neighbour(
    stop: threading.Event, end: BaseException, code: str
) -> None:
    lives = Lives(stop, health_deaths=[end], health_births=[])
    together = Together(lives.names, Orders(stop), AT_ONCE)
    running = InBackground(together, lives)
    assert lives.at_work["health.births"].wait(DEADLINE_SECONDS)
    wait_until(lambda: together.members[0].condition.reason != "starting")
    assert running.runs
    (line,) = together.unready()
    assert line.startswith("health.deaths: stopped since ")
    assert line.endswith(f"({code})")
    stop.set()
    ended = running.join()
    assert ended is not None
    assert ended.code == code


def test_a_bug_is_told_by_its_kind_and_place_and_never_by_its_text(stop: threading.Event) -> None:
    lives = Lives(stop, health_deaths=[KeyError("11010519491231002X")])
    ended = InBackground(Together(lives.names, Orders(stop)), lives).join()
    assert ended is not None
    assert "KeyError at " in ended.detail
    assert "11010519491231002X" not in ended.detail


@pytest.mark.parametrize("code", ["E_GRANT_REFUSED", "E_KAFKA_UNREACHABLE", "E_KAFKA_REFUSED", "E_KAFKA_FORBIDDEN"])
def test_what_the_exchange_may_mend_is_waited_for(stop: threading.Event, code: str) -> None:
    lives = Lives(stop, taxation_companies=[ExchangeError(code), ExchangeError(code)])
    together = Together(lives.names, Orders(stop), AT_ONCE)
    running = InBackground(together, lives)
    assert lives.at_work["taxation.companies"].wait(DEADLINE_SECONDS)
    assert lives.begun == {"taxation.companies": 3}
    assert together.unready() == []
    stop.set()
    assert running.join() is None, "what it waited for is over"


def test_a_connector_that_waits_says_so_and_ends_at_once_when_told_to(stop: threading.Event) -> None:
    lives = Lives(stop, taxation_companies=[ExchangeError("E_GRANT_REFUSED")])
    together = Together(lives.names, Orders(stop), Backoff(first=3600.0, longest=3600.0))
    running = InBackground(together, lives)
    wait_until(lambda: together.unready()[0].endswith("(E_GRANT_REFUSED)"))
    assert together.unready()[0].startswith("taxation.companies: waits since ")
    stop.set()
    ended = running.join()
    assert ended is not None
    assert ended.code == "E_GRANT_REFUSED"


@pytest.mark.parametrize("code", ["E_CONNECTOR", "E_SETTINGS", "E_STATE", "E_WITHDRAWALS", "E_SCHEMA", "E_WORKER_TWIN"])
def test_what_only_the_department_can_mend_is_not_tried_again(stop: threading.Event, code: str) -> None:
    lives = Lives(stop, health_deaths=[ExchangeError(code)])
    ended = InBackground(Together(lives.names, Orders(stop), AT_ONCE), lives).join()
    assert ended is not None
    assert ended.code == code
    assert lives.begun == {"health.deaths": 1}


def test_a_run_of_once_begins_nothing_again(stop: threading.Event) -> None:
    lives = Lives(stop, health_deaths=[ExchangeError("E_KAFKA_UNREACHABLE")], health_births=[None])
    ended = InBackground(Together(lives.names, Orders(stop, once=True), AT_ONCE), lives).join()
    assert ended is not None
    assert lives.begun == {"health.deaths": 1, "health.births": 1}


def test_the_exit_status_is_the_highest_of_all(stop: threading.Event) -> None:
    lives = Lives(stop, a_a=[None], a_b=[ExchangeError("E_STATE")], a_c=[ExchangeError("E_KAFKA_UNREACHABLE")])
    ended = InBackground(Together(lives.names, Orders(stop, once=True)), lives).join()
    assert ended is not None
    assert ended.code == "E_KAFKA_UNREACHABLE"


def test_when_all_end_well_so_does_the_process(stop: threading.Event) -> None:
    lives = Lives(stop, a_a=[None], a_b=[None])
    together = Together(lives.names, Orders(stop, once=True))
    assert InBackground(together, lives).join() is None
    assert [line.partition(" since ")[0] for line in together.unready()] == ["a.a: ended", "a.b: ended"]


def test_a_line_answers_for_its_connector_as_long_as_it_works(stop: threading.Event) -> None:
    member = Member("health.deaths")
    member.follow(lambda: (False, "away since 2026-11-24T08:00:00.000Z (E_SOURCE_UNREACHABLE)"))
    together = Together([], Orders(stop))
    together.members.append(member)
    assert together.unready() == ["health.deaths: away since 2026-11-24T08:00:00.000Z (E_SOURCE_UNREACHABLE)"]
    member.follow(None)
    assert together.unready() == ["health.deaths: starting"]


def test_readyz_shows_the_one_that_has_stopped_while_its_neighbour_works(stop: threading.Event) -> None:
    lives = Lives(stop, health_deaths=[ExchangeError("E_CONNECTOR", "table nope")], health_births=[])
    together = Together(lives.names, Orders(stop), AT_ONCE)
    running = InBackground(together, lives)
    health = HealthServer("127.0.0.1", 0, lambda: True, together.unready)
    try:
        assert lives.at_work["health.births"].wait(DEADLINE_SECONDS)
        wait_until(lambda: together.members[0].error is not None)
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"http://127.0.0.1:{health.port}/readyz")
        with answer.value:
            assert answer.value.code == 503
            assert b"health.deaths: " in answer.value.read()
    finally:
        health.close()
        stop.set()
        running.join()


def test_a_source_without_a_secret_says_so_and_exits_2(runner: CliRunner) -> None:
    done = runner.invoke(app, ["run", "public-security.residents"])
    assert done.exit_code == 2
    assert "is not set" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise KeyError('11010519491231002X')\n", "KeyError in line 1"),
        ("\n\nx = = 1\n", "SyntaxError in line 3"),
        ("from exchange.connect import tabel\n", "ImportError in line 1"),
        ("import no_such_module_at_all\n", "needs the module no_such_module_at_all"),
        ("import sys\nsys.exit()\n", "SystemExit in line 2"),
        ("x = 1\n", "declares 0 sources and sinks, not one"),
    ],
)
def test_a_connector_that_cannot_be_loaded_is_told_by_its_line(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    folder = tmp_path / "connectors" / "broken"
    folder.mkdir(parents=True)
    (folder / "rows.py").write_text(text)
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(folder.parent)])
    for module in ("connectors.broken", "connectors.broken.rows"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    done = runner.invoke(app, ["run", "broken.rows"])
    assert done.exit_code == 2
    assert says in done.output.replace("\n", " ")
    assert "11010519491231002X" not in done.output
    assert "Traceback" not in done.output


def test_a_metrics_port_that_is_taken_is_told_with_the_setting_to_change(tmp_path: Path) -> None:
    taken = HealthServer("127.0.0.1", 0, lambda: True, list)
    try:
        runner = CliRunner(env={"EXCHANGE_METRICS__PORT": str(taken.port)})
        done = runner.invoke(app, ["run", "public-security.residents"])
    finally:
        taken.close()
    assert done.exit_code == 2
    assert "EXCHANGE_METRICS__PORT" in done.output


def test_a_process_that_is_told_to_stop_is_not_ready_any_more(stop: threading.Event) -> None:
    together = Together(["health.deaths"], Orders(stop))
    together.members[0].condition.set(True, "at work")
    assert together.unready() == []
    stop.set()
    assert together.unready() == ["health.deaths: told to stop"]


def test_what_was_confirmed_on_the_command_line_is_not_confirmed_again(stop: threading.Event) -> None:
    firsts: list[bool] = []

    def work(member: Member) -> None:
        firsts.append(member.first)
        if len(firsts) < 3:
            raise ExchangeError("E_KAFKA_UNREACHABLE")

    Together(["health.deaths"], Orders(stop, confirm_withdrawals=True), AT_ONCE).run(work)
    assert firsts == [True, False, False]
