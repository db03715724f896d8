"""Bounds on what callers may send: how large a body, how many requests. Nothing of the API needs more."""

from collections.abc import Callable
from math import ceil
from threading import Lock
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.errors import ExchangeError
from exchange.settings import HttpSettings
from exchange.web.problems import RateLimitError, problem

MOST_BYTES: Final = 262_144
_MINUTE: Final = 60.0
_KEPT: Final = 1024
"""So many callers are remembered before those whose share is whole again are forgotten."""


class RateLimit:
    """Counts the requests of each caller, and the bad tokens of each address. Each instance counts for itself.

    now: seconds of a clock that only goes forward.
    """

    def __init__(self, settings: HttpSettings, now: Callable[[], float] = monotonic) -> None:
        self._requests = _Shares(settings.request_burst, 1 / settings.requests_per_second, now)
        most = settings.bad_tokens_per_minute
        self._bad_tokens = _Shares(most, _MINUTE / most, now)

    def request(self, caller: str) -> None:
        """Count a request of a caller. Raises RateLimitError."""
        self._requests.take(caller)

    def bad_token(self, address: str) -> None:
        """Count a bad token from an address. Raises RateLimitError.

        A good token from there stays good: behind one address stand all connectors of a department.
        """
        self._bad_tokens.take(address)


class _Shares:
    """Everybody's share: `most` at once, and one more every `seconds`.

    Every request passes here, so of each caller one number is kept (the generic cell rate algorithm), and no thread
    tidies up.
    """

    def __init__(self, most: int, seconds: float, now: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._whole: dict[str, float] = {}
        """When the share of each is whole again."""
        self._tidy_at = _KEPT
        self._lock = Lock()

    def take(self, who: str) -> None:
        """Take one. Raises RateLimitError when the share is used up."""
        with self._lock:
            now = self._now()
            whole = max(now, self._whole.get(who, now)) + self._seconds
            wait = whole - now - self._most * self._seconds
            if wait > self._seconds / 1000:  # sums of fractions are not exact
                raise RateLimitError(max(1, ceil(wait)))
            self._whole[who] = whole
            if len(self._whole) > self._tidy_at:
                self._whole = {one: until for one, until in self._whole.items() if until > now}
                self._tidy_at = max(_KEPT, 2 * len(self._whole))


class BodyLimit:
    """Refuses bodies of more than MOST_BYTES with 413, whether they announce their length or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as long as its body is small."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > MOST_BYTES:
            await self._refuse(scope, receive, send)
            return
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MOST_BYTES:
                await self._refuse(scope, receive, send)
                return
        await self._app(scope, _replay(bytes(body), receive), send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = ExchangeError("E_REQUEST_TOO_LARGE", f"a body has at most {MOST_BYTES} bytes")
        await problem(Request(scope), error)(scope, receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body once, and then what the server says (a disconnect)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
