"""The slots of a worker: one for each unit that the group gave it, and which of them reads which place."""

from collections.abc import Iterator

import structlog

from exchange.errors import ExchangeError
from exchange.kafka.client.message import Place
from exchange.kafka.line.builder import Builder
from exchange.kafka.line.membership import Membership
from exchange.kafka.line.slot import Slot, SlotState
from exchange.kafka.line.subscription import Subscription
from exchange.kafka.line.unit import UnitId, record_type_of

_log = structlog.get_logger("exchange.line")


class Assignment:
    """What this worker has in one generation of the group. Iterates over its slots."""

    def __init__(self, members: Membership, subscription: Subscription, builder: Builder) -> None:
        self.generation = 0
        """The generation of the group that the slots stand for."""
        self.readers: dict[Place, Slot] = {}
        """Whose the records of each place are that is being read."""
        self._members = members
        self._subscription = subscription
        self._builder = builder
        self._slots: dict[UnitId, Slot] = {}

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots.values())

    @property
    def current(self) -> bool:
        """Whether the group has not moved since."""
        return self.generation == self._members.generation

    @property
    def ready(self) -> bool:
        """Whether the group has settled, on all that was asked for, and every slot is at work. In any thread."""
        settled = self._members.assigned is not None and self.current and self._subscription.agreed
        return settled and all(slot.state is SlotState.READY for slot in list(self._slots.values()))

    @property
    def open(self) -> bool:
        """Whether a transaction is under way."""
        return any(slot.open for slot in self)

    @property
    def misread(self) -> bool:
        """Whether what is read is not what the slots want."""
        return any(slot.misread for slot in self)

    def advance(self) -> bool:
        """Let each slot go on; then read what ready ones want, from their positions on. Whether that began anew."""
        for slot in self:
            slot.advance(self._subscription.topics_of)
        self._locate()
        if not self.misread or self._members.assigned is None or self.open:
            return False
        self.readers, positions = {}, {}
        for slot in self:
            for place, offset in slot.read().items():
                self.readers[place], positions[place] = slot, offset
        self._members.read(positions)
        return True

    def _locate(self) -> None:
        """Find where the units that were built read on. In this thread: the client's consumer serves one at a time."""
        built = [slot for slot in self if slot.to_locate]
        if not built or self._members.assigned is None:
            return
        try:
            unknown = {place for slot in built for place in slot.unknown}
            committed = self._members.committed(unknown)
            beginnings = self._members.beginnings(unknown - committed.keys())
        except ExchangeError as error:
            _log.warning("line.offsets_unknown", line=self._builder.line, code=error.code)
            for slot in built:
                slot.locate_later()
            return
        for slot in built:
            slot.locate(committed, beginnings)

    def regroup(self) -> None:
        """After a rebalance: what was open is thrown away, units that stay ours are kept, the others let go."""
        self.generation = self._members.generation
        self.readers = {}
        for slot in self:
            slot.suspend()
        if self._members.assigned is None:
            return
        topics: dict[UnitId, set[str]] = {}
        for topic, partition in self._members.assigned:
            topics.setdefault(UnitId(record_type_of(topic), partition), set()).add(topic)
        for gone in self._slots.keys() - topics.keys():
            self._slots.pop(gone).part()
        for unit_id, found in topics.items():
            self._slots.setdefault(unit_id, Slot(unit_id, self._builder)).keep(frozenset(found))
        _log.info("line.assigned", line=self._builder.line, generation=self.generation, units=len(self._slots))

    def part(self) -> None:
        """Let go of everything."""
        for slot in self:
            slot.part()
