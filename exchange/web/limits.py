"""Bounds on what callers may send: how large a body, how many requests. Nothing of the API needs more."""

from math import ceil
from time import time
from typing import Final

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.errors import ExchangeError
from exchange.settings import HttpSettings
from exchange.web.problems import RateLimitError, problem

MOST_BYTES: Final = 262_144


class RateLimit:
    """Counts the requests of each caller, and the bad tokens of each address. Each instance counts for itself."""

    def __init__(self, settings: HttpSettings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        window = max(1, ceil(settings.request_burst / settings.requests_per_second))
        most = min(settings.request_burst, settings.requests_per_second * window)
        self._requests = RateLimitItemPerSecond(most, window, namespace="requests")
        self._bad_tokens = RateLimitItemPerMinute(settings.bad_tokens_per_minute, namespace="bad-tokens")

    def request(self, caller: str) -> None:
        """Count a request of a caller. Raises RateLimitError."""
        self._hit(self._requests, caller)

    def bad_token(self, address: str) -> None:
        """Count a bad token from an address. Raises RateLimitError.

        A good token from there stays good: behind one address stand all connectors of a department.
        """
        self._hit(self._bad_tokens, address)

    def _hit(self, item: RateLimitItemPerSecond | RateLimitItemPerMinute, who: str) -> None:
        if not self._limiter.hit(item, who):
            reset = self._limiter.get_window_stats(item, who).reset_time
            raise RateLimitError(max(1, ceil(reset - time())))


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
