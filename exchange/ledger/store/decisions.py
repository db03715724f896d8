"""Deciding commands: check against the state, chain the events, fold them on trial, remember the idempotency key.

No Kafka here. An event of which anything fails, in its canonical form, as a record or in the fold, is not written: the
state is as it was before its command.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from math import ceil

from exchange.calendar import ZONE, day_in_shanghai
from exchange.clock import Clock, format_time, parse_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import Beside, LedgerEvent, NewEvent, as_read
from exchange.ledger.fold.apply import CALLER, COMMAND_DIGEST
from exchange.ledger.fold.trial import Kept, apply_new
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Actor, Command, digest_of, stands_for
from exchange.names import Department

_MAX_RECORD_BYTES = 900_000
"""Below what Kafka takes at once: a larger event would end the term of the leader that tries to write it."""


class LedgerQuotaError(ExchangeError):
    """A department has written as many events today as one may."""

    def __init__(self, most: int, seconds: int) -> None:
        super().__init__("E_LEDGER_QUOTA", f"a department may write {most} events a day")
        self.seconds = seconds
        """After how many seconds the next day begins."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command came to. Entities of its events in order; none when everything was so already."""

    entities: tuple[str, ...]
    first: int
    """Sequence number of its first event; of the ledger's last one when it made none."""
    last: int
    repeated: bool = False
    """Whether the idempotency key had been used before: nothing new was done."""


@dataclass(frozen=True, slots=True)
class Decided:
    """An event on its way into the ledger, and the record that will hold it."""

    event: LedgerEvent
    record: bytes


class Decisions:
    """Events decided against a state but not yet taken to the ledger. The next command sees them, until `rewind`."""

    def __init__(
        self,
        clock: Clock,
        state: LedgerState,
        encode: Callable[[LedgerEvent], bytes],
        events_per_day: int | None = None,
    ) -> None:
        self.state = state
        self.pending: list[Decided] = []
        self.beside: list[Beside] = []
        """What is written with the pending events."""
        self._clock = clock
        self._encode = encode
        self._events_per_day = events_per_day
        self._kept: list[Kept] = []

    def decide(self, command: Command, actor: str, command_id: str | None) -> Result:
        """Check the command, add its events to the pending ones and fold them; the next command sees them.

        Raises the command's ExchangeError, E_IDEMPOTENCY when the key stands for another command, E_REQUEST for
        arguments that have no canonical JSON or are too large, LedgerQuotaError, or whatever the fold raises; nothing
        is added then.
        StateLostError: the state is worthless.
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
        self._check_quota(actor, len(said), now)
        first = self.state.seq + 1
        if digest is not None:
            said[0].data[COMMAND_DIGEST] = digest
        if isinstance(actor, Actor):
            for new in said:
                new.data[CALLER] = actor.caller
        decided = self._chained(said, now, str(actor), command_id)
        self._fold([one.event for one in decided])
        self.pending += decided
        self.beside += [record for new in said for record in new.beside]
        return Result(tuple(one.event.entity for one in decided), first, self.state.seq)

    def settle(self) -> None:
        """The state stays as it is: what was decided is in the ledger."""
        self._kept.clear()

    def rewind(self) -> None:
        """Make the state what it was before everything decided since. Raises StateLostError when that fails."""
        while self._kept:
            self._kept.pop().put_back()

    def _check_quota(self, actor: str, events: int, now: datetime) -> None:
        """Raise LedgerQuotaError when a department has written too much today: the ledger is kept for ever, by all."""
        most = self._events_per_day
        if most is None or Department(actor) not in self.state.departments:
            return
        if self.state.written.of(actor, now) + events > most:
            tomorrow = datetime.combine(day_in_shanghai(now) + timedelta(days=1), time(), ZONE)
            raise LedgerQuotaError(most, ceil((tomorrow - now).total_seconds()))

    def _fold(self, events: Sequence[LedgerEvent]) -> None:
        kept: list[Kept] = []
        try:
            for event in events:
                kept.append(apply_new(self.state, event))
        except BaseException:
            while kept:
                kept.pop().put_back()
            raise
        self._kept += kept

    def _chained(self, said: Sequence[NewEvent], now: datetime, actor: str, command_id: str | None) -> list[Decided]:
        """The events with everything that a command does not say, as they will be read."""
        decided: list[Decided] = []
        seq, head = self.state.seq, self.state.head
        try:
            for new in said:
                seq += 1
                event = as_read(
                    LedgerEvent(seq, new.event, format_time(now), actor, new.entity, command_id, head, new.data)
                )
                head = event.hash
                decided.append(Decided(event, self._encode(event)))
        except (ExchangeError, ValueError, RecursionError):
            raise _no_json() from None
        if any(len(one.record) > _MAX_RECORD_BYTES for one in decided):
            raise ExchangeError("E_REQUEST", f"an event takes at most {_MAX_RECORD_BYTES} bytes")
        return decided

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
