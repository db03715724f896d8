"""The figures of a period from the ledger alone: the rate at its end, the time-weighted rate, the companions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exchange.broker.rate.chronicle import Chronicle
from exchange.broker.rate.companions import Acts, Companions, Duty, Reply, Withdrawal
from exchange.broker.rate.periods import Period
from exchange.broker.rate.satisfaction import BY, Rate, judged, rates
from exchange.broker.rate.time_weighted import TimeSums, TimeTable
from exchange.calendar import day_in_shanghai
from exchange.clock import format_time, parse_time
from exchange.errors import ExchangeError
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.state.ledger_state import LedgerState


@dataclass(frozen=True, slots=True)
class Figures:
    """The rate at a moment, the time-weighted rate and the companions over a period."""

    rate: Rate
    time: TimeSums
    companions: Companions

    @property
    def told(self) -> bool:
        """Whether there is anything to tell."""
        beside = self.companions
        judged_ = sum(one.judged for one in beside.clocks.values())
        return bool(self.rate.counted or self.time.counted or judged_ or beside.replies or beside.withdrawn)

    def as_json(self) -> dict[str, Any]:
        """All of it; ratios over nothing are null."""
        return {**self.rate.as_json(), **self.time.as_json(), **self.companions.as_json()}


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """What a ledger tells of a period that consists of one or more parts."""

    period: Period
    at: datetime
    """The moment up to which the ledger was read: the period's last one, or the present before that."""
    state: LedgerState
    """The state at that moment."""
    acts: Acts
    time: TimeTable
    total: Figures
    parts: Sequence[Figures]
    """Of each part, in order: the rate at its end, the others over it."""

    def by(self, name: str) -> dict[str, Figures]:
        """The figures of every group of `registry`, `demander` or `provider` that has any, by its name."""
        today = day_in_shanghai(self.at)
        own, time, acts = rates(self.state, self.at, BY[name]), self.time.by(name), _parted(self.acts, name)
        found: dict[str, Figures] = {}
        for group in sorted({*own, *time, *acts}):
            companions = Companions.over(self.period, acts.get(group, Acts()), today)
            figures = Figures(own.get(group, Rate()), time.get(group, TimeSums()), companions)
            if figures.told:
                found[group] = figures
        return found

    def as_json(self, by: Iterable[str] = tuple(BY)) -> dict[str, Any]:
        """The period with its figures, also by group."""
        groups = {name: {group: one.as_json() for group, one in self.by(name).items()} for name in by}
        bounds = {"from": format_time(self.period.start), "until": format_time(self.period.end)}
        head = {"at": format_time(self.at), "seq": self.state.seq, "hash": self.state.head}
        return {**bounds, **head, **self.total.as_json(), "by": groups}


def read_figures(events: Iterable[LedgerEvent], parts: Sequence[Period], now: datetime) -> PeriodFigures:
    """The figures of consecutive periods, from a ledger's first event on, as known at `now`.

    Raises ExchangeError: E_REQUEST when a period has not begun, E_LEDGER_BROKEN.
    """
    if any(part.start > now for part in parts):
        raise ExchangeError("E_REQUEST", "the period has not begun")
    # To the millisecond, as the moment is told: whoever asks for that moment again gets the same.
    now = parse_time(format_time(now))
    whole = Period(parts[0].start, parts[-1].end)
    at = min(now, whole.last)
    ends = [min(part.last, at) for part in parts]
    found: dict[datetime, Rate] = {}
    read = Chronicle([whole.start, *(part.end for part in parts)])
    read.read(events, at, ends, lambda state, moment: found.update({moment: Rate.of(judged(state, moment))}))
    acts, time, today = read.acts(at), read.time(min(now, whole.end)), day_in_shanghai(at)
    return PeriodFigures(
        period=whole,
        at=at,
        state=read.state,
        acts=acts,
        time=time,
        total=Figures(found[at], time.total(), Companions.over(whole, acts, today)),
        parts=[
            Figures(found[end], time.period(place), Companions.over(part, acts, today))
            for place, (part, end) in enumerate(zip(parts, ends, strict=True))
        ],
    )


def _parted(acts: Acts, name: str) -> Mapping[str, Acts]:
    """What happened, by group."""
    found: dict[str, tuple[list[Duty], list[Reply], list[Withdrawal]]] = {}
    kinds: tuple[Sequence[Duty | Reply | Withdrawal], ...] = (acts.duties, acts.replies, acts.withdrawals)
    for place, some in enumerate(kinds):
        for one in some:
            group = str(getattr(one.group, name))
            members: Any = found.setdefault(group, ([], [], []))[place]
            members.append(one)
    return {group: Acts(*members) for group, members in found.items()}
