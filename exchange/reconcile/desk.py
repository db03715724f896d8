"""The digests of shares at the broker service, for the parties of a grant: made when they are asked for.

A share is folded in a thread of its own, and its fold is kept for a while: who asks for the root gets the share as it
stands then, who goes down from there the same version. Few shares are read at the same time.
"""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.names import TopicName
from exchange.reconcile.fold import FEW, HASH_BYTES, Fold
from exchange.reconcile.share import ShareFold, ShareForm

_AT_ONCE = 2
"""Shares that are read at the same time."""
_MOST_KEPT = 4
"""Shares that are kept folded; who asks for one more waits until one of them was idle for a while."""
_IDLE_SECONDS = 300.0
_VERSION_BITS = 48
"""As many as every reader of JSON keeps."""


@dataclass(slots=True)
class _Kept:
    """A share that is folded, or is being folded."""

    form: ShareForm
    used: float
    version: int = 0
    """Names the last reading that has ended, also where another instance of the service is asked. 0: none has."""
    reading: Future[None] | None = None
    share: ShareFold | None = None
    root: dict[str, Any] = field(default_factory=dict)
    """What stands under the empty prefix: of a large share it takes longer than a request should."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever uses the fold."""

    @property
    def busy(self) -> bool:
        """Whether it is being read."""
        return self.reading is not None and not self.reading.done()


class ShareDigests:
    """Digests of shares. Safe for any number of threads."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._kept: dict[TopicName, _Kept] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="digests")

    def ask(self, form: ShareForm, prefix: bytes, version: int | None) -> dict[str, Any] | None:
        """The digests under a prefix of key hashes; None while the share is being read: ask again.

        version: the one that the root's answer named, to go down in it. A prefix of a whole hash gives the key itself.
        Raises ExchangeError: E_DIGESTS when that version is gone, or the share tells less; E_KAFKA_*.
        """
        if prefix and form.pseudonymous:
            raise ExchangeError("E_DIGESTS", "a share that hides its keys has digests of its contents as a whole only")
        kept = self._of(form)
        if kept is None or (version is None and self._read(kept)):
            return None
        if version is not None and kept.busy:
            raise ExchangeError("E_DIGESTS", "the share is being read again: ask for the root")
        with kept.lock:
            if kept.share is None or (version is not None and version != kept.version):
                raise ExchangeError("E_DIGESTS", "this version is not kept any more: ask for the root again")
            kept.used = self._clock()
            found = answer(kept.share.fold, prefix, form.pseudonymous) if prefix else kept.root
            return {"version": kept.version, **found}

    def close(self) -> None:
        """Let go of every share."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        with self._lock:
            for kept in self._kept.values():
                _close(kept)
            self._kept.clear()

    def _of(self, form: ShareForm) -> _Kept | None:
        with self._lock:
            for topic in [topic for topic, one in self._kept.items() if self._is_idle(one)]:
                _close(self._kept.pop(topic))
            kept = self._kept.get(form.topic)
            if kept is None:
                if len(self._kept) >= _MOST_KEPT:
                    return None
                kept = self._kept[form.topic] = _Kept(form, self._clock())
            return kept

    def _is_idle(self, kept: _Kept) -> bool:
        return not kept.busy and self._clock() - kept.used > _IDLE_SECONDS

    def _read(self, kept: _Kept) -> bool:
        """Whether the share is being read; begin when what is kept is not as it stands now. Raises what that met."""
        with self._lock:
            kept.used = self._clock()
            if kept.busy:
                return True
            done, kept.reading = kept.reading, None
            if done is not None:
                self._judge(kept, done)
                return False
            kept.reading = self._pool.submit(self._advance, kept)
            return True

    def _judge(self, kept: _Kept, done: Future[None]) -> None:
        error = done.exception()
        if error is not None:
            _close(self._kept.pop(kept.form.topic))
            raise error

    def _advance(self, kept: _Kept) -> None:
        with kept.lock:
            if kept.share is None:
                kept.share = ShareFold(self._connection, kept.form, self._stop)
            if kept.version == 0 or not kept.share.ended():
                kept.share.advance()
                kept.root = answer(kept.share.fold, b"", kept.form.pseudonymous)
                kept.version = secrets.randbits(_VERSION_BITS) | 1


def answer(fold: Fold, prefix: bytes, pseudonymous: bool) -> dict[str, Any]:
    """What stands under a prefix: branches, or of few keys each hash with its content, or of one hash its key.

    Of a pseudonymous share only how many records it has, and the digest of their contents.
    """
    if len(prefix) == HASH_BYTES:
        entry = fold.get(prefix)
        return {"key": None if entry is None else entry.key.decode("utf-8", "replace")}
    if pseudonymous:
        contents = fold.contents()
        return {"records": contents.records, "contents": contents.digest.hex()}
    branches = fold.branches(prefix)
    records = sum(one.records for one in branches.values())
    found: dict[str, Any] = {"records": records}
    if records <= FEW:
        found["entries"] = {one.hash.hex(): one.content.hex() for one in fold.entries(prefix)}
    else:
        found["branches"] = {f"{byte:02x}": [one.records, one.digest.hex()] for byte, one in branches.items()}
    return found


def _close(kept: _Kept) -> None:
    with kept.lock:
        if kept.share is not None:
            kept.share.close()
            kept.share = None
