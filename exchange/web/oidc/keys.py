"""The public keys of an OpenID Connect issuer, from its address or from a file. Keys change: both look again."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.observe.logs import get_logger
from exchange.settings import HttpSettings
from exchange.web.oidc.callers import Keys

_FRESH_SECONDS = 300.0
"""How long fetched keys are used without looking again."""
_PAUSE_SECONDS = 10.0
"""Between two looks: else every token with a key id that nobody knows would be a request to the issuer."""
_KEPT_SECONDS = 86_400.0
"""How long the last keys are good while the issuer does not answer."""
_ANSWER_SECONDS = 5.0
_MOST_WAITING = 4
_MOST_BYTES = 1 << 20
_PART_BYTES = 16_384
_ON_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_log = get_logger("exchange.web")


def keys_of(settings: HttpSettings) -> Keys:
    """The keys that the settings name. Raises ExchangeError(E_SETTINGS) when they name none, or none to be trusted."""
    if not settings.oidc_audience:
        raise ExchangeError("E_SETTINGS", "an issuer (oidc_issuer) needs oidc_audience: tokens for others are not ours")
    if settings.oidc_jwks_file is not None:
        return FileKeys(settings.oidc_jwks_file)
    url = httpx.URL(settings.oidc_jwks_url)
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _ON_THIS_MACHINE):
        raise ExchangeError("E_SETTINGS", "an issuer (oidc_issuer) needs oidc_jwks_file, or oidc_jwks_url with https")
    return FetchedKeys(url)


class FileKeys:
    """Keys in a file (RFC 7517), read again when it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[int, KeySet] | None = None
        self.current()

    def current(self, unknown: bool = False) -> KeySet:  # noqa: ARG002 - a file is looked at each time
        """The keys in the file. Raises ExchangeError(E_ISSUER)."""
        try:
            read, changed = self._read, self._file.stat().st_mtime_ns
            if read is None or read[0] != changed:
                read = self._read = (changed, _parsed(self._file.read_bytes()))
        except OSError:
            raise ExchangeError("E_ISSUER", "the file of the issuer's keys cannot be read") from None
        return read[1]


class _Fetched(NamedTuple):
    """Keys that were fetched, and when, by the monotonic clock."""

    keys: KeySet
    at: float


class FetchedKeys:
    """Keys at an address, fetched when they are needed, when they have aged, and when a token names an unknown one.

    They are fetched by a thread of their own, one at a time. Of the requests that cannot be answered without it a few
    wait; the others are told to come again.
    """

    def __init__(
        self, url: httpx.URL, pause_seconds: float = _PAUSE_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._pause = pause_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        """Held for a look at the clock, never while anybody is asked."""
        self._last: _Fetched | None = None
        self._looked: float | None = None
        self._look: threading.Event | None = None
        """Is set when the look that goes on has ended; None while there is none."""
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)

    def current(self, unknown: bool = False) -> KeySet:
        """The keys at the address, or those that were there last. Raises ExchangeError(E_ISSUER)."""
        now = self._monotonic()
        look = self._look_if_due(now, unknown)
        if look is not None and (unknown or not self._good(now)) and not self._wait(look):
            raise ExchangeError("E_ISSUER", "its keys are being fetched")
        last = self._last
        if last is None or not self._good(now):
            raise ExchangeError("E_ISSUER")
        return last.keys

    def _good(self, now: float) -> bool:
        return self._last is not None and now - self._last.at <= _KEPT_SECONDS

    def _look_if_due(self, now: float, unknown: bool) -> threading.Event | None:
        """The look that goes on, begun when one is due."""
        with self._lock:
            aged = self._last is None or now - self._last.at > _FRESH_SECONDS
            pausing = self._looked is not None and now - self._looked < self._pause
            if self._look is None and (aged or unknown) and not pausing:
                self._looked, self._look = now, threading.Event()
                threading.Thread(target=self._fetch, args=(now, self._look), name="issuer-keys", daemon=True).start()
            return self._look

    def _wait(self, look: threading.Event) -> bool:
        if not self._waiting.acquire(blocking=False):
            return False
        try:
            return look.wait(_ANSWER_SECONDS)
        finally:
            self._waiting.release()

    def _fetch(self, now: float, look: threading.Event) -> None:
        try:
            self._last = _Fetched(_parsed(self._document()), now)
        except (httpx.HTTPError, ExchangeError) as error:
            _log.warning("web.issuer-keys", fault=type(error).__name__)
        finally:
            with self._lock:
                self._look = None
            look.set()

    def _document(self) -> bytes:
        """What stands at the address. Raises ExchangeError(E_ISSUER) for what is large or comes slowly."""
        deadline = Deadline.after(_ANSWER_SECONDS)
        document = bytearray()
        with httpx.stream("GET", self._url, timeout=_ANSWER_SECONDS, trust_env=False) as answer:
            answer.raise_for_status()
            for part in answer.iter_bytes(_PART_BYTES):
                document += part
                if len(document) > _MOST_BYTES or deadline.passed:
                    raise ExchangeError("E_ISSUER", "its keys are too large, or come too slowly")
        return bytes(document)


def _parsed(document: bytes) -> KeySet:
    """The keys in a JWK set. Raises ExchangeError(E_ISSUER)."""
    try:
        return KeySet.import_key_set(json.loads(document))
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise ExchangeError("E_ISSUER", "what should be the issuer's keys is no JWK set") from None
