"""The guard of one child process: it ends the child as soon as the guard's own parent is gone, however that ended.

Run as a script, with nothing but the standard library, so that it starts fast and stays small:

    python -I -S guard.py --log FILE --grace SECONDS [--stop-signal NAME] [--user ID --group ID] … -- COMMAND…

The parent holds the other end of the guard's standard input and never writes. When that end closes, because the parent
wants the child stopped or because the parent was killed, the guard sends the stop signal, waits for the grace, and
kills. A pipe is used, not the kernel's parent-death signal, because that signal follows the parent's *thread*. The
guard is single-threaded, so for the child the signal is safe to use: it dies should somebody kill the guard.

The guard prints the child's process id as its first line and ends with the child's exit status (128 + signal).
"""

import argparse
import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __name__ != "__main__":
    from exchange.embedded.account import become
else:  # isolated: neither the package nor the folder of the script is on the path
    sys.path.append(str(Path(__file__).parent))
    from account import become

_PR_SET_PDEATHSIG = 1
_KILLED = 128


def before_exec(account: tuple[int, int] | None, passing: bool) -> Callable[[], None]:
    """What the new process has to call between fork and exec: take the account, then die with the guard (Linux)."""
    parent = os.getpid()
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None

    def mark() -> None:
        if account is not None:
            become(account, passing)
        # A change of account forgets the mark: it comes last.
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before the mark was set
            os._exit(1)

    return mark


def _only_wake(number: int, frame: object) -> None:
    """Do nothing: the wake-up descriptor tells of the signal."""


class Guard:
    """Starts one child and waits for its end, or for the end of the guard's parent."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._stop_signal = signal.Signals[options.stop_signal]
        self._kill_at: float | None = None
        self._woken, wake = socket.socketpair()
        self._woken.setblocking(False)
        wake.setblocking(False)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, _only_wake)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def run(self) -> int:
        """The child's exit status."""
        child = self._start()
        print(child.pid, flush=True)  # noqa: T201 - the protocol with the parent
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while child.poll() is None:
                self._turn(selector, child)
        return child.returncode if child.returncode >= 0 else _KILLED - child.returncode

    def _turn(self, selector: selectors.BaseSelector, child: "subprocess.Popen[bytes]") -> None:
        left = None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())
        for key, _ in selector.select(left):
            if key.fd == self._woken.fileno():
                asked = signal.SIGTERM in self._woken.recv(64)
            else:
                asked = not os.read(key.fd, 64)
                if asked:
                    selector.unregister(key.fd)
            if asked and self._kill_at is None:
                child.send_signal(self._stop_signal)
                self._kill_at = time.monotonic() + self._options.grace
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            child.kill()
            self._kill_at = time.monotonic() + self._options.grace

    def _start(self) -> "subprocess.Popen[bytes]":
        options = self._options
        # What an inherited descriptor locks stays locked as long as the child lives, and not longer: see close below.
        inherited = [int(number) for number in options.keep_open]
        account = None if options.user is None else (options.user, options.group)
        with Path(options.log).open("ab") as log:
            child = subprocess.Popen(
                options.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                umask=int(options.umask, 8),
                pass_fds=inherited,
                preexec_fn=before_exec(account, options.passing),  # noqa: PLW1509 - the guard has no threads
            )
        for number in inherited:
            os.close(number)
        return child


def main(arguments: list[str]) -> int:
    """Guard the command after `--`; its exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--grace", type=float, required=True)
    parser.add_argument("--stop-signal", default="SIGTERM")
    parser.add_argument("--user", type=int)
    parser.add_argument("--group", type=int)
    parser.add_argument("--passing", action="store_true")
    parser.add_argument("--umask", default="077")
    parser.add_argument("--keep-open", nargs="*", default=[])
    parser.add_argument("command", nargs="+")
    with contextlib.suppress(KeyboardInterrupt):
        return Guard(parser.parse_args(arguments)).run()
    return _KILLED + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
