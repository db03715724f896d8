"""What the rooms of the broker service need of the ledger's store and of Kafka, so that doubles can stand in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exchange.clock import Deadline
from exchange.kafka.admin.admin import Acl, NewTopicSpec, OffsetAt
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Result
from exchange.ledger.store.follower import Progress

T = TypeVar("T")


EXCHANGE = "exchange"


"""The actor of events that nobody commanded: activation, evidence, expiry."""


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

    @property
    def progress(self) -> Progress:
        """How far the ledger is read, while it is being read for the first time."""
        ...

    def read(self, question: Callable[[LedgerState], T], /) -> T:
        """Ask the state; nothing changes meanwhile."""
        ...

    def execute(self, command: Command, actor: str, command_id: str | None, deadline: Deadline) -> Result:
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

    def beginnings(self, partitions: Places) -> dict[tuple[str, int], int]:
        """The first offset that still stands in each partition; where nothing does, its end."""
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
