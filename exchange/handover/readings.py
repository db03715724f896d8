"""Where a sink with a table reads each partition of its share from, and whether the table is current.

A share is read from its beginning once and then on and on; when that is not enough, again: a new *reading*
(`exchange.handover.table.progress`). The sink's database remembers it, in the transactions that apply the records.
"""

from datetime import datetime, timedelta

import structlog

from exchange.clock import Clock
from exchange.errors import ExchangeError
from exchange.handover.granted import Owner
from exchange.handover.patience import Patience
from exchange.handover.table.progress import Progress
from exchange.handover.table.target import SqlTarget
from exchange.kafka.client.share_reader import ShareReader
from exchange.stages import Stage

_CURRENT_EVERY = timedelta(hours=1)
"""How often it is noted of a partition that all of it has been applied: often enough to tell an absence of weeks."""
_log = structlog.get_logger("exchange.handover")


class Readings:
    """The readings under way of one grant's share."""

    def __init__(self, owner: Owner, target: SqlTarget, clock: Clock) -> None:
        self._grant = owner.grant
        self._target = target
        self._clock = clock
        self._numbers: dict[int, int] = {}
        """The number of the reading under way, of each partition."""
        self._resyncing: set[int] = set()
        """Partitions of which rows of former readings are still to be swept."""
        self._current: dict[int, datetime] = {}
        """When each partition was last noted to be current; absent before it is."""
        self._begun: dict[int, Progress] = {}

    def begin(self, partitions: list[int]) -> dict[int, int]:
        """Where to read each partition from; called when the group gives it to us."""
        found = self._target.begin(self._grant.grant, self._grant.topic, partitions, self._clock.now())
        self._begun |= found
        for partition, progress in found.items():
            self._numbers[partition] = progress.reading
            self._current.pop(partition, None)
            if progress.resyncing:
                self._resyncing.add(partition)
                self._tell("handover.resync", partition, progress)
        return {partition: progress.next_offset for partition, progress in found.items()}

    def begun(self) -> dict[int, Progress]:
        """The progress of partitions that the group has given us since the last call."""
        found, self._begun = self._begun, {}
        return found

    def numbers(self) -> dict[int, int]:
        """The number of the reading under way, of each partition, as it is now."""
        return dict(self._numbers)

    def refuse_lost(self, reader: ShareReader) -> None:
        """A place that is not in the share: read that partition again. Raises ExchangeError(E_SHARE_POSITION)."""
        lost = reader.lost()
        for partition, end in lost.items():
            self._target.read_again(self._grant.grant, partition, self._clock.now(), end)
        if lost:
            raise ExchangeError("E_SHARE_POSITION", f"{self._grant.topic}: partitions {sorted(lost)}")

    def complete(self, partition: int, reading: int, patience: Patience) -> Progress | None:
        """The end of a partition: note it now and then, and after a resync once the rows not seen are swept.

        reading: the one that has reached the end. Gives the progress behind a resync, which is to have a receipt; None
        otherwise.
        """
        if reading != self._numbers[partition]:
            return None
        now = self._clock.now()
        if partition in self._current and now - self._current[partition] < _CURRENT_EVERY:
            return None
        place = (self._grant.grant, partition, reading, now)
        progress = patience.until(lambda: self._target.complete(*place))
        if progress is None:
            return None
        self._current[partition] = now
        if partition not in self._resyncing:
            return None
        self._resyncing.discard(partition)
        self._tell("handover.resynced", partition, progress)
        return progress

    def _tell(self, what: str, partition: int, progress: Progress) -> None:
        grant = self._grant.grant
        _log.warning(what, stage=Stage.HANDOVER_RECEIVE, grant=grant, partition=partition, reading=progress.reading)
