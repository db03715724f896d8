"""The handover line: receive ▸ decode ▸ apply, batch by batch, and then the word to the group and the receipt."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from exchange.clock import Clock, Deadline
from exchange.errors import Action, ExchangeError
from exchange.faults.log import Faults
from exchange.handover.apply import apply, patiently
from exchange.handover.decode import Decoder
from exchange.handover.grants import ActiveGrant
from exchange.handover.layout import Change
from exchange.handover.receipt import Receipt, encode
from exchange.handover.receive import receive
from exchange.handover.table.progress import Progress
from exchange.handover.table.target import Batch, Refusal, SqlTarget
from exchange.kafka.client.message import Message
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.share_reader import ShareReader, passes
from exchange.names import HEARTBEAT_KEY, Department, RecordType, faults_topic, receipt_topic
from exchange.observe import metrics
from exchange.stages import Stage

_FLUSH_SECONDS = 15.0
_PAUSE_SECONDS = 1.0
_CURRENT_EVERY = timedelta(hours=1)
"""How often it is noted of a partition that all of it has been applied: often enough to tell an absence of weeks."""
_log = structlog.get_logger("exchange.handover")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sink it is, and of what."""

    department: Department
    record_type: RecordType
    grant: ActiveGrant


Begin = Callable[[list[int]], Mapping[int, int]]
"""Asked for partitions that are about to be read: the offset to begin at, of each."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The parts that the line is made of."""

    open_reader: Callable[[Begin], ShareReader]
    decoder: Decoder
    target: SqlTarget
    producer: IdempotentProducer
    faults: Faults
    clock: Clock
    moved: Callable[[], bool]
    """Whether the grant has gone on in another share. Asked all the time: cheap."""


class HandoverLine:
    """One grant of one department.

    1. A record that does not decode or apply is reported in the department's faults before anything moves on.
    2. A batch and its progress are one transaction of the department's database.
    3. Only then the group learns the offset. After a crash in between, the stored progress decides where reading
       begins, so that every version is applied exactly once.
    4. At the end of a partition it is noted that the table is current. When that was too long ago, or the place to read
       from is gone, the partition is read again from its beginning, and what is not seen there leaves the table.
    """

    def __init__(self, owner: Owner, steps: Steps) -> None:
        self._owner = owner
        self._steps = steps
        self._readings: dict[int, int] = {}
        """The number of the reading under way, of each partition."""
        self._resyncing: set[int] = set()
        """Partitions of which rows of former readings are still to be swept."""
        self._current: dict[int, datetime] = {}
        """When each partition was last noted to be current; absent before it is."""

    def run(self, stop: threading.Event, once: bool = False) -> None:
        """Work until `stop` is set or the grant goes on in another share; with `once` only until its end is reached.

        Raises ExchangeError for what waiting won't mend, such as the end of the grant.
        """
        served = False
        while not stop.is_set():
            reader: ShareReader | None = None
            try:
                reader = self._steps.open_reader(self._begin)
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
            readings = dict(self._readings)
            self._refuse_lost(reader)
            for partition, messages in received.items():
                self._hand_over(reader, readings[partition], messages, stop)
            if stop.is_set():
                return
            for partition in reader.ended():
                self._complete(reader, partition, stop)
            if self._steps.moved():
                return
            if once and not received and reader.caught_up:
                return

    def _begin(self, partitions: list[int]) -> dict[int, int]:
        """Where to read each partition from; called when the group gives it to us."""
        grant = self._owner.grant
        found = self._steps.target.begin(grant.grant, grant.topic, partitions, self._steps.clock.now())
        for partition, progress in found.items():
            self._readings[partition] = progress.reading
            self._current.pop(partition, None)
            if progress.resyncing:
                self._resyncing.add(partition)
                self._tell("handover.resync", partition, progress)
        return {partition: progress.next_offset for partition, progress in found.items()}

    def _refuse_lost(self, reader: ShareReader) -> None:
        """A place that is not in the share: read that partition again. Raises ExchangeError(E_SHARE_POSITION)."""
        lost = reader.lost()
        for partition, end in lost.items():
            self._steps.target.read_again(self._owner.grant.grant, partition, self._steps.clock.now(), end)
        if lost:
            raise ExchangeError("E_SHARE_POSITION", f"{self._owner.grant.topic}: partitions {sorted(lost)}")

    def _complete(self, reader: ShareReader, partition: int, stop: threading.Event) -> None:
        """4. The end of a partition: note it now and then, and after a resync once the rows not seen are swept."""
        now = self._steps.clock.now()
        if partition in self._current and now - self._current[partition] < _CURRENT_EVERY:
            return
        place = (self._owner.grant.grant, partition, self._readings[partition], now)
        progress = patiently(lambda: self._steps.target.complete(*place), reader.rest, stop)
        if progress is None:
            return
        self._current[partition] = now
        if partition in self._resyncing:
            self._resyncing.discard(partition)
            self._give_receipt(partition, progress)
            self._tell("handover.resynced", partition, progress)

    def _tell(self, what: str, partition: int, progress: Progress) -> None:
        grant = self._owner.grant.grant
        _log.warning(what, stage=Stage.HANDOVER_RECEIVE, grant=grant, partition=partition, reading=progress.reading)

    def _hand_over(self, reader: ShareReader, reading: int, messages: list[Message], stop: threading.Event) -> None:
        partition, end = messages[0].partition(), messages[-1].offset() + 1
        changes, faults = self._decode(messages)
        self._report([fault for _, fault in faults.values()])  # 1
        keys = {offset: key for offset, (key, _) in faults.items()}
        batch = Batch(self._owner.grant.grant, partition, changes, end, self._steps.clock.now(), keys, reading)
        refused: list[Refusal] = []

        def report(refusals: Sequence[Refusal]) -> None:
            refused[:] = refusals
            self._report([self._refusal(batch, *refusal) for refusal in refusals])  # 1

        progress = apply(self._steps.target, batch, report, reader.rest, stop)  # 2
        if progress is None:
            return
        reader.commit({partition: end})  # 3
        self._give_receipt(partition, progress)
        self._count(changes, len(faults), len(refused))

    def _refusal(self, batch: Batch, offset: int, why: str) -> bytes:
        place = (self._owner.grant.topic, batch.partition, offset)
        return self._steps.faults.of_record(ExchangeError("E_APPLY", why), batch.at, place)

    def _decode(self, messages: list[Message]) -> tuple[list[Change], dict[int, tuple[bytes | None, bytes]]]:
        """The changes, and of each record that is none: its offset, its key and the fault to report."""
        changes: list[Change] = []
        faults: dict[int, tuple[bytes | None, bytes]] = {}
        for message in messages:
            if message.key() == HEARTBEAT_KEY:
                continue
            try:
                changes.append(self._steps.decoder.decode(message))
            except ExchangeError as error:
                if error.entry.action is not Action.QUARANTINE:
                    raise
                place = (message.topic(), message.partition(), message.offset())
                fault = self._steps.faults.of_record(error, self._steps.clock.now(), place)
                faults[message.offset()] = (message.key(), fault)
        return changes, faults

    def _report(self, faults: list[bytes]) -> None:
        for fault in faults:
            self._steps.producer.send(faults_topic(self._owner.department), None, fault)
        if faults:
            self._steps.producer.flush(Deadline.after(_FLUSH_SECONDS))

    def _give_receipt(self, partition: int, done: Progress) -> None:
        """Counts are cumulative: a receipt that does not arrive is made good by the next."""
        at = self._steps.clock.now()
        key, value = encode(Receipt(partition, done.next_offset, done.upserted, done.deleted, done.faulty, at))
        try:
            self._steps.producer.send(receipt_topic(self._owner.grant.grant), key, value)
            self._steps.producer.flush(Deadline.after(_FLUSH_SECONDS))
        except ExchangeError as error:
            _log.warning("handover.receipt_lost", stage="handover.apply", code=error.code, detail=error.detail)

    def _count(self, changes: list[Change], faults: int, refused: int) -> None:
        record_type = self._owner.record_type
        removed = sum(change.record is None for change in changes)
        metrics.count_records(Stage.HANDOVER_APPLY, "deleted", record_type, removed)
        metrics.count_records(Stage.HANDOVER_APPLY, "upserted", record_type, len(changes) - removed - refused)
        metrics.count_records(Stage.HANDOVER_APPLY, "faulty", record_type, refused)
        metrics.count_records(Stage.HANDOVER_DECODE, "faulty", record_type, faults)
        _log.info(
            "handover.batch",
            stage=Stage.HANDOVER_APPLY,
            grant=self._owner.grant.grant,
            records=len(changes),
            faulty=faults + refused,
        )
