"""Which share topics cannot be written, when a transaction failed without saying why.

Kafka names no topic when the right to write one is missing, or when it was deleted. But who may write a topic sees it.
"""

import time
from collections.abc import Iterable

from exchange.kafka.admin import Admin
from exchange.names import TopicName

_SURE_SECONDS = 3.0
"""A broker that has just learnt of a topic or a right may be behind the others for a moment."""


class Doubts:
    """Remembers since when a topic has not been seen."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._missing: dict[TopicName, float] = {}

    def missing(self, topics: Iterable[TopicName]) -> frozenset[TopicName]:
        """Those of `topics` that have not been seen for a while. Raises ExchangeError when Kafka cannot be asked."""
        visible, now = self._admin.topics(), time.monotonic()
        hidden = [topic for topic in topics if topic not in visible]
        self._missing = {topic: self._missing.get(topic, now) for topic in hidden}
        return frozenset(topic for topic, since in self._missing.items() if now - since >= _SURE_SECONDS)
