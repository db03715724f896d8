"""How one connector is: whether it does its work, and if not, why. Set by its line, shown by /readyz."""

import threading


class Condition:
    """Ready or not, with the reason in a few words that hold no value. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = (False, "starting")

    def set(self, ready: bool, reason: str) -> None:
        """From now on it is so. reason: `away since 2026-11-24T08:00:00.000Z (E_SOURCE_UNREACHABLE)`."""
        with self._lock:
            self._state = (ready, reason)

    @property
    def state(self) -> tuple[bool, str]:
        """`ready` and `reason` of one moment."""
        with self._lock:
            return self._state

    @property
    def ready(self) -> bool:
        """Whether the connector reads and writes."""
        return self.state[0]

    @property
    def reason(self) -> str:
        """Why it is as it is."""
        return self.state[1]
