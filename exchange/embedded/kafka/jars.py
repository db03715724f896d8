"""The cache of the jars: fetched once for this user, verified before every use, shared by all runs."""

import contextlib
import fcntl
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import platformdirs

from exchange import settings
from exchange.backoff import Backoff
from exchange.embedded.kafka import maven_address
from exchange.embedded.kafka.jar_lock import LockedJar, read_lock
from exchange.errors import ExchangeError

_CONNECTIONS = 4
_FRUITLESS_ATTEMPTS = 4
_BACKOFF = Backoff(first=0.5, longest=2.0)
_CHUNK_BYTES = 1 << 16
_WRONG_BYTES = "its SHA-256 is not the one of the lock file"
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_GONE = (httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN, httpx.codes.UNAUTHORIZED, httpx.codes.GONE)

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes of all jars, from any thread."""


def cache_folder() -> Path:
    """Where this user's jars lie: the platform's cache folder, shared by every run of the exchange."""
    return platformdirs.user_cache_path("exchange-bus") / "jars"


class JarCache:
    """The jars of a lock file in a folder. Several processes may use one folder at a time.

    Without `maven_url` the setting EXCHANGE_MAVEN_URL is used, and without that see `maven_address.repository`.
    """

    def __init__(
        self, folder: Path | None = None, jars: Sequence[LockedJar] | None = None, maven_url: str | None = None
    ) -> None:
        self.folder = folder or cache_folder()
        self.jars = tuple(jars) if jars is not None else read_lock()
        self._maven_url = maven_url

    @property
    def size(self) -> int:
        """Bytes of all jars together."""
        return sum(jar.size for jar in self.jars)

    def missing(self) -> list[LockedJar]:
        """The jars that are not there or are not, byte for byte, what the lock file says."""
        return [jar for jar in self.jars if not _is_whole(self.folder / jar.file_name, jar)]

    def class_path(self) -> str:
        """Every jar of the lock file and no other, as Java wants it."""
        return ":".join(str(self.folder / jar.file_name) for jar in self.jars)

    def fetch(self, progress: Progress | None = None) -> int:
        """Bring what is missing, going on where an interrupted fetch stopped; the number of jars brought.

        A second process that fetches at the same time waits for the first and then has nothing to do.
        Raises ExchangeError(E_JARS) when the repository cannot be reached, lacks a jar, or gives wrong bytes.
        """
        if not self.missing():
            return 0
        with self._alone():
            missing = self.missing()
            if missing:
                self._fetch_all(missing, progress)
            return len(missing)

    def _fetch_all(self, missing: list[LockedJar], progress: Progress | None) -> None:
        counter = _Counter(self.size, self.size - sum(jar.size for jar in missing), progress)
        setting = settings.load().maven_url if self._maven_url is None else self._maven_url
        address = maven_address.repository(setting)
        pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="fetch-jars")
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
            download = _Download(client, address, self.folder, counter)
            try:
                # The largest first, so that the end is not one connection's long tail.
                for _ in pool.map(download.jar, sorted(missing, key=lambda jar: -jar.size)):
                    pass
            finally:
                download.stop.set()
                pool.shutdown(cancel_futures=True)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise ExchangeError("E_JARS", f"{self.folder} cannot be used: {error.strerror}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Counter:
    """Bytes that are there, counted over all connections."""

    def __init__(self, total: int, done: int, progress: Progress | None) -> None:
        self._total = total
        self._done = done
        self._progress = progress
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._progress is not None:
                self._progress(self._done, self._total)


class _Download:
    """Fetches single jars into the folder through one client."""

    def __init__(self, client: httpx.Client, address: str, folder: Path, counter: _Counter) -> None:
        self._client = client
        self._address = address
        self._folder = folder
        self._counter = counter
        self.stop = threading.Event()

    def jar(self, jar: LockedJar) -> None:
        """Bring one jar, going on as long as attempts bring bytes. Raises ExchangeError(E_JARS)."""
        part = self._folder / (jar.file_name + ".part")
        self._counter.add(min(_size(part), jar.size))
        problem: str | None = None
        fruitless = 0
        while fruitless < _FRUITLESS_ATTEMPTS:
            if fruitless and self.stop.wait(_BACKOFF.pause(fruitless)):
                return
            before = _size(part)
            problem = self._attempt(jar, part)
            if problem is None:
                part.replace(self._folder / jar.file_name)
                return
            if problem == _WRONG_BYTES and before == 0:
                break  # all of it came in this attempt: another one would bring the same
            fruitless = 0 if _size(part) > before else fruitless + 1
        raise ExchangeError("E_JARS", f"{jar.file_name} from {self._address}: {problem}")

    def _attempt(self, jar: LockedJar, part: Path) -> str | None:
        """Go on with `part`; what went wrong, or None when it is whole."""
        try:
            self._receive(jar, part)
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            return _said(error)
        except OSError as error:
            raise ExchangeError("E_JARS", f"{part} cannot be written: {error.strerror}") from None
        if _is_whole(part, jar):
            return None
        if _size(part) >= jar.size:
            self._forget(part)
            return _WRONG_BYTES
        return "the connection ended before the last byte"

    def _receive(self, jar: LockedJar, part: Path) -> None:
        have = _size(part)
        if have >= jar.size:
            return
        headers = {"Range": f"bytes={have}-"} if have else {}
        # A compressed answer would make ranges and sizes mean something else.
        headers["Accept-Encoding"] = "identity"
        with self._client.stream("GET", f"{self._address}/{jar.path}", headers=headers) as response:
            if response.status_code in _GONE:
                raise ExchangeError(
                    "E_JARS", f"{self._address} does not have {jar.file_name} (HTTP {response.status_code})"
                )
            if have and response.status_code != httpx.codes.PARTIAL_CONTENT:
                self._forget(part)
            response.raise_for_status()
            self._write(response, part, jar.size)

    def _write(self, response: httpx.Response, part: Path, size: int) -> None:
        with part.open("ab") as file:
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                if self.stop.is_set() or file.tell() > size:
                    return
                file.write(chunk)
                self._counter.add(len(chunk))

    def _forget(self, part: Path) -> None:
        self._counter.add(-_size(part))
        part.unlink(missing_ok=True)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _is_whole(file: Path, jar: LockedJar) -> bool:
    try:
        if file.stat().st_size != jar.size:
            return False
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def _said(error: httpx.TransportError | httpx.HTTPStatusError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return str(error) or type(error).__name__
