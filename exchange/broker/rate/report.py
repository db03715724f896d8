"""The yearly report on the satisfaction rate: everything a supervising office is told, from the ledger alone.

Pure: the same events and the same moment give the same report, whoever makes it. What it shows of the year's end is
the state after every event up to the year's last moment, or up to the present while the year is not over.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from exchange.broker.demands.clocks import COMPETENT
from exchange.broker.demands.state import demand_state
from exchange.broker.grants.freshness import CAUSES
from exchange.broker.rate.companions import CLOCKS, REVIEW, Duty, Kept, Reply, kept
from exchange.broker.rate.figures import Figures, read_figures
from exchange.broker.rate.periods import Period, months, year
from exchange.broker.rate.satisfaction import BY
from exchange.calendar import day_in_shanghai
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.state.ledger_state import LedgerState
from exchange.ledger.verify import Head


@dataclass(frozen=True, slots=True)
class Month:
    """One month: the rate at its end, the others over it."""

    month: str
    """`2026-01`."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class ClockRow:
    """How one department kept one statutory clock over the year."""

    department: str
    """The provider; COMPETENT for reviews."""
    clock: str
    kept: Kept
    overdue: int
    """Duties that are past their day and not done, at the report's moment."""
    open: int
    """Duties that are not done and in time."""
    provisional: int
    """Of the open ones: those whose due day was counted on a calendar not announced."""

    def as_json(self) -> dict[str, Any]:
        """The row."""
        more = {"overdue": self.overdue, "open": self.open, "provisional": self.provisional}
        return {"department": self.department, "clock": self.clock, **self.kept.as_json(), **more}


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one year."""

    year: int
    period: Period
    at: datetime
    """The moment up to which the ledger was read."""
    over: bool
    """Whether the year is over; else the report is one of the time up to `at`."""
    head: Head
    """Of the ledger at that moment: whoever has the export can check that nothing was changed or cut."""
    unread: int
    """Events that this version does not know, of a kind that the rate does not need."""
    names: Mapping[str, tuple[str, str]]
    """Chinese and English names of departments, by slug."""
    total: Figures
    months: Sequence[Month]
    by: Mapping[str, Mapping[str, Figures]]
    """By `registry`, `demander`, `provider`: the figures of each group that has any."""
    clocks: Sequence[ClockRow]
    refusals: Sequence[Reply]
    """Of the year, oldest first."""
    breaches: Mapping[str, int]
    """Open causes of breaches of active grants."""
    states: Mapping[str, int]
    provisional: Sequence[Duty]
    """Open duties whose due day may still move, by due day."""

    def as_json(self) -> dict[str, Any]:
        """The report as JSON; moments in UTC, days of Asia/Shanghai."""
        return {
            "year": self.year,
            "from": format_time(self.period.start),
            "until": format_time(self.period.end),
            "at": format_time(self.at),
            "over": self.over,
            "head": str(self.head),
            "unread": self.unread,
            "total": self.total.as_json(),
            "months": [{"month": one.month, **one.figures.as_json()} for one in self.months],
            "by": {
                name: {group: figures.as_json() for group, figures in groups.items()}
                for name, groups in self.by.items()
            },
            "clocks": [row.as_json() for row in self.clocks],
            "refusals": [_refusal(one) for one in self.refusals],
            "breaches": dict(self.breaches),
            "states": dict(self.states),
            "provisional": [_provisional(one) for one in self.provisional],
        }


def report(events: Iterable[LedgerEvent], number: int, now: datetime) -> Report:
    """The report of the year `number`, from a ledger's first event on, as known at `now`.

    Raises ExchangeError: E_REQUEST when the year has not begun, E_LEDGER_BROKEN.
    """
    whole = year(number)
    parts = [part for part in months(number) if part.start <= now]
    if not parts:
        raise ExchangeError("E_REQUEST", f"{number} has not begun")
    found = read_figures(events, parts, now)
    state, today = found.state, day_in_shanghai(found.at)
    return Report(
        year=number,
        period=whole,
        at=found.at,
        over=now > whole.last,
        head=Head(state.seq, state.head),
        unread=state.unread,
        names={slug: (entry.name, entry.name_en) for slug, entry in state.departments.items()},
        total=found.total,
        months=[Month(f"{part.start:%Y-%m}", figures) for part, figures in zip(parts, found.parts, strict=True)],
        by={name: found.by(name) for name in BY},
        clocks=_clock_rows(whole, found.acts.duties, today),
        refusals=[one for one in found.acts.replies if one.refused and whole.holds(one.at)],
        breaches=_breaches(state),
        states=Counter(demand_state(state, demand, found.at).value for demand in state.demands.values()),
        provisional=sorted(
            (one for one in found.acts.duties if one.provisional and one.open(today)),
            key=lambda one: (one.due, one.clock, one.subject),
        ),
    )


def _clock_rows(period: Period, duties: Sequence[Duty], today: date) -> list[ClockRow]:
    """A row for each department and clock that had a duty judged in the period or has one that is not done."""
    groups: dict[tuple[str, str], list[Duty]] = {}
    for one in duties:
        owner = COMPETENT if one.clock == REVIEW else one.group.provider
        groups.setdefault((owner, one.clock), []).append(one)
    rows = [
        ClockRow(
            department=owner,
            clock=clock,
            kept=kept(period, some, today),
            overdue=sum(one.late(today) for one in some),
            open=sum(one.open(today) for one in some),
            provisional=sum(one.open(today) and one.provisional for one in some),
        )
        for (owner, clock), some in sorted(groups.items(), key=lambda item: (item[0][0], CLOCKS.index(item[0][1])))
    ]
    return [row for row in rows if row.kept.judged or row.overdue or row.open]


def _breaches(state: LedgerState) -> dict[str, int]:
    broken = Counter(cause for grant in state.grants.values() if grant.active for cause in grant.breaches)
    return {cause: broken[cause] for cause in CAUSES}


def _refusal(one: Reply) -> dict[str, Any]:
    """Without the reason in words, which may name people; the demand shows it to those who may see it."""
    group = {"registry": one.group.registry, "demander": one.group.demander, "provider": one.group.provider}
    return {"demand": one.demand, "at": format_time(one.at), **group, "legal_basis": one.legal_basis}


def _provisional(one: Duty) -> dict[str, Any]:
    return {"clock": one.clock, "subject": one.subject, "provider": one.group.provider, "due": one.due.isoformat()}
