"""A file of a department: opened without waiting, known by its version, and read when it has come to rest."""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from exchange.connect.reading import Cursor
from exchange.errors import ExchangeError

_SETTLE_SECONDS = 1.0
_NS_PER_US = 1000
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_WRONG_PATH = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)
"""What a path is wrong for, and no file away."""


class Version(NamedTuple):
    """What tells one state of a file from the next."""

    size: int
    modified: int
    """Nanoseconds since 1970, as whoever put the file there says; it may lie ahead."""
    inode: int
    """Another one when the file was replaced, also by one of the same size and time."""

    @property
    def sequence(self) -> int:
        """The time of modification in microseconds since 1970, the sequence of the file's rows; not below 0."""
        return max(self.modified // _NS_PER_US, 0)

    def cursor(self) -> Cursor:
        """The version as a cursor."""
        return self._asdict()


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, Version]]:
    """The open file at `path`, unbuffered, with its version.

    Raises ExchangeError: E_SETTINGS when the path leads to something else than a file, E_SOURCE_UNREACHABLE when the
    file is not there or cannot be read, also while it is read.
    """
    try:
        _check_kind(path.stat().st_mode)  # a device must not even be opened
        # without waiting, should a pipe have taken the place of the file in this moment
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb", buffering=0) as file:
            yield file, version_of(file)
    except OSError as error:
        if error.errno in _WRONG_PATH:
            raise ExchangeError(
                "E_SETTINGS", f"the path of the connector's file leads nowhere ({_word(error)})"
            ) from None
        raise ExchangeError("E_SOURCE_UNREACHABLE", f"the file cannot be read: {_word(error)}") from None
    except ValueError:
        raise ExchangeError("E_SETTINGS", "the path of the connector's file holds a NUL character") from None


def version_of(file: BinaryIO) -> Version:
    """The version of an open file, asked of the file system now."""
    found = os.fstat(file.fileno())
    _check_kind(found.st_mode)
    return Version(found.st_size, found.st_mtime_ns, found.st_ino)


def current(path: Path) -> Version:
    """The version of the file that is at `path` now. Raises ExchangeError as `opened` does.

    The file is opened for it: network file systems answer from a cache when it is not.
    """
    with opened(path) as (_, version):
        return version


def _check_kind(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((word for is_kind, word in _KINDS if is_kind(mode)), "no file")
        raise ExchangeError("E_SETTINGS", f"the path of the connector's file leads to {kind}")


def _word(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


class Rest:
    """Whether a file is at rest: its version is the same at two looks, a second or more apart.

    The file's time is not held against this machine's clock: it comes from another one, or from whoever set it.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._monotonic = monotonic
        self._pause = pause
        self._seen: Version | None = None
        self._since = 0.0

    def at_rest(self, version: Version) -> bool:
        """Look at the version that the file has now."""
        now = self._monotonic()
        if version != self._seen:
            self._seen, self._since = version, now
        return now - self._since >= _SETTLE_SECONDS

    def wait(self, path: Path) -> None:
        """Look at the file, and once more after a second if that is needed.

        Raises ExchangeError(E_SOURCE_UNREACHABLE) when it is being written, and as `opened` does.
        """
        if self.at_rest(current(path)):
            return
        self._pause(_SETTLE_SECONDS)
        if not self.at_rest(current(path)):
            raise ExchangeError("E_SOURCE_UNREACHABLE", "the file is being written")
