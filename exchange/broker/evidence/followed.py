"""Topics that departments write about themselves, followed to their end. No record in them is trusted to be whole."""

from collections.abc import Callable, Collection

from exchange.broker.evidence.line_states import Follow, Tail
from exchange.clock import Deadline
from exchange.kafka.client.message import Message

_POLL_SECONDS = 0.5


Take = Callable[[str, Message], None]
"""Told of a record, with what follows the prefix in the name of its topic."""


class Followed:
    """Follows every topic with one prefix. Used by one thread."""

    def __init__(self, prefix: str, follow: Follow, *takes: Take) -> None:
        """takes: each is told every record, and leaves what is none of its own."""
        self.whole = False
        """Whether the end was reached once: before, what is not known may yet be said."""
        self._prefix = prefix
        self._follow = follow
        self._takes = takes
        self._topics: frozenset[str] = frozenset()
        self._tail: Tail | None = None

    def refresh(self, topics: Collection[str], deadline: Deadline) -> None:
        """Read to the end, or until the deadline: a department that writes without pause must not stop evidence.

        topics: every topic there is.
        """
        wanted = frozenset(topic for topic in topics if topic.startswith(self._prefix))
        if wanted != self._topics:
            self.close()
            self._topics = wanted
            self._tail = self._follow([(topic, 0) for topic in sorted(wanted)]) if wanted else None
        if self._tail is not None:
            self._take(self._tail, 0)
            while not self._tail.at_end and not deadline.passed:
                self._take(self._tail, min(_POLL_SECONDS, deadline.remaining()))
        self.whole = self._tail is None or self.whole or self._tail.at_end

    def close(self) -> None:
        """Let go of the client."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        self._topics = frozenset()

    def _take(self, tail: Tail, seconds: float) -> None:
        for message in tail.poll(seconds):
            name = message.topic().removeprefix(self._prefix)
            for take in self._takes:
                take(name, message)
