"""Questions about the past: the ledger is read again for each, so they are answered one by one."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from exchange.ledger.events.event import LedgerEvent
from exchange.web.problems import RateLimitError
from exchange.web.service import Service

_AT_ONCE = 1
_WAIT_SECONDS = 10


class Replays:
    """Reads the ledger again, for one caller at a time; the present is never kept waiting by the past."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._free = BoundedSemaphore(_AT_ONCE)

    @contextmanager
    def events(self) -> Iterator[Iterable[LedgerEvent]]:
        """Every event from the first one on. Raises ExchangeError(E_RATE_LIMIT) when others are being answered."""
        if not self._free.acquire(blocking=False):
            raise RateLimitError(_WAIT_SECONDS)
        try:
            yield self._service.events()
        finally:
            self._free.release()
