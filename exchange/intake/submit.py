"""Step five: send records to the department's inbox, and wait until Kafka has them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from exchange import record as wire
from exchange.backoff import Backoff
from exchange.clock import Clock, Deadline, Every, format_time
from exchange.errors import Action, ExchangeError
from exchange.intake.encode import Outgoing
from exchange.intake.health import Health
from exchange.kafka.client.producer import IdempotentProducer
from exchange.names import HEARTBEAT_KEY, RecordType, TopicName
from exchange.record import Headers

_FLUSH_SECONDS = 30.0
_REPORT_SECONDS = 2.0
_REPORT_PAUSE_SECONDS = 60.0
_BACKOFF = Backoff(first=0.5, longest=15.0)
_WITHDRAWN = b"-withdrawn"
"""Part of the `ce_id` of a withdrawal: a record of the same sequence is another event."""
_log = structlog.get_logger("exchange.intake")


class Envelope:
    """Makes the CloudEvents headers of records.

    `ce_id` is a hash of key and sequence: the same source row version always has the same id. `ce_source` is left to
    admission, which knows it from the inbox.
    """

    def __init__(self, record_type: RecordType, clock: Clock) -> None:
        self._type = record_type.encode()
        self._clock = clock

    def headers(self, outgoing: Outgoing) -> Headers:
        """The headers of one record."""
        sequence = b"%d" % outgoing.sequence
        version = sequence + _WITHDRAWN if outgoing.value is None else sequence
        return [
            (wire.SPECVERSION, wire.CLOUDEVENTS_VERSION),
            (wire.ID, wire.identity_of(outgoing.key, version)),
            (wire.TYPE, self._type),
            (wire.TIME, format_time(self._clock.now()).encode()),
            (wire.CONTENT_TYPE, wire.AVRO),
            (wire.SEQUENCE, sequence),
        ]


@dataclass(frozen=True, slots=True)
class Topics:
    """Where a source writes to."""

    inbox: TopicName
    faults: TopicName


class Submitter:
    """Writes to one inbox and to the department's faults. Batches are repeated until Kafka has all of it."""

    def __init__(
        self, connect: Callable[[], IdempotentProducer], topics: Topics, envelope: Envelope, health: Health
    ) -> None:
        self._connect = connect
        self._producer = connect()
        self._topics = topics
        self._envelope = envelope
        self._health = health

    def submit(self, records: list[Outgoing], faults: list[bytes], stop: threading.Event) -> bool:
        """Send records and faults in their order; True once Kafka has all, False when `stop` came first.

        Raises ExchangeError for what trying again won't mend.
        """
        if not records and not faults:
            return True
        failures = 0
        while not self._arrived(lambda: self._send(records, faults), failures + 1):
            failures += 1
            if stop.wait(_BACKOFF.pause(failures)):
                return False
            self._producer.close()  # what is still on its way must not arrive behind the repetition
            self._producer = self._connect()
        return True

    def _send(self, records: list[Outgoing], faults: list[bytes]) -> None:
        for outgoing in records:
            self._producer.send(self._topics.inbox, outgoing.key, outgoing.value, self._envelope.headers(outgoing))
        for fault in faults:
            self._producer.send(self._topics.faults, None, fault)

    def _arrived(self, send: Callable[[], None], attempt: int = 1) -> bool:
        """Whether Kafka took what `send` sends. Raises ExchangeError for what trying again won't mend."""
        try:
            send()
            self._producer.flush(Deadline.after(_FLUSH_SECONDS))
        except ExchangeError as error:
            if error.entry.action is not Action.RETRY:
                raise
            self._health.away(error, attempt)
            return False
        self._health.back(source=False)
        return True

    def heartbeat(self) -> None:
        """Send a sign of life. One that fails is not repeated: the next one follows."""
        self._arrived(lambda: self._producer.send(self._topics.inbox, HEARTBEAT_KEY, None))

    def close(self) -> None:
        """Let go of Kafka."""
        self._producer.close()


class ReportSender:
    """Sends reports with a client of its own: one that does not arrive holds up no record. It never raises."""

    def __init__(self, connect: Callable[[], IdempotentProducer], topic: TopicName) -> None:
        self._connect = connect
        self._producer: IdempotentProducer | None = None
        self._topic = topic
        self._again = Every(_REPORT_PAUSE_SECONDS)

    def __call__(self, key: bytes, value: bytes) -> None:
        """Send one report. After a failure there are none for a minute."""
        if self._producer is None and not self._again.due:
            return
        try:
            self._producer = self._producer or self._connect()
            self._producer.send(self._topic, key, value)
            self._producer.flush(Deadline.after(_REPORT_SECONDS))
        except ExchangeError as error:
            _log.warning("intake.report_not_sent", code=error.code, detail=error.detail)
            self.close()
            self._again.done()

    def resume(self) -> None:
        """Kafka answers again: the next report is sent, whatever became of the last one."""
        self._again = Every(_REPORT_PAUSE_SECONDS)

    def close(self) -> None:
        """Let go of Kafka."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None
