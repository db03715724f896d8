"""Withdrawals of what is withdrawn already: news to nobody, but nothing older than the last of them may enter.

In the registry a second tombstone would tell shares of a record that they never held. So only its sequence is kept, in
the state of the line, for as long as tombstones are kept in the registry.
"""

from exchange.admission.memory import CONTENT, CONTENT_BITS
from exchange.clock import Clock
from exchange.kafka.admin.topics import TOMBSTONES_KEPT
from exchange.kafka.client.message import Message

PREFIX = b"w|"
"""Of the keys in a unit's partition of `exchange.admission.<record type>`; the value is the sequence in digits."""
_KEPT_MS = int(TOMBSTONES_KEPT.total_seconds() * 1000)


class Repeated:
    """The repeated withdrawals of one unit. Their sequences are in the memory of its keys."""

    def __init__(self, known: dict[bytes, int], clock: Clock) -> None:
        self._known = known
        self._clock = clock
        self._since: dict[bytes, int] = {}
        """When the last repetition came, in ms since 1970."""
        self._changed: set[bytes] = set()
        self._stored: dict[bytes, tuple[int, int]] = {}

    def note(self, key: bytes) -> None:
        """The memory has just taken the sequence of a repetition."""
        self._since[key] = self._now_ms()
        self._changed.add(key)

    def read(self, message: Message) -> None:
        """Take in one record of the state, oldest first."""
        key, value = message.key() or b"", message.value()
        if value is not None:
            self._stored[key.removeprefix(PREFIX)] = (int(value), message.timestamp()[1])
        else:
            self._stored.pop(key.removeprefix(PREFIX), None)

    def restore(self) -> None:
        """Bring what was read into the memory, which the registry has filled by now."""
        for key, (sequence, since) in self._stored.items():
            if key in self._known and self._known[key] >> CONTENT_BITS >= sequence:
                self._changed.add(key)
            else:
                self._known[key] = sequence << CONTENT_BITS
                self._since[key] = since
        self._stored.clear()

    def forget(self) -> None:
        """Let go of what came back since, and of what nothing older can follow any more."""
        before = self._now_ms() - _KEPT_MS
        gone = [key for key, since in self._since.items() if since <= before or self._known[key] & CONTENT]
        for key in gone:
            del self._since[key]
        self._changed.update(gone)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Key and value of each record that the state is to be given now."""
        known, since = self._known, self._since
        found = [(PREFIX + key, _digits(known[key]) if key in since else None) for key in self._changed]
        self._changed.clear()
        return found

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _digits(version: int) -> bytes:
    return b"%d" % (version >> CONTENT_BITS)
