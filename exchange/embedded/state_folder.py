"""What an embedded server keeps in its folder beside its data: secrets that only the owner reads, and one lock."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exchange.clock import Deadline
from exchange.errors import ExchangeError

_SECRET_BYTES = 24
_LOCK = "running.lock"
_PID = "running.pid"
_POLL_SECONDS = 0.05


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(file)


def kept_secret(file: Path) -> str:
    """The secret in this file; a fresh random one is written when there is none."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(_SECRET_BYTES) + "\n")
    return file.read_text(encoding="utf-8").strip()


class RunningLock:
    """Tells whether a server runs on a folder: the server process inherits the lock and holds it as long as it lives.

    So it needs no cleaning up after a crash, and a reused process id cannot be taken for the server.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = folder / _LOCK

    @property
    def held(self) -> bool:
        """Whether a server runs on the folder."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR)
        except OSError:
            return False
        try:
            return not _try(descriptor, fcntl.LOCK_SH)  # shared: two that look do not see each other
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None when none runs."""
        try:
            return int((self._folder / _PID).read_text(encoding="ascii")) if self.held else None
        except (OSError, ValueError):
            return None

    def write_pid(self, pid: int) -> None:
        """Say which process inherited the lock."""
        (self._folder / _PID).write_text(f"{pid}\n", encoding="ascii")

    @contextmanager
    def taken(self, deadline: Deadline) -> Iterator[int | None]:
        """The descriptor of the taken lock, to be inherited by the server; None when one holds it until the deadline.

        This process lets go of it at the end of the block; a server that inherited it goes on holding it.
        The folder is made when it is missing. Raises ExchangeError(E_EMBEDDED) when that is not possible.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ExchangeError("E_EMBEDDED", f"{self._folder} cannot be used: {error.strerror}") from None
        try:
            yield descriptor if _wait(descriptor, deadline) else None
        finally:
            os.close(descriptor)

    def wait_released(self, deadline: Deadline) -> bool:
        """Whether the server was gone before the deadline."""
        while self.held:
            if deadline.passed:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _wait(descriptor: int, deadline: Deadline) -> bool:
    while not _try(descriptor, fcntl.LOCK_EX):
        if deadline.passed:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
