"""How long to wait for something that takes as long as it takes: as long as it moves on."""

from exchange.clock import Deadline

STALLED_SECONDS = 60.0
"""Reading a ledger that has not moved on for so long is given up. One that moves on never is, however long it takes."""


class Patience:
    """Ends when nothing has moved for some seconds."""

    def __init__(self, seconds: float = STALLED_SECONDS) -> None:
        self._seconds = seconds
        self._seen: object = None
        self._until = Deadline.after(seconds)

    def ended(self, seen: object) -> bool:
        """Whether what is seen has been the same for too long."""
        if seen != self._seen:
            self._seen, self._until = seen, Deadline.after(self._seconds)
        return self._until.passed
