"""A sink with the grant that it serves: what handing over into a table and into files both begin with."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exchange.avro.lock import SchemaRepository
from exchange.clock import Clock, SystemClock
from exchange.connect.declare import Sink
from exchange.connect.find import Connector
from exchange.errors import ExchangeError
from exchange.handover.grants import ActiveGrant, GrantFinder
from exchange.handover.layout import Layout
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.share_reader import ShareReader
from exchange.names import Department, RecordType
from exchange.observe.condition import Condition
from exchange.settings import Settings

Begin = Callable[[list[int]], Mapping[int, int]]
"""Asked for partitions that are about to be read: the offset to begin at, of each."""


@dataclass(frozen=True, slots=True)
class Run:
    """How long to work, and by which clock."""

    stop: threading.Event
    once: bool = False
    """Only until the share has been read to its end."""
    clock: Clock = field(default_factory=SystemClock)
    condition: Condition = field(default_factory=Condition)
    """How the sink is, for /readyz."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose sink it is, and of what."""

    department: Department
    record_type: RecordType
    grant: ActiveGrant


@dataclass(frozen=True, slots=True)
class GrantedSink:
    """A sink of a department, the grant that it serves, and whom to ask about that."""

    connector: Connector
    sink: Sink
    settings: Settings
    grant: ActiveGrant
    finder: GrantFinder

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return Owner(self.connector.department, self.sink.record_type, self.grant)

    def layout(self) -> Layout:
        """What the share's records are to the sink. Raises ExchangeError(E_SCHEMA) for what is no record type."""
        schema = SchemaRepository.load(self.settings.schemas).latest(self.sink.record_type)
        if schema.record is None:
            raise ExchangeError("E_SCHEMA", f"{self.sink.record_type} is no record type")
        shared = self.finder.schema(self.grant.schema_id)
        return Layout.of(shared, schema.record.natural_key, self.grant.pseudonymous)

    def open_reader(self, connection: Connection, begin: Begin) -> ShareReader:
        """A reader of the share, in the grant's group."""
        return ShareReader(connection, self.grant.topic, self.grant.group, self.settings.worker_id, begin)
