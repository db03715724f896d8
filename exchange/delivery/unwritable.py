"""Which share topics cannot be written, when a transaction failed without saying why.

Kafka names no topic when the right to write one is missing or denied, or when it was deleted. But it tells whoever asks
what he may do.
"""

import time
from collections.abc import Iterable

from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.names import TopicName

_SURE_SECONDS = 3.0
"""A broker that has just learnt of a topic or a right may be behind the others for a moment."""


class UnwritableTopics:
    """Remembers since when a topic could not be written."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._admin: Admin | None = None
        self._missing: dict[TopicName, float] = {}

    def missing(self, topics: Iterable[TopicName], seconds: float | None = None) -> frozenset[TopicName]:
        """Those of `topics` that could not be written for a while. Raises ExchangeError when Kafka does not answer."""
        topics = list(topics)
        if self._admin is None:
            self._admin = Admin(self._connection)
        writable, now = self._admin.writable(topics, seconds), time.monotonic()
        for topic in self._missing.keys() & writable:
            self._missing.pop(topic, None)
        since = {topic: self._missing.setdefault(topic, now) for topic in topics if topic not in writable}
        return frozenset(topic for topic, first in since.items() if now - first >= _SURE_SECONDS)
