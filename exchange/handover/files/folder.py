"""The drop folder as the operating system has it: two parties write there, and none trusts what the other put there.

Names are fixed, nothing is followed (no symbolic link, no pipe), a file appears in one step and only when it is whole.
"""

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from exchange.errors import ExchangeError

MANIFEST, SIGNATURE, RECEIPT = "manifest.json", "manifest.sig", "receipt.json"
CSV, AVRO, WITHDRAWN = "csv", "avro", "withdrawn.csv"
DATA = (CSV, AVRO, WITHDRAWN)
"""What may hold records: every other file holds counts and hashes."""
_NAME = re.compile(rf"([0-9]{{6}})\.({'|'.join(map(re.escape, (MANIFEST, SIGNATURE, RECEIPT, *DATA)))})")
_LOCK = ".lock"
_PART = ".part"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
LAST_NUMBER = 999_999


def name_of(number: int, what: str) -> str:
    """The name of a file of a delivery."""
    return f"{number:06d}.{what}"


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was written."""

    bytes: int
    sha256: str


class Stream(Protocol):
    """What a file is filled through."""

    def write(self, content: bytes, /) -> int:
        """Append."""
        ...


class _Hashing:
    """A stream that counts and hashes what goes through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, content: bytes) -> int:
        """As of a file."""
        self._hash.update(content)
        self.bytes += len(content)
        return self._file.write(content)

    def flush(self) -> None:
        """As of a file."""
        self._file.flush()

    def seekable(self) -> bool:
        """It only goes on."""
        return False

    @property
    def written(self) -> Written:
        """What has gone through."""
        return Written(self.bytes, self._hash.hexdigest())


class DropFolder:
    """A folder for the deliveries of one grant.

    Every method raises ExchangeError(E_FILES_UNREACHABLE) when the file system refuses.
    """

    def __init__(self, path: Path, make: bool = False) -> None:
        """Raises ExchangeError(E_FILES_FOLDER) when `path` is no folder, or a symbolic link to one."""
        with _reached():
            if make:
                with suppress(FileExistsError):
                    path.mkdir(mode=0o750)
            try:
                self._folder = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    raise ExchangeError("E_FILES_FOLDER", "it is no folder, but a file or a symbolic link") from None
                raise
        self._lock: int | None = None

    def close(self) -> None:
        """Let go of it."""
        for handle in (self._lock, self._folder):
            if handle is not None:
                os.close(handle)
        self._lock = None

    def lock(self) -> None:
        """Be the only sink that writes here. Raises ExchangeError(E_FILES_FOLDER) when there is another."""
        with _reached():
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._lock = os.open(_LOCK, flags, 0o600, dir_fd=self._folder)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExchangeError("E_FILES_FOLDER", "another sink writes into it") from None

    # looking

    def numbers(self, what: str) -> list[int]:
        """The deliveries of which there is such a file, in order."""
        found = (_NAME.fullmatch(name) for name in self.names())
        return sorted(int(match[1]) for match in found if match and match[2] == what)

    def names(self) -> list[str]:
        """Every name but hidden ones."""
        return sorted(name for name in self._listed() if not name.startswith("."))

    def _listed(self) -> list[str]:
        with _reached(), os.scandir(self._folder) as entries:
            return [entry.name for entry in entries]

    def strange(self) -> list[str]:
        """Names that no file of a delivery has."""
        return [name for name in self.names() if not _NAME.fullmatch(name)]

    def size(self, name: str) -> int | None:
        """The size of a plain file; None when there is none."""
        with _reached():
            try:
                found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            except FileNotFoundError:
                return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def read(self, name: str, most: int) -> bytes | None:
        """The content of a plain file of at most `most` bytes; None when there is none such."""
        with self.opened(name) as file:
            content = None if file is None else file.read(most + 1)
        return content if content is not None and len(content) <= most else None

    def measured(self, name: str, most: int) -> Written | None:
        """Size and hash of a plain file; None when there is none, or it has more than `most` bytes."""
        hashed, size = hashlib.sha256(), 0
        with self.opened(name) as file:
            if file is None:
                return None
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
                size += len(chunk)
                if size > most:
                    return None
        return Written(size, hashed.hexdigest())

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO | None]:
        """A plain file to read; None when there is none. A link or pipe of that name is none."""
        handle = self._open(name)
        if handle is None:
            yield None
            return
        with _reached(), os.fdopen(handle, "rb") as file:
            yield file

    def _open(self, name: str) -> int | None:
        with _reached():
            try:
                handle = os.open(name, _READ, dir_fd=self._folder)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                    return None
                raise
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        return None

    # changing

    def put(self, name: str, content: bytes) -> None:
        """A new file with this content."""
        self.write(name, lambda stream: _put(stream, content))

    def write(self, name: str, fill: Callable[[Stream], None]) -> Written:
        """A new file, in the place of one of that name: whole and on the disk before it has the name."""
        part = f".{name}{_PART}"
        with _reached():
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self._folder)
            with os.fdopen(os.open(part, _WRITE, 0o640, dir_fd=self._folder), "wb") as file:
                stream = _Hashing(file)
                fill(stream)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.fsync(self._folder)
        return stream.written

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with _reached(), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)

    def clear(self, number: int) -> None:
        """Remove what holds records of a delivery."""
        for what in DATA:
            self.remove(name_of(number, what))

    def clear_unfinished(self, last: int) -> None:
        """Remove what a sink that was killed left behind the last delivery."""
        for name in self._listed():
            found = _NAME.fullmatch(name)
            if name.endswith(_PART) or (found and int(found[1]) > last):
                self.remove(name)


def _put(stream: Stream, content: bytes) -> None:
    stream.write(content)


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise ExchangeError("E_FILES_UNREACHABLE", why) from None
