"""What the parts of the broker service need of each other: the ledger's store and Kafka's administration."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exchange.avro.lock import SchemaRepository
from exchange.broker.corrections.desk import Corrections
from exchange.broker.evidence.books import Account
from exchange.broker.quarantine.desk import Quarantine
from exchange.clock import Clock, Deadline
from exchange.kafka.admin.admin import Acl, NewTopicSpec, OffsetAt
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.names import GrantId

T = TypeVar("T")
EXCHANGE = "exchange"
"""The actor of events that nobody commanded: activation, evidence, expiry."""


class Done(Protocol):
    """What a command came to."""

    @property
    def entities(self) -> tuple[str, ...]:
        """The entity of each event."""
        ...

    @property
    def repeated(self) -> bool:
        """Whether the idempotency key had been used before, so that nothing new was done."""
        ...


class Ledger(Protocol):
    """The ledger's store."""

    @property
    def leader(self) -> bool:
        """Whether this instance takes commands."""
        ...

    @property
    def state(self) -> LedgerState:
        """The state, for single look-ups; it changes while it is looked at."""
        ...

    def read(self, question: Callable[[LedgerState], T], /) -> T:
        """Ask the state; nothing changes meanwhile."""
        ...

    def execute(self, command: Command, actor: str, command_id: str | None, deadline: Deadline) -> Done:
        """Append what the command says, and return when it can be read. Raises ExchangeError."""
        ...

    def wait(self, after_seq: int, seconds: float) -> int:
        """Return the sequence number when it is past `after_seq`, or after `seconds`."""
        ...


class Topics(Protocol):
    """Kafka's topics and rights, as the reconciler changes them."""

    def topics(self) -> dict[str, int]:
        """Every topic with its partition count."""
        ...

    def create_topics(self, specs: Sequence[NewTopicSpec], replication: int) -> None:
        """Make topics."""
        ...

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics."""
        ...

    def acls(self) -> set[Acl]:
        """Every right."""
        ...

    def grant(self, acls: Iterable[Acl]) -> None:
        """Give rights."""
        ...

    def revoke(self, acls: Iterable[Acl]) -> None:
        """Take rights away."""
        ...

    def principals(self) -> set[str]:
        """Every principal that has a secret."""
        ...

    def set_secret(self, principal: str, secret: str) -> None:
        """Give a principal its secret."""
        ...


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """How the clients of departments reach Kafka, each with a name and secret of its own."""

    bootstrap_servers: str
    security_protocol: str
    sasl_mechanism: str


class Service(Protocol):
    """The broker service, as the API uses it."""

    @property
    def ledger(self) -> Ledger:
        """The ledger's store."""
        ...

    @property
    def schemas(self) -> SchemaRepository:
        """The locked schemas."""
        ...

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        ...

    @property
    def access(self) -> ClientAccess:
        """How clients reach Kafka."""
        ...

    @property
    def ready(self) -> bool:
        """Whether reads answer from a ledger that was read to its end."""
        ...

    @property
    def supplement_pauses(self) -> bool:
        """Whether the reply's clock stands still while a demander adds what was asked for."""
        ...

    @property
    def quarantine(self) -> Quarantine:
        """The quarantine of all departments."""
        ...

    @property
    def corrections(self) -> Corrections:
        """The corrections of all departments."""
        ...

    def refresh(self) -> None:
        """Set the metrics that are views of the ledger."""
        ...

    def events(self) -> Iterable[LedgerEvent]:
        """Every event from the first one on, from the ledger read again."""
        ...

    def books(self) -> list[Account]:
        """The books of both lines. Raises ExchangeError(E_NOT_LEADER) where they are not kept."""
        ...

    def resync_needed(self, grant: GrantId) -> bool | None:
        """Whether its grantee was away for longer than tombstones are kept; None where that is not looked at."""
        ...

    def add_department(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Make a department a Kafka principal. Its secret, or None when it was one already."""
        ...

    def rotate_secret(self, department: str, actor: str, command_id: str | None) -> str | None:
        """Give a department a new secret. None when the command was a repetition."""
        ...

    def apply_catalogue(self, actor: str, command_id: str | None) -> int:
        """Bring the catalogue's files into the ledger; the number of events."""
        ...


Places = Iterable[tuple[str, int]]
"""(topic, partition) pairs."""


class Offsets(Protocol):
    """Kafka's offsets, as evidence looks at them."""

    def topics(self) -> dict[str, int]:
        """Every topic with its partition count."""
        ...

    def end_offsets(self, partitions: Places) -> dict[tuple[str, int], int]:
        """The last stable offset of each partition."""
        ...

    def offsets_for_time(self, partitions: Places, time_ms: int) -> dict[tuple[str, int], int | None]:
        """The first offset at or after a time; None when there is none."""
        ...

    def newest(self, partitions: Places) -> dict[tuple[str, int], OffsetAt]:
        """The newest record of each partition; an empty one is absent."""
        ...

    def committed(self, group: str, partitions: Places | None = None) -> dict[tuple[str, int], int]:
        """The committed offsets of a group."""
        ...
