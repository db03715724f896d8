"""The Java process of one Kafka node: started by this process or by another one, told apart by its lock alone."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from exchange.clock import Deadline
from exchange.embedded.child import ChildProcess, Command
from exchange.embedded.kafka import java
from exchange.embedded.state_folder import RunningLock
from exchange.errors import ExchangeError

STOP_SECONDS = 20.0
"""From the request to end to the kill."""


class NodeProcess:
    """One node of an embedded Kafka, in a folder of its own."""

    def __init__(self, number: int, folder: Path, log: Path) -> None:
        self.number = number
        self.log = log
        self._folder = folder
        self._lock = RunningLock(folder)
        self._child: ChildProcess | None = None

    @property
    def running(self) -> bool:
        """Whether the node runs, started by whomever."""
        return self._lock.held

    @property
    def pid(self) -> int | None:
        """The process id of its Java, or None when it does not run."""
        return self._lock.pid

    def reserved(self, deadline: Deadline) -> AbstractContextManager[int | None]:
        """What `launch` needs: the lock of the node; None when the node still runs at the deadline."""
        return self._lock.taken(deadline)

    def launch(self, arguments: Sequence[str], lock: int, detached: bool) -> None:
        """Start Java under the reserved lock. With `detached` it outlives this process; else it ends with it."""
        if detached:
            pid = _start_detached(arguments, self.log, lock)
        else:
            command = Command(
                "kafka", tuple(arguments), self.log, java.ENVIRONMENT, grace=STOP_SECONDS, keep_open=(lock,)
            )
            self._child = ChildProcess(command)
            self._child.start()
            pid = self._child.pid
        self._lock.write_pid(pid)

    def ask_to_stop(self) -> None:
        """Ask it to end, without waiting."""
        self._signal(signal.SIGTERM)

    def wait_stopped(self, deadline: Deadline) -> bool:
        """Whether it was gone before the deadline."""
        return self._lock.wait_released(deadline)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone. Does nothing when it does not run.

        Raises ExchangeError(E_EMBEDDED) when it is still there after a while.
        """
        self._signal(signal.SIGKILL)
        self.let_go()
        if not self.wait_stopped(Deadline.after(STOP_SECONDS)):
            raise ExchangeError("E_EMBEDDED", f"Kafka on {self._folder} (process {self.pid}) cannot be stopped")

    def let_go(self) -> None:
        """End the guard of a node that was started here, and with it what is left of the node."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def _start_detached(arguments: Sequence[str], log: Path, lock: int) -> int:
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **java.ENVIRONMENT},
            pass_fds=(lock,),
            start_new_session=True,
        )
    process.returncode = 0  # it is not ours to wait for: it outlives us
    return process.pid
