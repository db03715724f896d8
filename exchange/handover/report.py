"""What a sink tells the exchange: records that it could not take, and receipts for those that it took."""

from collections.abc import Iterable
from datetime import datetime

from exchange.clock import Deadline
from exchange.faults.log import Faults
from exchange.handover.decode import Faulty
from exchange.handover.granted import Owner
from exchange.handover.receipt import Receipt, encode
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import faults_topic, receipt_topic

_FLUSH_SECONDS = 15.0


class Reporter:
    """Writes into `faults.<department>` and `receipt.<grant>`; when a method returns, Kafka has it."""

    def __init__(self, owner: Owner, faults: Faults, producer: IdempotentProducer) -> None:
        self._owner = owner
        self._faults = faults
        self._producer = producer

    def faults(self, faulty: Iterable[Faulty], at: datetime) -> None:
        """Records by their place, with what is wrong with each; nothing of their content."""
        topic, share = faults_topic(self._owner.department), self._owner.grant.topic
        encoded = [self._faults.of_record(one.error, at, (share, one.partition, one.offset)) for one in faulty]
        for fault in encoded:
            self._producer.send(topic, None, fault)
        if encoded:
            self._producer.flush(Deadline.after(_FLUSH_SECONDS))

    def receipts(self, receipts: Iterable[Receipt]) -> None:
        """The state of partitions. Counts are cumulative: one that does not arrive is made good by the next."""
        topic = receipt_topic(self._owner.grant.grant)
        for receipt in receipts:
            key, value = encode(receipt)
            self._producer.send(topic, key, value)
        self._producer.flush(Deadline.after(_FLUSH_SECONDS))
