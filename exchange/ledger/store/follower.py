"""Reading the ledger: to its end, and on and on. Lines poll a follower between batches; so does the broker service."""

from collections.abc import Iterable, Iterator

import structlog

from exchange.avro.lock import SchemaRepository
from exchange.clock import Deadline
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.reader import PartitionTail, read_to_end
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.events.wire import EventCodec
from exchange.ledger.fold.apply import apply
from exchange.ledger.state.ledger_state import LedgerState
from exchange.names import LEDGER_TOPIC

_log = structlog.get_logger("exchange.ledger")
_WAIT_SECONDS = 0.2


class LedgerFollower:
    """The state of the ledger, kept up to date by polling. For one thread; it holds no event after folding it.

    Any method raises ExchangeError: E_LEDGER_BROKEN when the chain does not hold, E_KAFKA_* when reading cannot go on.
    """

    def __init__(self, connection: Connection, schemas: SchemaRepository, topic: str = LEDGER_TOPIC) -> None:
        self.state = LedgerState()
        """The state after everything read so far. It changes in place with every poll."""
        self._codec = EventCodec(schemas)
        self._tail = PartitionTail(connection, [(topic, 0)])

    @property
    def at_end(self) -> bool:
        """Whether everything that stood in the ledger has been read."""
        return self._tail.at_end

    def catch_up(self, deadline: Deadline) -> None:
        """Read to the end. Raises ExchangeError(E_KAFKA_UNREACHABLE) when that takes longer."""
        while True:
            self.poll(min(_WAIT_SECONDS, deadline.remaining()))
            if self.at_end:
                return
            if deadline.passed:
                raise ExchangeError("E_KAFKA_UNREACHABLE", "the end of the ledger was not reached in time")

    def poll(self, seconds: float = 0.0) -> bool:
        """Take what is new, waiting at most `seconds` for the first of it; true when the state changed."""
        events = self.fetch(seconds)
        self.take(events)
        return bool(events)

    def fetch(self, seconds: float) -> list[LedgerEvent]:
        """The next events, not yet part of the state: every one of them must be taken, in this order."""
        return [self._codec.decode(message) for message in self._tail.poll(seconds)]

    def take(self, events: Iterable[LedgerEvent]) -> None:
        """Fold fetched events into the state."""
        unread = self.state.unread
        for event in events:
            apply(self.state, event)
        if self.state.unread > unread:
            _log.warning("ledger.unread", events=self.state.unread - unread, seq=self.state.seq)

    def close(self) -> None:
        """Let go of the client."""
        self._tail.close()


def read_ledger(
    connection: Connection, schemas: SchemaRepository, deadline: Deadline, topic: str = LEDGER_TOPIC
) -> Iterator[LedgerEvent]:
    """Every event that stands in the ledger now, in its order; the chain is not checked here."""
    codec = EventCodec(schemas)
    return (codec.decode(message) for message in read_to_end(connection, [(topic, 0)], deadline))
