"""The handover line: receive ▸ decode ▸ apply, batch by batch, and then the word to the group and the receipt."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from exchange.clock import Clock, Deadline
from exchange.connect.faults import Faults
from exchange.connect.target import Batch, Change, Refusal, SqlTarget
from exchange.errors import Action, ExchangeError
from exchange.handover.apply import apply
from exchange.handover.decode import Decoder
from exchange.handover.grants import ActiveGrant
from exchange.handover.receipt import Receipt, encode
from exchange.handover.receive import receive
from exchange.kafka.message import Message
from exchange.kafka.producer import IdempotentProducer
from exchange.kafka.share_reader import ShareReader
from exchange.names import HEARTBEAT_KEY, Department, RecordType, faults_topic, receipt_topic
from exchange.observe import metrics
from exchange.stages import Stage

_FLUSH_SECONDS = 15.0
_PAUSE_SECONDS = 1.0
_log = structlog.get_logger("exchange.handover")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sink it is, and of what."""

    department: Department
    record_type: RecordType
    grant: ActiveGrant


@dataclass(frozen=True, slots=True)
class Steps:
    """The parts that the line is made of."""

    open_reader: Callable[[], ShareReader]
    decoder: Decoder
    target: SqlTarget
    producer: IdempotentProducer
    faults: Faults
    clock: Clock


class HandoverLine:
    """One grant of one department.

    1. A record that does not decode or apply is reported in the department's faults before anything moves on.
    2. A batch and its progress are one transaction of the department's database.
    3. Only then the group learns the offset. After a crash in between, the stored progress decides where reading
       begins, so that every version is applied exactly once.
    """

    def __init__(self, owner: Owner, steps: Steps) -> None:
        self._owner = owner
        self._steps = steps

    def run(self, stop: threading.Event, once: bool = False) -> None:
        """Work until `stop` is set; with `once` only until the share has been read to its end.

        Raises ExchangeError for what waiting won't mend, such as the end of the grant.
        """
        while not stop.is_set():
            reader: ShareReader | None = None
            try:
                reader = self._steps.open_reader()
                self._read(reader, stop, once)
                return
            except ExchangeError as error:
                if error.entry.action is not Action.RETRY:
                    raise
                _log.warning("handover.restarted", stage="handover.receive", code=error.code, detail=error.detail)
                stop.wait(_PAUSE_SECONDS)
            finally:
                if reader is not None:
                    reader.close()

    def _read(self, reader: ShareReader, stop: threading.Event, once: bool) -> None:
        while not stop.is_set():
            received = receive(reader)
            for partition, messages in received.items():
                self._hand_over(reader, partition, messages, stop)
            if once and not received and reader.caught_up:
                return

    def _hand_over(self, reader: ShareReader, partition: int, messages: list[Message], stop: threading.Event) -> None:
        changes, faults = self._decode(messages)
        self._report(faults)  # 1
        end = messages[-1].offset() + 1
        batch = Batch(self._owner.grant.grant, partition, changes, end, self._steps.clock.now(), len(faults))
        refused: list[Refusal] = []

        def report(refusals: Sequence[Refusal]) -> None:
            refused[:] = refusals
            self._report([self._refusal(batch, *refusal) for refusal in refusals])  # 1

        progress = apply(self._steps.target, batch, report, reader.rest, stop)  # 2
        if progress is None:
            return
        reader.commit({partition: end})  # 3
        done = Receipt(partition, progress.next_offset, progress.upserted, progress.deleted, progress.faulty, batch.at)
        self._give_receipt(done)
        self._count(changes, len(faults), len(refused))

    def _refusal(self, batch: Batch, offset: int, why: str) -> bytes:
        place = (self._owner.grant.topic, batch.partition, offset)
        return self._steps.faults.of_record(ExchangeError("E_APPLY", why), batch.at, place)

    def _decode(self, messages: list[Message]) -> tuple[list[Change], list[bytes]]:
        changes: list[Change] = []
        faults: list[bytes] = []
        for message in messages:
            if message.key() == HEARTBEAT_KEY:
                continue
            try:
                changes.append(self._steps.decoder.decode(message))
            except ExchangeError as error:
                if error.entry.action is not Action.QUARANTINE:
                    raise
                place = (message.topic(), message.partition(), message.offset())
                faults.append(self._steps.faults.of_record(error, self._steps.clock.now(), place))
        return changes, faults

    def _report(self, faults: list[bytes]) -> None:
        for fault in faults:
            self._steps.producer.send(faults_topic(self._owner.department), None, fault)
        if faults:
            self._steps.producer.flush(Deadline.after(_FLUSH_SECONDS))

    def _give_receipt(self, receipt: Receipt) -> None:
        """Counts are cumulative: a receipt that does not arrive is made good by the next."""
        key, value = encode(receipt)
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
