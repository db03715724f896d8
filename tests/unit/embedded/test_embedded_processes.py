"""Children end with their parent, whatever ends it; the supervisor starts again what dies and stops in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from exchange.backoff import Backoff
from exchange.clock import Deadline
from exchange.embedded.processes import ChildProcess, Command, RestartRule, Supervisor
from exchange.errors import ExchangeError

_SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
_STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
)
_PARENT = """
import sys, time
from pathlib import Path
from exchange.embedded.child import ChildProcess, Command
import threading
child = ChildProcess(Command("sleeper", (sys.executable, "-c", "import time; time.sleep(600)"), Path(sys.argv[1])))
# Started by a thread that ends: the child must not end with it.
starter = threading.Thread(target=child.start)
starter.start()
starter.join()
print(child.pid, flush=True)
time.sleep(600)
"""


def _wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = Deadline.after(seconds)
    while not holds():
        assert not deadline.passed, "it did not happen in time"
        time.sleep(0.01)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _command(folder: Path, arguments: tuple[str, ...], grace: float = 10.0) -> Command:
    return Command("child", arguments, folder / "child.log", grace=grace)


@pytest.fixture
def parent(tmp_path: Path):
    """A Python process with one child; its Popen and the child's process id."""
    process = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_ends_when_its_parent_is_ended(parent, number: signal.Signals) -> None:
    process, child = parent
    assert not _gone(child)
    process.send_signal(number)
    process.wait()
    _wait_until(lambda: _gone(child))


def test_a_child_ends_when_its_guard_is_killed(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, _SLEEP))
    child.start()
    guard = psutil.Process(child.pid).parent()
    assert guard is not None
    guard.kill()
    _wait_until(lambda: _gone(child.pid))
    child.stop()


def test_ctrl_c_does_not_reach_children(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, _SLEEP))
    child.start()
    assert os.getpgid(child.pid) != os.getpgid(0)
    assert os.getsid(child.pid) != os.getsid(0)
    child.stop()


def test_a_stopped_child_is_gone_and_tells_the_signal(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, _SLEEP))
    child.start()
    assert child.running and child.exit_status is None
    child.stop()
    assert _gone(child.pid)
    assert child.exit_status == -signal.SIGTERM
    child.stop()


def test_a_child_that_does_not_listen_is_killed_after_its_grace(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, _STUBBORN, grace=0.2))
    child.start()
    _wait_until(lambda: "deaf" in child.log_tail())
    child.stop()
    assert child.exit_status == -signal.SIGKILL


def test_a_child_tells_its_exit_status_and_its_output_is_kept(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, (sys.executable, "-c", "print('out'); raise SystemExit('err')")))
    child.start()
    assert child.wait(Deadline.after(15)) == 1
    assert child.log_tail().splitlines() == ["out", "err"]
    child.stop()


def test_a_child_gets_the_environment_and_no_input(tmp_path: Path) -> None:
    script = "import os, sys; print(os.environ['ANSWER'], repr(sys.stdin.read()))"
    child = ChildProcess(Command("child", (sys.executable, "-c", script), tmp_path / "log", {"ANSWER": "42"}))
    child.start()
    child.wait(Deadline.after(15))
    assert child.log_tail() == "42 ''"
    child.stop()


def test_a_log_is_readable_by_its_owner_only_where_the_child_makes_files(tmp_path: Path) -> None:
    script = f"open({str(tmp_path / 'made')!r}, 'w').close()"
    child = ChildProcess(_command(tmp_path, (sys.executable, "-c", script)))
    child.start()
    child.wait(Deadline.after(15))
    child.stop()
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0


def test_a_program_that_does_not_exist_is_an_error_with_its_name(tmp_path: Path) -> None:
    child = ChildProcess(_command(tmp_path, ("/nonexistent/program",)))
    with pytest.raises(ExchangeError, match="E_EMBEDDED: child cannot be started"):
        child.start()
    child.stop()


def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    with Supervisor(tmp_path, on_restart=lambda name, status: told.append((name, status))) as supervisor:
        supervisor.start("worker", _SLEEP)
        first = supervisor.pid("worker")
        supervisor.kill("worker")
        _wait_until(lambda: supervisor.restarts("worker") == 1 and supervisor.running("worker"))
        second = supervisor.pid("worker")
        assert second != first
    assert told == [("worker", -signal.SIGKILL)]
    assert _gone(first) and _gone(second)


def test_a_child_that_dies_again_and_again_is_given_up_and_its_log_is_shown(tmp_path: Path) -> None:
    rule = RestartRule(most=3, within=60, backoff=Backoff(first=0.01, longest=0.02))
    with Supervisor(tmp_path, rule) as supervisor:
        supervisor.start("sick", (sys.executable, "-c", "raise SystemExit('E_KAFKA_REFUSED: wrong secret')"))

        def given_up() -> bool:
            try:
                supervisor.check()
            except ExchangeError as error:
                return "E_KAFKA_REFUSED" in error.detail and "sick" in error.detail
            return False

        _wait_until(given_up)
        assert supervisor.restarts("sick") == 3


def test_wrong_usage_is_not_tried_again(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("wrong", (sys.executable, "-c", "raise SystemExit(2)"))
        deadline = Deadline.after(15)
        with pytest.raises(ExchangeError, match="exit status 2"):
            while not deadline.passed:
                supervisor.check()
                time.sleep(0.01)
        assert supervisor.restarts("wrong") == 0


def test_a_stopped_child_stays_stopped_and_can_be_started_anew(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("worker", _SLEEP)
        with pytest.raises(ExchangeError, match="worker runs already"):
            supervisor.start("worker", _SLEEP)
        supervisor.stop("worker")
        assert not supervisor.running("worker") and supervisor.restarts("worker") == 0
        supervisor.start("worker", _SLEEP)
        assert supervisor.running("worker")


def test_all_are_stopped_the_latest_first(tmp_path: Path) -> None:
    script = (
        "import signal, sys, time\n"
        "def stop(number, frame):\n"
        "    print(time.monotonic_ns())\n"
        "    raise SystemExit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    supervisor = Supervisor(tmp_path)
    names = ["kafka-first", "lines-second", "connectors-third"]
    for name in names:
        supervisor.start(name, (sys.executable, "-c", script))
    _wait_until(lambda: all("up" in supervisor.log(name).read_text() for name in names))
    supervisor.stop_all()
    stopped = {name: int(supervisor.log(name).read_text().split()[1]) for name in names}
    assert sorted(names, key=stopped.__getitem__) == names[::-1]


def test_pauses_grow_and_end() -> None:
    rule = RestartRule(most=6, backoff=Backoff(first=0.5, longest=4.0))
    assert [rule.pause(recent) for recent in range(7)] == [0.0, 0.5, 1.0, 2.0, 4.0, 4.0, None]
