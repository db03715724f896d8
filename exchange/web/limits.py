"""Bounds on how many requests callers may send."""

from math import ceil
from time import time

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from exchange.settings import HttpSettings
from exchange.web.problems import RateLimitError


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
