"""The statutory clocks of a demand, in working days of the official calendar; days are those of Asia/Shanghai.

Each clock is computed whenever it is looked at: when a year's calendar is announced, its deadlines become final.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from exchange.broker.demands.state import is_unconditional
from exchange.calendar import add_working_days, day_in_shanghai, working_days_between
from exchange.ledger.fold.demands import PROMPT_DAYS
from exchange.ledger.state.ledger_state import DemandEntry, LedgerState, ResourceEntry

REVIEW = "review"
"""The clock of the competent department; the others are its provider's."""
COMPETENT = "competent-department"
"""In the place of a department's slug: who watches over all of them has none."""
REVIEW_DAYS = 2
"""Working days for the competent department's look at a demand (as for catalogues, Order 809, art. 17)."""
REPLY_DAYS_UNCONDITIONAL = PROMPT_DAYS
"""Working days for a reply on data shared without conditions (Order 809, art. 21)."""
REPLY_DAYS_CONDITIONAL = 10
"""Working days for a reply on data shared on conditions (Order 809, art. 21)."""
LONGEST_EXTENSION_DAYS = 10
"""Working days by which a reply may be extended, once (Order 809, art. 21)."""
DELIVERY_DAYS = 20
"""Working days from the consent to the activation (Order 809, art. 22)."""


@dataclass(frozen=True, slots=True)
class StatutoryClock:
    """One statutory deadline."""

    due: date
    provisional: bool
    """Whether the calendar of a year not yet announced was used."""
    done: date | None
    """When the duty was met."""
    overdue: bool
    """Met too late, or not met and the day is past."""

    @property
    def late(self) -> bool:
        """Whether the duty is not met and its day is past."""
        return self.overdue and self.done is None


@dataclass(frozen=True, slots=True)
class Clocks:
    """The statutory clocks of a demand; None while one does not run."""

    review: StatutoryClock | None
    reply: StatutoryClock | None
    delivery: StatutoryClock | None
    faulty: bool = False
    """Whether one cannot be told, because a moment of the demand lies beyond the calendar; it is None then."""

    @property
    def running(self) -> tuple[tuple[str, StatutoryClock], ...]:
        """Those that run or have run, by name."""
        named = ((REVIEW, self.review), ("reply", self.reply), ("delivery", self.delivery))
        return tuple((name, clock) for name, clock in named if clock is not None)


def clocks(state: LedgerState, demand: DemandEntry, now: datetime) -> Clocks:
    """The statutory clocks of a demand at `now`, as far as they can be told: so one demand fails no view of all."""
    found: dict[str, StatutoryClock | None] = {}
    faulty = False
    for name, tell in ((REVIEW, _review), ("reply", _reply), ("delivery", _delivery)):
        try:
            found[name] = tell(state, demand, now)
        except (OverflowError, ValueError):
            faulty = True
    return Clocks(found.get(REVIEW), found.get("reply"), found.get("delivery"), faulty)


def reply_days(resource: ResourceEntry | None, fields: Iterable[str]) -> int:
    """The working days that the law gives for a reply on these fields."""
    return REPLY_DAYS_UNCONDITIONAL if is_unconditional(resource, fields) else REPLY_DAYS_CONDITIONAL


def clock(start: datetime, days: int, done: datetime | None, now: datetime) -> StatutoryClock:
    """The clock that began at `start` (that day does not count) and gives `days` working days."""
    deadline = add_working_days(day_in_shanghai(start), days)
    met = None if done is None else day_in_shanghai(done)
    return StatutoryClock(deadline.date, deadline.provisional, met, (met or day_in_shanghai(now)) > deadline.date)


def _review(_state: LedgerState, demand: DemandEntry, now: datetime) -> StatutoryClock | None:
    if not demand.review or demand.complete is None or demand.matched is None:
        return None
    if demand.reviewed is None and demand.withdrawn is not None:
        return None
    days = REVIEW_DAYS + _paused(demand, demand.reviewed or now, in_review=True)
    return clock(max(demand.complete, demand.matched), days, demand.reviewed, now)


def _reply(state: LedgerState, demand: DemandEntry, now: datetime) -> StatutoryClock | None:
    """From when the provider had the complete demand before it: after the review, where there is one."""
    unanswered = demand.replied is None
    if demand.complete is None or demand.matched is None or (unanswered and demand.withdrawn is not None):
        return None
    if demand.review and demand.reviewed is None:
        return None
    told = [*demand.fields, *(part.field for part in demand.scope)]
    days = demand.reply_days or reply_days(state.resources.get(demand.resource or ""), told)
    if demand.extension is not None and demand.extension.given is not None:
        days += demand.extension.days
    start = max(demand.complete, demand.matched, demand.reviewed or demand.complete)
    days += _paused(demand, demand.replied or now, in_review=False)
    return clock(start, days, demand.replied, now)


def _paused(demand: DemandEntry, until: datetime, *, in_review: bool) -> int:
    """Working days before `until` on which who has to act waited for what it had asked for, where that stops its clock.

    in_review: of the competent department, else of the provider. What one has asked for lengthens no other's clock.
    """
    return sum(
        working_days_between(day_in_shanghai(one.at), day_in_shanghai(min(one.answered or until, until)))
        for one in demand.supplements
        if one.pauses and one.in_review is in_review
    )


def _delivery(state: LedgerState, demand: DemandEntry, now: datetime) -> StatutoryClock | None:
    """From the consent, or from the beginning of the use period: before that nothing may be delivered."""
    if not demand.grants:
        return None
    grant = state.grants[demand.grants[-1]]
    if grant.activated is None and grant.ended is not None:
        return None
    start = max(grant.consented, demand.use_from or grant.consented)
    return clock(start, DELIVERY_DAYS, grant.activated, now)
