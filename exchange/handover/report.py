"""What a sink tells the exchange: records that it could not take, and receipts for those that it took."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.faults.log import Faults, Settled
from exchange.handover.decode import Faulty
from exchange.handover.granted import Owner
from exchange.handover.receipt import Receipt, encode
from exchange.handover.table.set_aside import SetAsideRecord, identity
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import faults_topic, receipt_topic
from exchange.stages import Stage

_FLUSH_SECONDS = 15.0
_EVERY_SECONDS = 1.0
_AFTER_LOSS_SECONDS = 60.0
_log = structlog.get_logger("exchange.handover")


class Reporter:
    """Writes into `faults.<department>`; when a method returns, Kafka has it."""

    def __init__(self, owner: Owner, faults: Faults, producer: IdempotentProducer) -> None:
        self._owner = owner
        self._faults = faults
        self._producer = producer

    def faults(self, faulty: Iterable[Faulty], at: datetime) -> None:
        """Records by their place, with what is wrong with each; nothing of their content."""
        share = self._owner.grant.topic
        self._write(
            self._faults.of_record(one.error, at, (share, one.partition, one.offset), _identity(one)) for one in faulty
        )

    def reminded(self, waiting: Iterable[SetAsideRecord], at: datetime) -> None:
        """Records that were set aside long ago and still wait."""
        share = self._owner.grant.topic
        self._write(
            self._faults.of_record(
                ExchangeError(one.code, one.detail), at, (share, one.partition, one.offset), one.record_key
            )
            for one in waiting
        )

    def settled(self, keys: Iterable[bytes], how: Settled, at: datetime) -> None:
        """Records that were set aside wait no longer."""
        self._write(self._faults.settled(identity(key), how, at) for key in keys)

    def cleared(self, items: Iterable[str], at: datetime) -> None:
        """Items that are open in the log although nothing of them waits."""
        self._write(self._faults.cleared(item, at) for item in items)

    def _write(self, encoded: Iterable[bytes]) -> None:
        topic, sent = faults_topic(self._owner.department), False
        for entry in encoded:
            self._producer.send(topic, None, entry)
            sent = True
        if sent:
            self._producer.flush(Deadline.after(_FLUSH_SECONDS))


class Receipts:
    """Writes into `receipt.<grant>` in passing: of each partition the newest receipt, at most once a second.

    Counts are cumulative: one that is late or lost is made good by the next, and what was lost is written again.
    """

    def __init__(self, owner: Owner, producer: IdempotentProducer) -> None:
        self._topic = receipt_topic(owner.grant.grant)
        self._producer = producer
        self._latest: dict[int, Receipt] = {}
        self._unsaid: set[int] = set()
        self._set_aside: Mapping[int, int] = {}
        self._next_at = 0.0
        self._not_before = 0.0
        """After a loss."""

    @property
    def partitions(self) -> frozenset[int]:
        """Partitions of which there is a receipt."""
        return frozenset(self._latest)

    def due(self, at_rest: bool) -> bool:
        """Whether there is one to write, and it is time. at_rest: nothing more will come for a while."""
        now = time.monotonic()
        return bool(self._unsaid) and now >= self._not_before and (at_rest or now >= self._next_at)

    def note(self, receipt: Receipt) -> None:
        """The newest one of its partition."""
        self._latest[receipt.partition] = receipt
        self._unsaid.add(receipt.partition)

    def say(self, set_aside: Mapping[int, int]) -> None:
        """Write what there is. set_aside: how many records of each partition wait in the sink's database."""
        unsaid, self._unsaid, self._set_aside = self._unsaid, set(), set_aside
        self._next_at = time.monotonic() + _EVERY_SECONDS
        for partition in sorted(unsaid):
            key, value = encode(replace(self._latest[partition], set_aside=set_aside.get(partition, 0)))
            self._producer.send_in_passing(self._topic, key, value, partial(self._lost, partition))
        self._producer.serve()

    def settle(self) -> None:
        """Write what is left and let it arrive, or say in the log that it did not."""
        if self._unsaid:
            self.say(self._set_aside)
        try:
            self._producer.flush(Deadline.after(_FLUSH_SECONDS))
        except ExchangeError as error:
            _log.warning("handover.receipt_lost", stage=Stage.HANDOVER_APPLY, code=error.code, detail=error.detail)

    def _lost(self, partition: int, error: ExchangeError) -> None:
        _log.warning("handover.receipt_lost", stage=Stage.HANDOVER_APPLY, code=error.code, detail=error.detail)
        self._unsaid.add(partition)
        self._not_before = time.monotonic() + _AFTER_LOSS_SECONDS


def _identity(faulty: Faulty) -> str:
    """What names a faulty record in the log of faults: its key, or its place when it has none."""
    return identity(faulty.key) if faulty.key is not None else f"{faulty.partition}/{faulty.offset}"
