"""Makes the units of admission, and says from the ledger which inboxes to read."""

from collections.abc import Iterable

import structlog

from exchange import names
from exchange.admission.line import AdmissionUnit
from exchange.admission.rules import Rules
from exchange.errors import ExchangeError
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.message import Message
from exchange.kafka.line.restore import restored
from exchange.kafka.line.unit import Unit
from exchange.names import RecordType, TopicName

_log = structlog.get_logger("exchange.admission")


class AdmissionFactory:
    """What the line asks for units and topics."""

    def __init__(self, connection: Connection, rules: Rules) -> None:
        self._connection = connection
        self._admin = Admin(connection)
        self._rules = rules
        self._partitions: dict[str, int] = {}

    def topics(self) -> list[TopicName]:
        """The inboxes to read now."""
        self._rules.ledger.poll()
        return self._rules.topics()

    def unit(self, record_type: RecordType, partition: int) -> Unit:
        """A unit to be restored."""
        registry = names.registry_topic(record_type)
        if registry not in self._partitions:
            self._partitions = self._admin.topics()
        if registry not in self._partitions:
            raise ExchangeError("E_KAFKA_TOPIC_MISSING", registry)
        return AdmissionUnit(record_type, partition, self._partitions[registry], self._rules, self._read)

    def refused(self, record_type: RecordType, partition: int, topics: frozenset[str]) -> None:
        """A registry or quarantine that cannot be written: nothing can be left out, so the unit tries again."""
        if topics:
            _log.error("admission.unwritable", record_type=record_type, partition=partition, topics=sorted(topics))

    def _read(self, topic: TopicName, partition: int) -> Iterable[Message]:
        return restored(self._connection, topic, partition)
