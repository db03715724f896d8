"""How far a unit has taken each of its inputs, by its own state: what its group knows too, unless Kafka forgot it.

Kafka drops the offsets of a group that had no member for a time (`offsets.retention.minutes`). A line that was away so
long reads on from here: it counts nothing twice and puts nothing into quarantine again.
"""

from exchange.kafka.client.message import Message
from exchange.names import TopicName

PREFIX = b"o|"
"""Of the keys in a unit's partition of `exchange.admission.<record type>`; the rest is the input's topic, the value its
next offset in digits."""


class Positions:
    """The next offset of each input of one unit."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._changed: set[str] = set()

    def read(self, message: Message) -> None:
        """Take in one record of the state, oldest first."""
        self._next[(message.key() or b"").removeprefix(PREFIX).decode()] = int(message.value() or b"0")

    def next_offset(self, topic: TopicName) -> int | None:
        """The first offset of an input that is not taken; None when nothing of it was."""
        return self._next.get(topic)

    def take(self, message: Message) -> None:
        """This message of an input was the last one taken."""
        topic = message.topic()
        self._next[topic] = message.offset() + 1
        self._changed.add(topic)

    def changed(self) -> list[tuple[bytes, bytes]]:
        """Key and value of each record that the state is to be given now."""
        found = [(PREFIX + topic.encode(), b"%d" % self._next[topic]) for topic in self._changed]
        self._changed.clear()
        return found
