"""Our own commands as child processes: started in order, started again when one dies, stopped in reverse order."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.backoff import Backoff
from exchange.clock import Deadline
from exchange.embedded.child import ChildProcess, Command
from exchange.errors import ExchangeError

__all__ = ["ChildProcess", "Command", "RestartRule", "Supervisor", "exchange_command"]

_GRACE_SECONDS = 15.0
_BACKOFF = Backoff(first=0.5, longest=8.0)
_USAGE = 2
"""Exit status of our commands for wrong usage or settings, which no restart mends."""


@dataclass(frozen=True, slots=True)
class RestartRule:
    """When a dead child is started again: at once, then after pauses that double; given up when it dies too often."""

    most: int = 5
    """Restarts in `within` seconds after which a child is given up."""
    within: float = 60.0
    backoff: Backoff = _BACKOFF

    def pause(self, recent: int) -> float | None:
        """Seconds to wait before the next start after `recent` restarts within the period; None gives up."""
        if recent >= self.most:
            return None
        return 0.0 if recent == 0 else self.backoff.pause(recent)


def exchange_command(*arguments: str) -> tuple[str, ...]:
    """The command line of one of our own commands, with the Python that runs now: `exchange_command("admit")`."""
    return (sys.executable, "-m", "exchange", *arguments)


def _no_one(name: str, status: int) -> None:
    """Nobody wants to be told of restarts."""


class Supervisor:
    """Children by name. A child that ends without being stopped is started again by the rule. Usable as a context.

    All methods may be called from any thread.
    """

    def __init__(
        self,
        folder: Path,
        rule: RestartRule | None = None,
        on_restart: Callable[[str, int], None] | None = None,
    ) -> None:
        """Logs go to `<folder>/<name>.log`. `on_restart` is told name and exit status of a child that died."""
        self.folder = folder.absolute()
        self._rule = rule or RestartRule()
        self._on_restart = on_restart or _no_one
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()

    def start(self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str] | None = None) -> None:
        """Start a command under `name`.

        Raises ExchangeError(E_EMBEDDED) when one of that name runs already or this one cannot be started.
        """
        command = Command(name, arguments, self.log(name), dict(environment or {}), grace=_GRACE_SECONDS)
        with self._lock:
            old = self._watched.get(name)
            if old is not None and old.wanted:
                raise ExchangeError("E_EMBEDDED", f"{name} runs already")
            self._watched.pop(name, None)
            watched = _Watched(command, self._rule, self._on_restart)
            watched.start()
            self._watched[name] = watched

    def log(self, name: str) -> Path:
        """Where the output of a child goes."""
        return self.folder / f"{name}.log"

    def names(self) -> list[str]:
        """The children in the order of their start."""
        with self._lock:
            return list(self._watched)

    def pid(self, name: str) -> int:
        """The process id of a child's latest start. Raises ExchangeError(E_EMBEDDED) for an unknown name."""
        return self._of(name).child.pid

    def running(self, name: str) -> bool:
        """Whether a child runs at this moment."""
        return self._of(name).child.running

    def restarts(self, name: str) -> int:
        """How often a child was started again."""
        return self._of(name).restarts

    def kill(self, name: str) -> None:
        """End a child as a power cut would, and let the rule start it again. For tests of recovery."""
        self._of(name).child.kill()

    def check(self) -> None:
        """Raises ExchangeError(E_EMBEDDED), with the end of its log, when a child was given up."""
        for name in self.names():
            watched = self._of(name)
            if watched.given_up:
                status, log = watched.child.exit_status, self.log(name)
                tail = watched.child.log_tail()
                raise ExchangeError(
                    "E_EMBEDDED",
                    f"{name} ended and is not started again (exit status {status}); {log} ends with:\n{tail}",
                )

    def stop(self, name: str) -> None:
        """Stop a child, gracefully at first; it is not started again."""
        self._of(name).stop()

    def stop_all(self) -> None:
        """Stop every child, the latest first."""
        for name in reversed(self.names()):
            self.stop(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    def _of(self, name: str) -> "_Watched":
        with self._lock:
            found = self._watched.get(name)
        if found is None:
            raise ExchangeError("E_EMBEDDED", f"no child is called {name}")
        return found


class _Watched:
    """One name: the child of the latest start, and the thread that starts it again."""

    def __init__(self, command: Command, rule: RestartRule, on_restart: Callable[[str, int], None]) -> None:
        self.child = ChildProcess(command)
        self.restarts = 0
        self.given_up = False
        self._command = command
        self._rule = rule
        self._on_restart = on_restart
        self._recent: deque[Deadline] = deque()
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{command.name}", daemon=True)

    @property
    def wanted(self) -> bool:
        """Whether it shall run."""
        return not self._stopping.is_set() and not self.given_up

    def start(self) -> None:
        self.child.start()
        self._thread.start()

    def stop(self) -> None:
        with self._changing:
            self._stopping.set()
        self.child.stop()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            status = self.child.wait()
            if self._stopping.is_set():
                return
            pause = None if status == _USAGE else self._next_pause()
            self.given_up = pause is None
            if pause is None or self._stopping.wait(pause):
                return
            self._on_restart(self._command.name, status or 0)
            if not self._again():
                return

    def _next_pause(self) -> float | None:
        while self._recent and self._recent[0].passed:
            self._recent.popleft()
        pause = self._rule.pause(len(self._recent))
        self._recent.append(Deadline.after(self._rule.within))
        return pause

    def _again(self) -> bool:
        with self._changing:
            if self._stopping.is_set():
                return False
            self.child.stop()  # closes what is left of the dead one
            fresh = ChildProcess(self._command)
            try:
                fresh.start()
            except ExchangeError:
                self.given_up = True
                return False
            self.child = fresh
            self.restarts += 1
            return True
