"""One term of the ledger's leader: from fencing its predecessor to its first error."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.avro.lock import SchemaRepository
from exchange.clock import Clock, Deadline, format_time, parse_time
from exchange.errors import ExchangeError
from exchange.kafka.appender import Appender
from exchange.kafka.connection import Connection
from exchange.ledger.command import Command, digest_of
from exchange.ledger.events import LedgerEvent, NewEvent
from exchange.ledger.fold import COMMAND_DIGEST, apply
from exchange.ledger.follower import read_ledger
from exchange.ledger.place import THE_LEDGER, LedgerPlace
from exchange.ledger.state import LedgerState
from exchange.ledger.wire import EventCodec


@dataclass(frozen=True, slots=True)
class Result:
    """What a command came to. Entities of its events in order; none when everything was so already."""

    entities: tuple[str, ...]
    first: int
    """Sequence number of its first event; of the ledger's last one when it made none."""
    last: int
    repeated: bool = False
    """Whether the idempotency key had been used before: nothing new was done."""


class Term:
    """Decides commands against its own state, which is ahead of what is durable by the events not yet committed.

    When a commit fails that state is worthless and the term is over: the next one replays the ledger.
    """

    def __init__(
        self, connection: Connection, schemas: SchemaRepository, clock: Clock, place: LedgerPlace = THE_LEDGER
    ) -> None:
        self._connection = connection
        self._schemas = schemas
        self._clock = clock
        self._topic = place.topic
        self._codec = EventCodec(schemas)
        self._appender = Appender(connection, place.transactional_id, place.topic)
        self._state = LedgerState()
        self._pending: list[LedgerEvent] = []
        self.damaged = False
        """Whether an event could not be folded: the state is worthless, and nothing of this term may be committed."""

    def start(self, deadline: Deadline) -> None:
        """Fence the predecessor, then replay to the end: nothing can be added in between. Raises ExchangeError."""
        self._appender.start(deadline)
        for event in read_ledger(self._connection, self._schemas, deadline, self._topic):
            apply(self._state, event)

    @property
    def head(self) -> str:
        """Hash of the last decided event."""
        return self._state.head

    @property
    def seq(self) -> int:
        """Sequence number of the last decided event."""
        return self._state.seq

    def decide(self, command: Command, actor: str, command_id: str | None) -> Result:
        """Check the command against the state and note its events for the next commit.

        Raises the command's ExchangeError, or E_IDEMPOTENCY when the key stands for another command; nothing is noted
        then.
        """
        digest = None
        if command_id is not None:
            digest = digest_of(command)
            done = self._state.commands.get((actor, command_id))
            if done is not None:
                if done.digest != digest:
                    raise ExchangeError("E_IDEMPOTENCY")
                return Result(tuple(done.entities), done.first, done.last, repeated=True)
        now = self._now()
        said = command(self._state, now)
        if not said:
            return Result((), self._state.seq, self._state.seq)
        first = self._state.seq + 1
        if digest is not None:
            said[0].data[COMMAND_DIGEST] = digest
        events = self._chained(said, now, actor, command_id)
        try:
            for event in events:
                apply(self._state, event)
        except ExchangeError:
            self.damaged = True
            raise
        self._pending += events
        return Result(tuple(event.entity for event in events), first, self._state.seq)

    def commit(self, deadline: Deadline) -> None:
        """Append everything noted, in one transaction. Raises ExchangeError, and the term is over."""
        if self._pending:
            records = [(event.entity.encode(), self._codec.encode(event)) for event in self._pending]
            self._appender.append(records, deadline)
            self._pending.clear()

    def close(self) -> None:
        """Let go of the client."""
        self._appender.close()

    def _chained(
        self, said: Sequence[NewEvent], now: datetime, actor: str, command_id: str | None
    ) -> list[LedgerEvent]:
        """The events with everything a command does not say. Raises ExchangeError(E_REQUEST) for data without JSON."""
        events: list[LedgerEvent] = []
        seq, head = self._state.seq, self._state.head
        try:
            for new in said:
                seq += 1
                event = LedgerEvent(seq, new.event, format_time(now), actor, new.entity, command_id, head, new.data)
                head = event.hash
                events.append(event)
        except (ExchangeError, UnicodeEncodeError):
            raise ExchangeError("E_REQUEST", "a text is not Unicode, or a number is too large") from None
        return events

    def _now(self) -> datetime:
        """The time, to the millisecond, never before the last event's: clocks of two leaders differ."""
        now = parse_time(format_time(self._clock.now()))
        return now if self._state.at is None else max(now, self._state.at)
