"""The records of the next delivery, which wait in memory until it is full or due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from exchange.errors import Action, ExchangeError
from exchange.handover.decode import Decoder, Faulty
from exchange.handover.files.chain import Standing
from exchange.handover.files.manifest import Range, Totals
from exchange.handover.layout import Layout
from exchange.kafka.client.message import Message
from exchange.names import HEARTBEAT_KEY


@dataclass(slots=True)
class Collected:
    """Records by partition, each in its order; and how far each partition was read."""

    messages: dict[int, list[Message]] = field(default_factory=dict)
    read_to: dict[int, int] = field(default_factory=dict)
    records: int = 0
    bytes: int = 0
    since: datetime | None = None
    """When the first record was read."""

    def add(self, partition: int, messages: list[Message], now: datetime) -> None:
        """Take in what was read."""
        kept = [message for message in messages if message.key() != HEARTBEAT_KEY]
        self.messages.setdefault(partition, []).extend(kept)
        self.read_to[partition] = messages[-1].offset() + 1
        self.since = self.since or (now if kept else None)
        self.records += len(kept)
        self.bytes += sum(len(message.value() or b"") for message in kept)

    def newest(self) -> Iterator[Message]:
        """Of each record the last version."""
        for messages in self.messages.values():
            last = {message.key(): message for message in messages}
            yield from last.values()

    def faulty(self, decoder: Decoder, layout: Layout) -> list[Faulty]:
        """The newest versions that do not decode, or whose key does not fit."""
        found: list[Faulty] = []
        for message in self.newest():
            try:
                change = decoder.decode(message)
                layout.key_values(change.key)
            except ExchangeError as error:
                if error.entry.action is not Action.QUARANTINE:
                    raise
                found.append(Faulty(message.partition(), message.offset(), message.key(), error))
        return found

    def ranges(self, standing: Standing, faulty: Sequence[Faulty]) -> list[Range]:
        """The stretch of each partition that follows where the sink stands, with its totals."""
        places = {(one.partition, one.offset) for one in faulty}
        partitions = sorted({*standing.starts, *self.read_to})
        return [self._range(partition, standing, places) for partition in partitions]

    def _range(self, partition: int, standing: Standing, faulty: set[tuple[int, int]]) -> Range:
        start, before = standing.starts.get(partition, 0), standing.totals.get(partition, Totals())
        end = self.read_to.get(partition, start)
        new = [one for one in self.messages.get(partition, ()) if one.offset() >= before.counted_to]
        right = [one for one in new if (partition, one.offset()) not in faulty]
        gone, wrong = sum(one.value() is None for one in right), len(new) - len(right)
        totals = Totals(
            upserted=before.upserted + len(right) - gone,
            deleted=before.deleted + gone,
            faulty=before.faulty + wrong,
            counted_to=max(before.counted_to, end),
        )
        return Range(partition=partition, start=start, end=end, before=before, totals=totals)
