"""How long a grantee waits: a `read_committed` reader of a share that notes every wait of some length."""

import threading
import time

from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.reader import PartitionTail
from exchange.names import ShareName, share_topic

_LEAST_SECONDS = 0.5
_AGAIN_SECONDS = 0.2


class GapReader(threading.Thread):
    """Reads a share from the first of its records on, as long as the context lasts."""

    def __init__(self, connection: Connection, share: str, partitions: int) -> None:
        super().__init__(name="gaps", daemon=True)
        places = [(str(share_topic(ShareName(share))), partition) for partition in range(partitions)]
        self._tail = PartitionTail(connection, places)
        self._over = threading.Event()
        self.gaps: list[tuple[float, float]] = []
        """Begin and end of each wait for the next record of a partition, on the monotonic clock."""

    def __enter__(self) -> "GapReader":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self._tail.close()

    def run(self) -> None:
        """Read until the context ends."""
        last: dict[int, float] = {}
        while not self._over.is_set():
            try:
                found = self._tail.poll(0.1)
            except ExchangeError:
                self._over.wait(_AGAIN_SECONDS)
                continue
            now = time.monotonic()
            for partition in {message.partition() for message in found}:
                if now - last.get(partition, now) > _LEAST_SECONDS:
                    self.gaps.append((last[partition], now))
                last[partition] = now
