"""Deciding commands: check against the state, chain the events, remember the idempotency key. No Kafka here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.clock import Clock, format_time, parse_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import Beside, LedgerEvent, NewEvent
from exchange.ledger.fold.apply import COMMAND_DIGEST, apply
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command, digest_of, stands_for


@dataclass(frozen=True, slots=True)
class Result:
    """What a command came to. Entities of its events in order; none when everything was so already."""

    entities: tuple[str, ...]
    first: int
    """Sequence number of its first event; of the ledger's last one when it made none."""
    last: int
    repeated: bool = False
    """Whether the idempotency key had been used before: nothing new was done."""


class Decisions:
    """The state that commands are decided against, and the events decided but not yet taken to the ledger."""

    def __init__(self, clock: Clock) -> None:
        self.state = LedgerState()
        self.pending: list[LedgerEvent] = []
        self.beside: list[Beside] = []
        """What is written with the pending events."""
        self.damaged = False
        """Whether an event could not be folded: the state is worthless, and nothing pending may be written."""
        self._clock = clock

    def decide(self, command: Command, actor: str, command_id: str | None) -> Result:
        """Check the command and add its events to the pending ones; the next command sees them.

        Raises the command's ExchangeError, E_IDEMPOTENCY when the key stands for another command, or E_REQUEST for
        arguments that have no canonical JSON. Nothing is added then.
        """
        digest = None
        if command_id is not None:
            digest = _digest(command)
            done = self.state.commands.get((actor, command_id))
            if done is not None:
                if done.digest != digest and not stands_for(done.digest, command):
                    raise ExchangeError("E_IDEMPOTENCY")
                return Result(done.entities, done.first, done.last, repeated=True)
        now = self._now()
        said = command(self.state, now)
        if not said:
            return Result((), self.state.seq, self.state.seq)
        first = self.state.seq + 1
        if digest is not None:
            said[0].data[COMMAND_DIGEST] = digest
        events = self._chained(said, now, actor, command_id)
        try:
            for event in events:
                apply(self.state, event)
        except ExchangeError:
            self.damaged = True
            raise
        self.pending += events
        self.beside += [record for new in said for record in new.beside]
        return Result(tuple(event.entity for event in events), first, self.state.seq)

    def _chained(
        self, said: Sequence[NewEvent], now: datetime, actor: str, command_id: str | None
    ) -> list[LedgerEvent]:
        """The events with everything that a command does not say."""
        events: list[LedgerEvent] = []
        seq, head = self.state.seq, self.state.head
        try:
            for new in said:
                seq += 1
                event = LedgerEvent(seq, new.event, format_time(now), actor, new.entity, command_id, head, new.data)
                head = event.hash
                events.append(event)
        except (ExchangeError, UnicodeEncodeError):
            raise _no_json() from None
        return events

    def _now(self) -> datetime:
        """The time, to the millisecond, never before the last event's: clocks of two leaders differ."""
        now = parse_time(format_time(self._clock.now()))
        return now if self.state.at is None else max(now, self.state.at)


def _digest(command: Command) -> str:
    try:
        return digest_of(command)
    except ExchangeError:
        raise _no_json() from None


def _no_json() -> ExchangeError:
    return ExchangeError("E_REQUEST", "a text is not Unicode, or a number is too large")
