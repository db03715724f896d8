"""One child process under a guard: it ends with this process, whatever ends this process."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exchange.clock import Deadline
from exchange.errors import ExchangeError

_GUARD = Path(__file__).with_name("guard.py")
_KILLED = 128
_LOG_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, and how it is to be stopped."""

    name: str
    """For messages and for the name of its log."""
    arguments: tuple[str, ...]
    log: Path
    """Its standard output and standard error are appended here."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of this process; secrets belong into files that these variables name."""
    grace: float = 10.0
    """Seconds from the stop signal to the kill."""
    stop_signal: signal.Signals = signal.SIGTERM
    account: tuple[int, int] | None = None
    """User and group id to run under, when this process is root."""
    passing: bool = False
    """Whether that account may pass through folders that are closed to it."""
    keep_open: tuple[int, ...] = ()
    """Descriptors the child inherits, such as that of a lock that shall live as long as the child."""


class ChildProcess:
    """A running command. Not started again once it has ended: that is the supervisor's work."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    def start(self) -> None:
        """Start it. Raises ExchangeError(E_EMBEDDED) when it cannot be started."""
        command = self.command
        command.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, "-I", "-S", str(_GUARD), "--log", str(command.log), "--grace", str(command.grace)]
        arguments += ["--stop-signal", command.stop_signal.name]
        if command.account is not None:
            arguments += ["--user", str(command.account[0]), "--group", str(command.account[1])]
            arguments += ["--passing"] if command.passing else []
        if command.keep_open:
            arguments += ["--keep-open", *map(str, command.keep_open)]
        self._guard = subprocess.Popen(
            [*arguments, "--", *command.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **command.environment},
            pass_fds=command.keep_open,
            # Ctrl-C reaches only the parent, which then stops its children in the right order.
            start_new_session=True,
        )
        assert self._guard.stdout is not None
        first = self._guard.stdout.readline()
        if not first.strip().isdigit():
            self._guard.wait()
            raise ExchangeError("E_EMBEDDED", f"{command.name} cannot be started: {command.arguments[0]}")
        self._pid = int(first)

    @property
    def pid(self) -> int:
        """The process id of the command itself (not of its guard). Raises ExchangeError(E_EMBEDDED) before start."""
        if self._pid is None:
            raise ExchangeError("E_EMBEDDED", f"{self.command.name} was not started")
        return self._pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs or before it was started."""
        status = None if self._guard is None else self._guard.poll()
        return None if status is None else _KILLED - status if status > _KILLED else status

    def stop(self) -> None:
        """Ask it to end, kill it after its grace, and wait until it is gone. Does nothing when it does not run."""
        if self._guard is None:
            return
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
        self._close()

    def kill(self) -> None:
        """End it at once, as a power cut would, and wait until it is gone."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()
        self._close()

    def wait(self, deadline: Deadline | None = None) -> int | None:
        """Its exit status when it ends before the deadline, else None."""
        if self._guard is not None:
            try:
                self._guard.wait(None if deadline is None else deadline.remaining())
            except subprocess.TimeoutExpired:
                return None
        return self.exit_status

    def log_tail(self) -> str:
        """The last lines of its log."""
        return tail(self.command.log)

    def _close(self) -> None:
        for stream in () if self._guard is None else (self._guard.stdin, self._guard.stdout):
            if stream is not None:
                stream.close()


def tail(log: Path, lines: int = 10) -> str:
    """The last lines of a log file; an empty text when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""
