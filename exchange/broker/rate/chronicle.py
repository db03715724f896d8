"""A ledger read once: the state at any moments on the way, and what only the way tells.

The way tells the time of demands, every reply, every withdrawal, and the duties that nobody could fulfil any more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from exchange.broker.corrections.commands import correction_clock
from exchange.broker.demands.clocks import clocks
from exchange.broker.rate.companions import CORRECTION, DELIVERY, Acts, Duty, Reply, Withdrawal
from exchange.broker.rate.satisfaction import counts, group_of, judge
from exchange.broker.rate.time_weighted import Breach, Timeline, TimeTable, breach_of, touched
from exchange.calendar import day_in_shanghai
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.fold.apply import apply
from exchange.ledger.fold.departments import SUCCEEDED
from exchange.ledger.state.correction import CorrectionEntry
from exchange.ledger.state.ledger_state import DemandEntry, LedgerState
from exchange.names import DemandId, GrantId

_CLOSING = frozenset(("demand-consented", "demand-withdrawn", "grant-ended", SUCCEEDED))
"""Events after which a clock may be gone or may be another one."""
Snapshot = Callable[[LedgerState, datetime], None]


class Chronicle:
    """Reads a ledger from its first event up to a moment."""

    def __init__(self, cuts: Sequence[datetime]) -> None:
        """cuts: at least two rising moments; each two neighbours bound a period whose time is added up."""
        self.state = LedgerState()
        self._timeline = Timeline(cuts)
        self._told_later: list[Breach] = []
        self._replies: list[Reply] = []
        self._withdrawals: list[Withdrawal] = []
        self._closed: dict[tuple[str, str], Duty] = {}

    def read(self, events: Iterable[LedgerEvent], at: datetime, moments: Sequence[datetime], look: Snapshot) -> None:
        """Read every event up to and including `at`; call `look` with the state at each of the rising `moments`.

        Moments after `at` are left out; of later events, breaches that began before count from then on.
        Raises ExchangeError(E_LEDGER_BROKEN).
        """
        waiting = [moment for moment in moments if moment <= at]
        for event in events:
            moment = event.moment
            while waiting and waiting[0] < moment:
                look(self.state, waiting.pop(0))
            if moment <= at:
                self._take(event)
            elif (breach := breach_of(self.state, event)) is not None and breach.since <= at:
                self._told_later.append(breach)
        for rest in waiting:
            look(self.state, rest)

    def time(self, at: datetime) -> TimeTable:
        """The time of all demands up to `at`; nothing happened between the last event read and that moment."""
        return self._timeline.close(at, self._told_later)

    def acts(self, at: datetime) -> Acts:
        """What happened up to `at`, the moment up to which was read."""
        duties = {key: self._of_now(duty) for key, duty in self._closed.items()}
        for demand in self.state.demands.values():
            duties |= _duties(self.state, demand, at)
        corrections = [_correction(self.state, one, at) for one in self.state.corrections.values()]
        return Acts([*duties.values(), *corrections], self._replies, self._withdrawals)

    def _take(self, event: LedgerEvent) -> None:
        if event.event in _CLOSING:
            self._before(event)
        apply(self.state, event)
        self._timeline.after(self.state, event)
        if event.event in ("demand-consented", "demand-refused"):
            self._reply(event)

    def _before(self, event: LedgerEvent) -> None:
        """Keep the duties that are done or missed, before the event takes their clock away."""
        today = day_in_shanghai(event.moment)
        for demand in touched(self.state, event):
            found = _duties(self.state, demand, event.moment)
            self._closed |= {key: duty for key, duty in found.items() if duty.judged(today)}
            if event.event == "demand-withdrawn" and counts(demand, event.moment):
                strictly = judge(self.state, demand).strictly
                self._withdrawals.append(Withdrawal(event.moment, demand.demand, group_of(demand), strictly))

    def _of_now(self, duty: Duty) -> Duty:
        """A duty as one of whoever has its demand now."""
        grant = self.state.grants.get(GrantId(duty.subject))
        demand = self.state.demands[grant.demand if grant is not None else DemandId(duty.subject)]
        return replace(duty, group=group_of(demand))

    def _reply(self, event: LedgerEvent) -> None:
        for demand in touched(self.state, event):
            refused = event.event == "demand-refused"
            basis = demand.refusal_basis if refused else None
            self._replies.append(Reply(event.moment, demand.demand, group_of(demand), refused, basis or None))


def _duties(state: LedgerState, demand: DemandEntry, at: datetime) -> dict[tuple[str, str], Duty]:
    """The clocks of a demand that run or have run, as duties."""
    found: dict[tuple[str, str], Duty] = {}
    for name, clock in clocks(state, demand, at).running:
        subject = demand.grants[-1] if name == DELIVERY else demand.demand
        found[name, subject] = Duty(name, subject, group_of(demand), clock.due, clock.provisional, clock.done)
    return found


def _correction(state: LedgerState, entry: CorrectionEntry, at: datetime) -> Duty:
    """The provider's duty to answer a doubt."""
    clock = correction_clock(entry, at)
    group = group_of(state.demands[entry.demand])._replace(provider=entry.provider)
    return Duty(CORRECTION, entry.correction, group, clock.due, clock.provisional, clock.done)
