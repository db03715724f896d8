"""Backfill: a share that was made late gets the present first, then it joins the live flow.

The unit reads its registry partition again below the live position, once for all shares that wait at the same place
(a pass). A share that comes while a pass is under way waits for the next one. A pass has three parts:

1. Look: read to the end and note the newest offset of each key. Who was granted something today must not see what had
   been replaced or withdrawn before, and a compacted topic keeps that for days.
2. Send: read again from the start. Of what stood there when looking ended, only the newest record of each key goes on,
   as if compaction had removed the others already, and is counted; of what came later, everything.
3. Join: as soon as nothing is left below the live position, and the live position is beyond what was looked at. What
   stands from there on is left to the live flow, which takes it in its next transaction.

Positions travel in the transactions that send. After a restart a pass looks again, from its position on.
"""

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

from exchange.delivery.cutter import Cutter
from exchange.delivery.receive import is_heartbeat
from exchange.delivery.state import Counts
from exchange.errors import ExchangeError
from exchange.kafka.client.message import Message
from exchange.kafka.line.unit import Output

_CHUNK = 500
_SENT_AT_ONCE = 2_000
_SEEN_AT_ONCE = 20_000
_STEP_SECONDS = 0.02
"""A step is a guest in the transactions of the live flow, whose latency it must not spoil."""


class Cursor(Protocol):
    """The second way into a registry partition."""

    reached: int
    """Every record below this offset has been given."""
    at_end: bool
    """Whether the end of the partition came after the last record that was given."""

    def seek(self, start: int) -> None:
        """Go on from offset `start`."""
        ...

    def fetch(self, limit: int) -> list[Message]:
        """At most `limit` next records, without waiting. Raises ExchangeError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Pass:
    """One reading of the registry partition from `position` on. The caller knows for which shares."""

    def __init__(self, cursor: Cursor, position: int) -> None:
        self.position = position
        """Everything below has been sent."""
        self.end: int | None = None
        """Where looking ended; None while it goes on."""
        self._cursor = cursor
        self._seen = position
        self._newest: dict[bytes, int] = {}
        """Key -> offset of its newest record, for those still to be sent."""
        self._read: Sequence[Message] = ()
        """Fetched, but not handled yet."""
        self._failure: ExchangeError | None = None

    def ready(self, live: int) -> bool:
        """Whether a step would get on. Cheap, and never raises: a failure is told by the step."""
        try:
            self._fetch()
        except ExchangeError as error:
            self._failure = error
        if self._failure is not None:
            return True
        if self.end is None:
            return bool(self._read) or self._cursor.at_end
        return bool(self._read and self._read[0].offset() < live) or self._reached >= live >= self.end

    def step(self, live: int, cutter: Cutter, output: Output, moved: Counts) -> bool:
        """Get on by a bounded number of records, below offset `live`; whether the shares of `cutter` join there.

        Raises ExchangeError when the registry cannot be read, or E_REGISTRY_DAMAGED.
        """
        if self._failure is not None:
            raise self._failure
        until = time.monotonic() + _STEP_SECONDS
        seen = sent = 0
        while seen < _SEEN_AT_ONCE and sent < _SENT_AT_ONCE and time.monotonic() < until:
            self._fetch()
            if self.end is None:
                got = self._look()
                seen += got
                if not got and self.end is None:
                    break
            else:
                got = self._send(live, cutter, output, moved)
                sent += got
                if not got:
                    break
        if self.end is None:
            return False
        self.position = max(self.position, min(self._reached, live))
        return self.position >= live >= self.end

    def close(self) -> None:
        """Let go of the second way into the registry."""
        self._cursor.close()

    @property
    def _reached(self) -> int:
        return self._read[0].offset() if self._read else self._cursor.reached

    def _fetch(self) -> None:
        if not self._read:
            self._read = self._cursor.fetch(_CHUNK)

    def _look(self) -> int:
        """Note what was read; at the end of the partition, turn round. Returns the number of records."""
        read, self._read = self._read, ()
        for message in read:
            self._newest[message.key() or b""] = message.offset()
        if read:
            self._seen = read[-1].offset() + 1
        if self._cursor.at_end:
            self.end = self._seen
            if self.end > self.position:
                self._cursor.seek(self.position)
        return len(read)

    def _send(self, live: int, cutter: Cutter, output: Output, moved: Counts) -> int:
        count = bisect_left(self._read, live, key=lambda message: message.offset())
        below, self._read = self._read[:count], self._read[count:]
        current = [message for message in below if self._is_current(message)]
        if current:
            cutter.take(current, output, moved)
        return count

    def _is_current(self, message: Message) -> bool:
        assert self.end is not None
        if message.offset() < self.position or is_heartbeat(message):
            return False
        if message.offset() >= self.end:
            return True
        key = message.key() or b""
        if self._newest.get(key) != message.offset():
            return False
        del self._newest[key]  # what is sent needs no memory
        return True
