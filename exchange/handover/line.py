"""The handover line into a table: receive ▸ decode ▸ apply, batch by batch, and the word to the group and the exchange.

While one batch is applied the next one is decoded (`ahead`).

1. A record that does not decode or apply is reported in the department's faults before anything moves on.
2. A batch and its progress are one transaction of the department's database.
3. Only then the group learns the offset and the exchange the counts, both in passing: nothing waits for the answer.
   The stored progress decides where reading begins, so that every version is applied exactly once, and after a crash it
   says what was not told.
4. At the end of a partition it is noted that the table is current. When that was too long ago, or the place to read
   from is gone, the partition is read again from its beginning, and what is not seen there leaves the table.
5. What the table has refused is tried again now and then.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from exchange.clock import Clock
from exchange.errors import ExchangeError
from exchange.faults.fold import Fault
from exchange.handover.ahead import Ahead, Portion, Received
from exchange.handover.decode import Decoded, Decoder, Faulty
from exchange.handover.granted import Begin, Owner
from exchange.handover.health import SinkHealth
from exchange.handover.patience import Patience
from exchange.handover.readings import Readings
from exchange.handover.receipt import Receipt
from exchange.handover.receive import receive
from exchange.handover.report import Receipts, Reporter
from exchange.handover.set_aside import SetAside
from exchange.handover.table.batch import Batch, Refusal
from exchange.handover.table.progress import Progress
from exchange.handover.table.set_aside import SetAsideRecord
from exchange.handover.table.target import SqlTarget
from exchange.kafka.client.share_reader import ShareReader, passes
from exchange.observe import metrics
from exchange.stages import Stage

_PAUSE_SECONDS = 1.0
_log = structlog.get_logger("exchange.handover")


@dataclass(frozen=True, slots=True)
class Steps:
    """The parts that the line is made of."""

    open_reader: Callable[[Begin], ShareReader]
    decoder: Decoder
    target: SqlTarget
    reporter: Reporter
    receipts: Receipts
    clock: Clock
    moved: Callable[[], bool]
    """Whether the grant has gone on in another share. Asked all the time: cheap."""
    health: SinkHealth
    listed: Callable[[], Sequence[SetAsideRecord]]
    """All that waits in the department's database."""
    told: Callable[[], Sequence[Fault]]
    """What the department's faults say that waits of this sink."""


class HandoverLine:
    """One grant of one department, into one table."""

    def __init__(self, owner: Owner, steps: Steps) -> None:
        self._owner = owner
        self._steps = steps
        self._readings = Readings(owner, steps.target, steps.clock)
        self._set_aside = SetAside(owner, steps.target, steps.listed, steps.told, steps.reporter)

    def run(self, stop: threading.Event, once: bool = False) -> None:
        """Work until `stop` is set or the grant goes on in another share; with `once` only until its end is reached.

        Raises ExchangeError for what waiting won't mend, such as the end of the grant.
        """
        try:
            self._run(stop, once)
        finally:
            self._steps.receipts.settle()

    def _run(self, stop: threading.Event, once: bool) -> None:
        served = False
        while not stop.is_set():
            reader: ShareReader | None = None
            try:
                reader = self._steps.open_reader(self._readings.begin)
                self._read(reader, Patience(self._steps.health, stop, reader.rest), once)
                if not reader.settle():
                    _log.warning("handover.offsets_untold", stage=Stage.HANDOVER_APPLY)
                return
            except ExchangeError as error:
                served = served or (reader is not None and reader.served)
                if not passes(error, served):
                    raise
                self._steps.health.broken_off(error)
                stop.wait(_PAUSE_SECONDS)
            finally:
                if reader is not None:
                    reader.close()

    def _read(self, reader: ShareReader, patience: Patience, once: bool) -> None:
        ahead = Ahead(self._steps.decoder)
        while not patience.stop.is_set():
            messages = receive(reader, wait=not ahead.waiting)
            readings, begun = self._readings.numbers(), self._readings.begun()
            self._note(begun)
            reader.took({partition: one.next_offset for partition, one in begun.items() if one.next_offset > 0})
            self._readings.refuse_lost(reader)
            portions, ended = ahead.take(begun)
            received = Received(messages, readings, frozenset(reader.ended()))
            if messages:
                ahead.begin(received)
            else:
                ended |= {partition: readings[partition] for partition in received.ended}
            taken = {one.partition: one.end for one in portions if self._hand_over(patience, one)}
            reader.took(taken)  # 3
            if patience.stop.is_set():
                return
            self._complete(ended, patience)  # 4
            at_end = not messages and reader.caught_up
            self._look_at_what_waits(patience, at_end, whole=once and at_end)
            self._steps.health.reading(reader)
            if self._steps.moved() or (once and at_end):
                return

    def _hand_over(self, patience: Patience, portion: Portion) -> bool:
        """Apply what was received of one partition and decoded; False when it was told to stop meanwhile."""
        partition, decoded = portion.partition, portion.decoded
        self._steps.reporter.faults(decoded.faulty, self._steps.clock.now())  # 1
        batch = self._batch(portion)
        refused: list[Faulty] = []

        def report(refusals: Sequence[Refusal]) -> None:
            keys = {change.offset: change.key for change in batch.changes}
            refused[:] = [
                Faulty(partition, offset, keys.get(offset), ExchangeError("E_APPLY", why)) for offset, why in refusals
            ]
            self._steps.reporter.faults(refused, batch.at)  # 1

        progress = patience.until(lambda: self._steps.target.apply(batch, report))  # 2
        if progress is None:
            return False
        self._note({partition: progress})  # 3
        self._count(decoded, len(refused))
        return True

    def _batch(self, portion: Portion) -> Batch:
        faulty = {one.offset: one.key for one in portion.decoded.faulty}
        changes, now = portion.decoded.changes, self._steps.clock.now()
        return Batch(self._owner.grant.grant, portion.partition, changes, portion.end, now, faulty, portion.reading)

    def _complete(self, ended: Mapping[int, int], patience: Patience) -> None:
        """4. Partitions whose end was reached, with the number of the reading that reached it."""
        for partition, reading in ended.items():
            resynced = self._readings.complete(partition, reading, patience)
            if resynced is not None:
                self._note({partition: resynced})

    def _note(self, progress: Mapping[int, Progress]) -> None:
        """What the receipts of partitions are to say. A partition of which nothing was taken has none."""
        at = self._steps.clock.now()
        for partition, done in progress.items():
            counts = (done.next_offset, done.upserted, done.deleted, done.faulty)
            if any(counts):
                self._steps.receipts.note(Receipt(partition, *counts, at))

    def _look_at_what_waits(self, patience: Patience, at_end: bool, whole: bool) -> None:
        """5. And the receipts, which say how much of it there is."""
        target, receipts, grant = self._steps.target, self._steps.receipts, self._owner.grant.grant
        if self._set_aside.look(patience, self._steps.clock, at_end, whole):
            stored = patience.until(lambda: target.stored(grant)) or {}
            self._note({partition: done for partition, done in stored.items() if partition in receipts.partitions})
        if receipts.due(at_end):
            counts = self._set_aside.counts(patience)
            if counts is not None:
                receipts.say(counts)

    def _count(self, decoded: Decoded, refused: int) -> None:
        record_type, changes, faulty = self._owner.record_type, len(decoded.changes), len(decoded.faulty)
        removed = sum(change.record is None for change in decoded.changes)
        metrics.count_records(Stage.HANDOVER_APPLY, "deleted", record_type, removed)
        metrics.count_records(Stage.HANDOVER_APPLY, "upserted", record_type, changes - removed - refused)
        metrics.count_records(Stage.HANDOVER_APPLY, "faulty", record_type, refused)
        metrics.count_records(Stage.HANDOVER_DECODE, "faulty", record_type, faulty)
        _log.info(
            "handover.batch",
            stage=Stage.HANDOVER_APPLY,
            grant=self._owner.grant.grant,
            records=changes,
            faulty=faulty + refused,
        )
