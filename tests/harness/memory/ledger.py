"""A ledger in memory: commands are decided and chained as the leader does it, without Kafka and at any time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from exchange.broker.ledger_metrics import LedgerMetrics
from exchange.clock import Deadline, format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import FIRST_HASH, Beside, LedgerEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.store.command import Command
from exchange.ledger.store.decisions import Decisions, Result
from exchange.ledger.store.follower import Progress

T = TypeVar("T")
START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The moment it was set to."""
        return self.moment

    def forward(self, **more: float) -> datetime:
        """Move on by a timedelta's arguments (`hours=1`)."""
        self.moment += timedelta(**more)
        return self.moment


class MemoryLedger:
    """Does what `exchange.ledger.store.ledger_store.LedgerStore` does, in memory, for one thread."""

    leader = True

    def __init__(self, clock: SetClock | None = None, events_per_day: int | None = None) -> None:
        self.clock = clock or SetClock()
        self.events: list[LedgerEvent] = []
        self.beside: list[Beside] = []
        """What was written with the events."""
        self._decisions = Decisions(self.clock, LedgerState(), lambda event: event.text.encode(), events_per_day)

    @property
    def state(self) -> LedgerState:
        """The state after every event."""
        return self._decisions.state

    @property
    def progress(self) -> Progress:
        """All of it."""
        return Progress(self.state.seq, self.state.seq, self.state.seq)

    def read(self, question: Callable[[LedgerState], T]) -> T:
        """Ask the state."""
        return question(self.state)

    def wait(self, after_seq: int, seconds: float) -> int:
        """The sequence number of the last event."""
        return self.state.seq

    def execute(
        self,
        command: Command,
        actor: str = "exchange",
        command_id: str | None = None,
        deadline: Deadline | None = None,
    ) -> Result:
        """Append what the command says. Raises ExchangeError as the store does."""
        try:
            result = self._decisions.decide(command, actor, command_id)
        except ExchangeError:
            raise
        except Exception as error:
            raise ExchangeError("E_INTERNAL", f"the command failed ({type(error).__name__})") from error
        self.events += [one.event for one in self._decisions.pending]
        self.beside += self._decisions.beside
        self._decisions.pending.clear()
        self._decisions.beside.clear()
        self._decisions.settle()
        return result


def chain(
    steps: Sequence[tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], datetime]],
) -> list[LedgerEvent]:
    """Events as an export holds them, with right numbers and hashes, of (event, data) or (event, data, moment)."""
    events: list[LedgerEvent] = []
    head, moment = FIRST_HASH, START
    for seq, (name, data, *at) in enumerate(steps, 1):
        moment = at[0] if at else moment
        entity = str(data.get("grant") or data.get("demand") or data.get("share") or name)
        event = LedgerEvent(seq, name, format_time(moment), "test", entity, None, head, dict(data), offset=seq - 1)
        head = event.hash
        events.append(event)
    return events


class FollowingLedger(MemoryLedger):
    """What another instance reads of a ledger that it does not lead."""

    leader = False

    def __init__(self, led: MemoryLedger) -> None:
        super().__init__(led.clock)
        self._led = led
        self.waited_for: list[int] = []
        """After which events it was asked to wait for the next one."""

    @property
    def state(self) -> LedgerState:
        """The state of the ledger that is led elsewhere."""
        return self._led.state

    def read(self, question: Callable[[LedgerState], T]) -> T:
        """Ask the state of the ledger that is led elsewhere."""
        return self._led.read(question)

    def wait(self, after_seq: int, seconds: float) -> int:
        """The sequence number of the last event."""
        self.waited_for.append(after_seq)
        return self._led.wait(after_seq, seconds)

    def execute(self, *_args: Any, **_more: Any) -> Any:
        """Raise ExchangeError(E_NOT_LEADER)."""
        raise ExchangeError("E_NOT_LEADER")


def publish_demands(state: LedgerState, now: datetime) -> None:
    """Set the metrics of demands, clocks and the satisfaction rate, from nothing but a state."""
    LedgerMetrics().refresh(lambda question: question(state), now)
