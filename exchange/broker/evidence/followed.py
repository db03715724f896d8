"""Topics that departments write about themselves, followed to their end. No record in them is trusted to be whole."""

from collections.abc import Callable, Collection

from exchange.broker.evidence.line_states import Follow, Tail
from exchange.clock import Deadline
from exchange.kafka.client.message import Message

_POLL_SECONDS = 0.5


class Followed:
    """Follows every topic with one prefix. Used by one thread."""

    def __init__(self, prefix: str, follow: Follow, take: Callable[[str, Message], None]) -> None:
        """take: told each record, with what follows the prefix in the name of its topic."""
        self.whole = False
        """Whether the end was reached once: before, what is not known may yet be said."""
        self._prefix = prefix
        self._follow = follow
        self._give = take
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
            self._give(message.topic().removeprefix(self._prefix), message)
