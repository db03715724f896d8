"""Worker processes that are killed, frozen and woken; one that ends is started again. Everything is logged."""

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from exchange.clock import Deadline
from exchange.errors import ExchangeError

_TURN_SECONDS = 0.05
_FEWEST_SECONDS = 0.5
"""Between two starts of a process that ends by itself."""


class Workers:
    """Processes by name. One that ends by itself with another status than 0 is started again after half a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ends: list[tuple[str, int]] = []
        """Name and status of every process that ended without being killed by us."""
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fault-workers", daemon=True)
        self._thread.start()

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Start a process and keep it running."""
        with self._lock:
            self._commands[name] = (command, {**os.environ, **environment})
            self._launch(name)

    def kill(self, name: str, again_in: float = 0.0) -> None:
        """End a process as a power cut would; it is started again after some seconds."""
        with self._lock:
            self._end(name)
            self._due[name] = time.monotonic() + again_in

    def leave(self, name: str, how: int = signal.SIGTERM, seconds: float = 60.0) -> int | None:
        """End a process for good; its exit status, None when it does not run. Raises TimeoutExpired."""
        with self._lock:
            self._commands.pop(name, None)
            self._due.pop(name, None)
            process = self._running.pop(name, None)
        if process is None:
            return None
        process.send_signal(how)
        return process.wait(seconds)

    def freeze(self, name: str) -> None:
        """Stop a process where it stands."""
        self._signal(name, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        """Let a frozen process go on."""
        self._signal(name, signal.SIGCONT)

    def running(self, name: str) -> bool:
        """Whether a process runs."""
        with self._lock:
            return name in self._running and self._running[name].poll() is None

    def ended(self) -> dict[str, int]:
        """How often a process ended without being killed by us, by name and status."""
        return dict(Counter(f"{name} {status}" for name, status in self.ends))

    def log(self, name: str) -> str:
        """What a process has written in all its lives."""
        file = self.folder / f"{name}.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def tails(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"--- {file.name}\n{self.log(file.stem)[-1500:]}" for file in self.folder.glob("*.log"))

    def close(self) -> None:
        """End every process at once."""
        self._over.set()
        self._thread.join()
        with self._lock:
            for name in list(self._running):
                self._end(name)

    def _signal(self, name: str, number: int) -> None:
        with self._lock:
            if name in self._running:
                self._running[name].send_signal(number)

    def _end(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def _launch(self, name: str) -> None:
        command, environment = self._commands[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._due.pop(name, None)

    def _watch(self) -> None:
        while not self._over.wait(_TURN_SECONDS):
            with self._lock:
                for name, process in list(self._running.items()):
                    self._note_end(name, process.poll())
                for name, due in list(self._due.items()):
                    if due <= time.monotonic():
                        self._launch(name)

    def _note_end(self, name: str, status: int | None) -> None:
        if status is None:
            return
        self._running.pop(name)
        self.ends.append((name, status))
        if status != 0:
            self._due[name] = time.monotonic() + _FEWEST_SECONDS

    def until(self, holds: Callable[[], object], seconds: float, what: str) -> None:
        """Wait until `holds()`; that Kafka does not answer means that it does not hold yet.

        Raises ExchangeError(E_INTERNAL) with the ends of the logs when it does not in time.
        """
        deadline = Deadline.after(seconds)
        while not _holds(holds):
            if deadline.passed:
                raise ExchangeError("E_INTERNAL", f"{what} did not come:\n{self.tails()}")
            self._over.wait(0.1)

    def pause(self, seconds: float) -> None:
        """Let a fault last."""
        self._over.wait(seconds)


def _holds(question: Callable[[], object]) -> bool:
    try:
        return bool(question())
    except ExchangeError as error:
        if error.code != "E_KAFKA_UNREACHABLE":
            raise
        return False
