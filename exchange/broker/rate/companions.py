"""What stands beside the satisfaction rate: duties kept in time, refusals, withdrawals; over a period.

A duty is one statutory clock of one demand, grant or correction. It is judged once, on one day: kept, on the day it was
done, when that was not after its due day; missed, on the day after its due day, whether it was done later or never. So
every duty belongs to one period, and the periods of a year add up to the year. A duty that nobody could fulfil any more
(the demand withdrawn, the grant ended) is judged only if it had been missed by then.

- on-time replies: replies judged in the period that were kept ÷ replies judged in it (Order 809, art. 21); in the same
  way reviews by the competent department, deliveries (activation within 20 working days of the consent, art. 22) and
  answers to corrections (within 10 working days, art. 26).
- refusal rate: refusals given in the period ÷ replies given in it; refusals with a legal basis ÷ refusals.
- withdrawals: counted demands withdrawn in the period; `unsatisfied` were not satisfied strictly just before. A
  withdrawn demand leaves the rate, so this shows what left it unmet.

A ratio over nothing is None.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from exchange.broker.rate.periods import Period
from exchange.broker.rate.satisfaction import Group, ratio

REVIEW, REPLY, DELIVERY, CORRECTION = "review", "reply", "delivery", "correction"
CLOCKS = (REVIEW, REPLY, DELIVERY, CORRECTION)
"""The statutory clocks, in the order of a demand's life."""
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Duty:
    """One statutory deadline and what became of it. Days of Asia/Shanghai."""

    clock: str
    """One of CLOCKS."""
    subject: str
    """The demand (review, reply), grant (delivery) or correction."""
    group: Group
    due: date
    provisional: bool
    """Whether the due day was counted on a calendar that was not announced."""
    done: date | None

    @property
    def kept(self) -> bool:
        """Whether it was done in time."""
        return self.done is not None and self.done <= self.due

    def judged(self, today: date) -> date | None:
        """The day on which it is counted, seen on the day `today`; None while it is still open and in time."""
        if self.done is not None and self.done <= self.due:
            return self.done
        return self.due + _ONE_DAY if today > self.due else None

    def open(self, today: date) -> bool:
        """Whether it is not done and still in time."""
        return self.done is None and today <= self.due

    def late(self, today: date) -> bool:
        """Whether it is not done and its day is past."""
        return self.done is None and today > self.due


@dataclass(frozen=True, slots=True)
class Reply:
    """A consent or a refusal that was given."""

    at: datetime
    demand: str
    group: Group
    refused: bool
    legal_basis: str | None
    """Of a refusal."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A counted demand that was taken back."""

    at: datetime
    demand: str
    group: Group
    satisfied: bool
    """Whether it was satisfied strictly just before."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How many duties of a kind were kept."""

    kept: int = 0
    """Numerator."""
    judged: int = 0
    """Denominator."""

    @property
    def missed(self) -> int:
        """Those judged and not kept."""
        return self.judged - self.kept

    @property
    def ratio(self) -> float | None:
        """Kept ÷ judged."""
        return ratio(self.kept, self.judged)

    def as_json(self) -> dict[str, Any]:
        """Numerator, denominator and ratio."""
        return {"kept": self.kept, "judged": self.judged, "ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class Acts:
    """Everything that happened, of which companions are counted."""

    duties: Sequence[Duty] = ()
    replies: Sequence[Reply] = ()
    withdrawals: Sequence[Withdrawal] = ()


@dataclass(frozen=True, slots=True)
class Companions:
    """The companions of the rate over one period."""

    clocks: dict[str, Kept]
    """By name of the clock; all of CLOCKS."""
    replies: int
    refusals: int
    refusals_with_basis: int
    withdrawn: int
    withdrawn_unsatisfied: int

    @classmethod
    def over(cls, period: Period, acts: Acts, today: date) -> "Companions":
        """The companions over `period`, as known on the day `today`."""
        given = [one for one in acts.replies if period.holds(one.at)]
        refused = [one for one in given if one.refused]
        withdrawn = [one for one in acts.withdrawals if period.holds(one.at)]
        return cls(
            clocks={name: kept(period, (one for one in acts.duties if one.clock == name), today) for name in CLOCKS},
            replies=len(given),
            refusals=len(refused),
            refusals_with_basis=sum(one.legal_basis is not None for one in refused),
            withdrawn=len(withdrawn),
            withdrawn_unsatisfied=sum(not one.satisfied for one in withdrawn),
        )

    @property
    def refusal_rate(self) -> float | None:
        """Refusals ÷ replies."""
        return ratio(self.refusals, self.replies)

    @property
    def basis_rate(self) -> float | None:
        """Refusals with a legal basis ÷ refusals."""
        return ratio(self.refusals_with_basis, self.refusals)

    def as_json(self) -> dict[str, Any]:
        """Every numerator, denominator and ratio; null over nothing."""
        return {
            "on_time": {name: one.as_json() for name, one in self.clocks.items()},
            "replies": self.replies,
            "refusals": self.refusals,
            "refusals_with_basis": self.refusals_with_basis,
            "refusal_rate": self.refusal_rate,
            "refusal_basis_rate": self.basis_rate,
            "withdrawn": self.withdrawn,
            "withdrawn_unsatisfied": self.withdrawn_unsatisfied,
        }


def kept(period: Period, duties: Iterable[Duty], today: date) -> Kept:
    """How many of the duties that are judged in `period` were kept."""
    days = [(one, one.judged(today)) for one in duties]
    judged = [one for one, day in days if day is not None and period.holds_day(day)]
    return Kept(sum(one.kept for one in judged), len(judged))
