"""Which share topics cannot be written, when a transaction failed without saying why.

Kafka names no topic when the right to write one is missing or denied, or when it was deleted. But it tells whoever asks
what he may do.
"""

import time
from collections.abc import Iterable

from exchange.kafka.admin import Admin
from exchange.names import TopicName

_SURE_SECONDS = 3.0
"""A broker that has just learnt of a topic or a right may be behind the others for a moment."""


class Doubts:
    """Remembers since when a topic could not be written."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._missing: dict[TopicName, float] = {}

    def missing(self, topics: Iterable[TopicName]) -> frozenset[TopicName]:
        """Those of `topics` that could not be written for a while. Raises ExchangeError when Kafka cannot be asked."""
        topics = list(topics)
        writable, now = self._admin.writable(topics), time.monotonic()
        hidden = [topic for topic in topics if topic not in writable]
        self._missing = {topic: self._missing.get(topic, now) for topic in hidden}
        return frozenset(topic for topic, since in self._missing.items() if now - since >= _SURE_SECONDS)
