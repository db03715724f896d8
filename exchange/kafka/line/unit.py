"""What a line runs: one unit for each (record type, partition), made by a factory. Both inner lines have theirs."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from exchange.kafka.client.message import Message
from exchange.names import RecordType, TopicName


class UnitId(NamedTuple):
    """The unit of work and of fencing."""

    record_type: RecordType
    partition: int


class Output(Protocol):
    """Where a unit writes inside its transaction."""

    @property
    def produce(self) -> Callable[..., None]:
        """The client's own method: produce(topic, value, key, partition, headers=). Raises BufferError when full."""
        ...

    def poll(self, seconds: float = 0) -> None:
        """Let the client send; call it after a BufferError, then produce again."""
        ...


class Unit(Protocol):
    """One (record type, partition). It lives until its first failed transaction: then a new one is made and restored.

    So `process` may change state in memory at once: what was not committed is never seen by another unit. All methods
    but `restore` are called by the line's one thread.
    """

    state_topic: TopicName
    """Where its state stands, in the partition of its number. Nobody else writes there."""

    def restore(self) -> None:
        """Read the state from Kafka to its end. Called once, in a thread of its own, after older owners are fenced."""
        ...

    def next_offset(self, topic: TopicName) -> int | None:
        """The first offset of an input that the unit has not taken, by its own state; None when it has taken nothing.

        Asked when the group has no offset: the input is new, or Kafka forgot the offsets of a group that was away.
        """
        ...

    def release(self) -> None:
        """Want a transaction that writes something that means nothing into every output.

        A transaction of before may hang there, and whoever reads the output sees nothing behind it. Called at most
        once, after `restore`.
        """
        ...

    def process(self, messages: Sequence[Message], output: Output) -> None:
        """Produce what follows from some messages of one topic, in their order. Called several times a transaction.

        Empty `messages`: called once, first in its transaction, because `pending()` said so.
        """
        ...

    def seal(self, output: Output) -> None:
        """Produce the state records of this transaction: the last call before it is committed."""
        ...

    def unwritable(self) -> bool:
        """Whether a topic of the transaction cannot be written. It is never answered then: Kafka is silent about it.

        Asked every few seconds while it is not answered, in a thread of its own; the line's thread waits meanwhile.
        """
        ...

    def committed(self) -> None:
        """The transaction is durable."""
        ...

    def pending(self) -> bool:
        """Whether the unit wants a transaction although no message came. Asked between batches: cheap."""
        ...


class UnitFactory(Protocol):
    """What makes a line's units and knows what they read."""

    def topics(self) -> Iterable[TopicName]:
        """What to read now. Asked between batches, at most every 0.2 s: the place to follow the ledger."""
        ...

    def unit(self, record_type: RecordType, partition: int) -> Unit:
        """A new unit, not yet restored. Called in a thread of its own."""
        ...

    def refused(self, record_type: RecordType, partition: int, topics: frozenset[str]) -> None:
        """Kafka did not take records into `topics`; the unit is rebuilt and shall leave them out. Often empty."""
        ...


_INPUTS = ("registry.", "exchange.redrive.")


def record_type_of(topic: str) -> RecordType:
    """The record type whose unit reads `topic`. Raises ValueError for a topic that no line reads."""
    for prefix in _INPUTS:
        if topic.startswith(prefix):
            return RecordType(topic.removeprefix(prefix))
    kind, registry, type_, _ = topic.split(".")
    if kind != "inbox":
        raise ValueError("no input of a line")
    return RecordType(f"{registry}.{type_}")
