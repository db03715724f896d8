"""One term of the ledger's leader: from fencing its predecessor to its first error."""

from exchange.avro.lock import SchemaRepository
from exchange.clock import Clock, Deadline
from exchange.kafka.client.appender import Appender
from exchange.kafka.client.connection import Connection
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.fold.apply import apply
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Decisions, Result
from exchange.ledger.store.follower import read_ledger
from exchange.ledger.store.ledger_topic import THE_LEDGER, LedgerTopic


class Term:
    """Decides commands against its own state, which is ahead of what is durable by the events not yet committed.

    When a commit fails that state is worthless and the term is over: the next one replays the ledger.
    """

    def __init__(
        self, connection: Connection, schemas: SchemaRepository, clock: Clock, topic: LedgerTopic = THE_LEDGER
    ) -> None:
        self._connection = connection
        self._schemas = schemas
        self._topic = topic.name
        self._codec = EventCodec(schemas)
        self._appender = Appender(connection, topic.transactional_id, topic.name)
        self._decisions = Decisions(clock)

    def start(self, deadline: Deadline) -> None:
        """Fence the predecessor, then replay to the end: nothing can be added in between. Raises ExchangeError."""
        self._appender.start(deadline)
        for event in read_ledger(self._connection, self._schemas, deadline, self._topic):
            apply(self._decisions.state, event)

    @property
    def seq(self) -> int:
        """Sequence number of the last decided event."""
        return self._decisions.state.seq

    def hash_of(self, seq: int) -> str | None:
        """Hash of a decided event that is not durable yet; None when it is."""
        return next((event.hash for event in self._decisions.pending if event.seq == seq), None)

    @property
    def damaged(self) -> bool:
        """Whether nothing of this term may be committed any more."""
        return self._decisions.damaged

    def decide(self, command: Command, actor: str, command_id: str | None) -> Result:
        """As Decisions.decide: the events wait for the next commit."""
        return self._decisions.decide(command, actor, command_id)

    def commit(self, deadline: Deadline) -> None:
        """Append everything decided and what goes beside it, in one transaction.

        Raises ExchangeError, and the term is over.
        """
        pending = self._decisions.pending
        if pending:
            events = [(event.entity.encode(), self._codec.encode(event)) for event in pending]
            self._appender.append(events, deadline, self._decisions.beside)
            pending.clear()
            self._decisions.beside.clear()

    def close(self) -> None:
        """Let go of the client."""
        self._appender.close()
