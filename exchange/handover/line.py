"""The handover line into a table: receive ▸ decode ▸ apply, batch by batch, then the word to the group and the receipt.

1. A record that does not decode or apply is reported in the department's faults before anything moves on.
2. A batch and its progress are one transaction of the department's database.
3. Only then the group learns the offset. After a crash in between, the stored progress decides where reading begins, so
   that every version is applied exactly once.
4. At the end of a partition it is noted that the table is current. When that was too long ago, or the place to read
   from is gone, the partition is read again from its beginning, and what is not seen there leaves the table.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from exchange.clock import Clock
from exchange.errors import ExchangeError
from exchange.handover.apply import apply
from exchange.handover.decode import Decoded, Decoder, Faulty
from exchange.handover.granted import Begin, Owner
from exchange.handover.readings import Readings
from exchange.handover.receipt import Receipt
from exchange.handover.receive import receive
from exchange.handover.report import Reporter
from exchange.handover.table.progress import Progress
from exchange.handover.table.target import Batch, Refusal, SqlTarget
from exchange.kafka.client.message import Message
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
    clock: Clock
    moved: Callable[[], bool]
    """Whether the grant has gone on in another share. Asked all the time: cheap."""


class HandoverLine:
    """One grant of one department, into one table."""

    def __init__(self, owner: Owner, steps: Steps) -> None:
        self._owner = owner
        self._steps = steps
        self._readings = Readings(owner, steps.target, steps.clock)

    def run(self, stop: threading.Event, once: bool = False) -> None:
        """Work until `stop` is set or the grant goes on in another share; with `once` only until its end is reached.

        Raises ExchangeError for what waiting won't mend, such as the end of the grant.
        """
        served = False
        while not stop.is_set():
            reader: ShareReader | None = None
            try:
                reader = self._steps.open_reader(self._readings.begin)
                self._read(reader, stop, once)
                return
            except ExchangeError as error:
                served = served or (reader is not None and reader.served)
                if not passes(error, served):
                    raise
                _log.warning("handover.restarted", stage="handover.receive", code=error.code, detail=error.detail)
                stop.wait(_PAUSE_SECONDS)
            finally:
                if reader is not None:
                    reader.close()

    def _read(self, reader: ShareReader, stop: threading.Event, once: bool) -> None:
        while not stop.is_set():
            received = receive(reader)
            readings = self._readings.numbers()
            self._readings.refuse_lost(reader)
            for partition, messages in received.items():
                self._hand_over(reader, readings[partition], messages, stop)
            if stop.is_set():
                return
            for partition in reader.ended():  # 4
                resynced = self._readings.complete(reader, partition, stop)
                if resynced is not None:
                    self._give_receipt(partition, resynced)
            if self._steps.moved():
                return
            if once and not received and reader.caught_up:
                return

    def _hand_over(self, reader: ShareReader, reading: int, messages: list[Message], stop: threading.Event) -> None:
        """What was received of one partition: decode ▸ apply."""
        partition, end = messages[0].partition(), messages[-1].offset() + 1
        decoded = self._steps.decoder.all(messages)
        self._steps.reporter.faults(decoded.faulty, self._steps.clock.now())  # 1
        batch = self._batch(partition, reading, decoded, end)
        refused: list[Faulty] = []

        def report(refusals: Sequence[Refusal]) -> None:
            refused[:] = [Faulty(partition, offset, None, ExchangeError("E_APPLY", why)) for offset, why in refusals]
            self._steps.reporter.faults(refused, batch.at)  # 1

        progress = apply(self._steps.target, batch, report, reader.rest, stop)  # 2
        if progress is None:
            return
        reader.commit({partition: end})  # 3
        self._give_receipt(partition, progress)
        self._count(decoded, len(refused))

    def _batch(self, partition: int, reading: int, decoded: Decoded, end: int) -> Batch:
        faulty = {one.offset: one.key for one in decoded.faulty}
        now = self._steps.clock.now()
        return Batch(self._owner.grant.grant, partition, decoded.changes, end, now, faulty, reading)

    def _give_receipt(self, partition: int, done: Progress) -> None:
        at = self._steps.clock.now()
        receipt = Receipt(partition, done.next_offset, done.upserted, done.deleted, done.faulty, at)
        try:
            self._steps.reporter.receipts([receipt])
        except ExchangeError as error:
            _log.warning("handover.receipt_lost", stage="handover.apply", code=error.code, detail=error.detail)

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
