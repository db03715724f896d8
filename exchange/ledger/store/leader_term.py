"""One term of the ledger's leader: from fencing its predecessor to its first error."""

from exchange.avro.lock import SchemaRepository
from exchange.clock import Clock, Deadline
from exchange.kafka.client.appender import Appender
from exchange.kafka.client.connection import Connection
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Decisions, Result
from exchange.ledger.store.ledger_topic import THE_LEDGER, LedgerTopic


class Term:
    """Decides commands against what has been read back from the ledger, which is what every follower knows.

    Between `decide` and `rewind` the state is ahead of that by the events decided: hold others off meanwhile. Whoever
    decides again has first read back what was committed.
    """

    def __init__(
        self,
        connection: Connection,
        schemas: SchemaRepository,
        clock: Clock,
        state: LedgerState,
        topic: LedgerTopic = THE_LEDGER,
    ) -> None:
        self._appender = Appender(connection, topic.transactional_id, topic.name)
        self._decisions = Decisions(clock, state, EventCodec(schemas).encode, topic.events_per_day)
        self.written = 0
        """Sequence number of the last event that this term has committed."""

    def start(self, deadline: Deadline) -> None:
        """Fence the predecessor: from then on nothing is added but by us. Raises ExchangeError."""
        self._appender.start(deadline)

    def hash_of(self, seq: int) -> str | None:
        """Hash of a decided event that is not durable yet; None when it is."""
        return next((one.event.hash for one in self._decisions.pending if one.event.seq == seq), None)

    def decide(self, command: Command, actor: str, command_id: str | None) -> Result:
        """As Decisions.decide: the events wait for the next commit."""
        return self._decisions.decide(command, actor, command_id)

    def rewind(self) -> None:
        """As Decisions.rewind: the state is what has been read back. What was decided still waits for the commit."""
        self._decisions.rewind()

    def commit(self, deadline: Deadline) -> None:
        """Append everything decided and what goes beside it, in one transaction.

        Raises ExchangeError, and the term is over.
        """
        pending = self._decisions.pending
        if pending:
            events = [(one.event.entity.encode(), one.record) for one in pending]
            self._appender.append(events, deadline, self._decisions.beside)
            self.written = pending[-1].event.seq
            pending.clear()
            self._decisions.beside.clear()

    def close(self) -> None:
        """Let go of the client."""
        self._appender.close()
