"""What all units of admission share: schemas, code sets, and the ledger's word on who may submit what."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from exchange import names
from exchange.admission.inboxes import Inbox, inbox, inbox_topics
from exchange.avro.lock import SchemaRepository
from exchange.avro.record_schema import RecordSchema
from exchange.clock import Clock
from exchange.kafka.admin.topics import HEARTBEAT_EVERY
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import RecordType, TopicName

_SECONDS_A_DAY = 86_400
_CHINA_SECONDS = 8 * 3_600


class Ledger(Protocol):
    """What admission needs of the ledger: a follower of it."""

    @property
    def state(self) -> LedgerState:
        """The state as of the last poll."""
        ...

    def poll(self) -> bool:
        """Follow; whether anything changed."""
        ...


class Rules:
    """What all units share: schemas, code sets, the ledger's word on who may submit what."""

    def __init__(
        self,
        schemas: SchemaRepository,
        code_sets: Mapping[str, frozenset[str]],
        ledger: Ledger,
        clock: Clock,
        heartbeat_every: timedelta = HEARTBEAT_EVERY,
    ) -> None:
        self.schemas = schemas
        self.code_sets = code_sets
        self.ledger = ledger
        self.clock = clock
        self.heartbeat_ms = heartbeat_every // timedelta(milliseconds=1)
        """Between two heartbeats that a unit writes into its registry partition, so that old values get compacted."""

    def schema(self, record_type: RecordType) -> RecordSchema:
        """The rules of a record type, as its newest schema declares them."""
        record = self.schemas.latest(record_type).record
        assert record is not None  # a subject that is a record type has rules
        return record

    def inbox(self, topic: TopicName) -> Inbox:
        """The facts of an inbox, now."""
        return inbox(topic, self.schema(names.split_inbox(topic)[0]), self.ledger.state)

    def topics(self) -> list[TopicName]:
        """The inboxes of all resources whose record type has a schema, now, and what is redriven of those types."""
        known = set(self.schemas.record_types())
        inboxes = [topic for topic in inbox_topics(self.ledger.state) if names.split_inbox(topic)[0] in known]
        return inboxes + sorted({names.redrive_topic(names.split_inbox(topic)[0]) for topic in inboxes})

    def today(self) -> int:
        """The day in China, in days since 1970."""
        return int(self.clock.now().timestamp() + _CHINA_SECONDS) // _SECONDS_A_DAY
