"""The connections whose client owes something: the rest of a request, or to take its answer.

They are bounded in number and in time. When there are too many, the address with the most of them loses its oldest: one
that opens connections and says nothing takes the places of its own.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a client may owe, and for how long; in seconds and connections."""

    head_seconds: float = 10.0
    """From the connection, or from the first byte of a later request, to the end of its headers."""
    drain_seconds: float = 30.0
    """For an answer that the client does not take."""
    most_waiting: int = 512
    """Connections of which no request has come as a whole."""


class Connections(Generic[T]):
    """Those that wait for a request, by address. For one thread."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._waiting: dict[str, dict[T, None]] = {}
        """By address; the oldest first."""
        self._count = 0

    def enter(self, address: str, connection: T) -> T | None:
        """It waits for a request from now on. The connection that has to give way for it, if there are too many."""
        here = self._waiting.setdefault(address, {})
        if connection in here:
            return None
        here[connection] = None
        self._count += 1
        if self._count <= self.bounds.most_waiting:
            return None
        most = max(self._waiting, key=lambda one: len(self._waiting[one]))
        oldest = next(iter(self._waiting[most]))
        self.leave(most, oldest)
        return oldest

    def leave(self, address: str, connection: T) -> None:
        """It waits no longer; it is no error if it did not."""
        here = self._waiting.get(address, {})
        if connection in here:
            del here[connection]
            self._count -= 1
            if not here:
                del self._waiting[address]
