from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.broker.rate.satisfaction import BY, rate, rates, state_at
from exchange.broker.rate.time_weighted import TimeSums, time_table
from exchange.clock import format_time, parse_time
from exchange.ledger.events.event import LedgerEvent
from exchange.ledger.fold.apply import fold
from tests.harness.memory.ledger import START, chain

FIELDS = ("a", "b", "c")
CAUSES = ("grantee", "exchange", "provider")
_SINCES = st.integers(-10, 60).map(lambda minute: format_time(START + timedelta(minutes=minute)))
"""A breach may be told long after it began."""


@st.composite
def ledgers(draw: st.DrawFn) -> list[LedgerEvent]:
    """Random lives of a few demands, in any order that the ledger's events allow."""
    steps: list[tuple[str, dict[str, Any], Any]] = []
    demands: list[str] = []
    grants: list[tuple[str, str]] = []
    minute = 0
    for number in range(draw(st.integers(0, 24))):
        minute += draw(st.integers(0, 5))
        choice = draw(st.integers(0, 11))
        if choice <= 2 or not demands:
            demands.append(f"d{number}")
            data = _submission(draw, demands[-1])
            name = "demand-submitted"
        elif choice <= 4 or not grants:
            demand = draw(st.sampled_from(demands))
            grants.append((f"g{number}", demand))
            name, data = "demand-consented", _consent(draw, demand, grants[-1][0])
        else:
            name, data = _event(draw, choice, demands, grants)
        steps.append((name, data, START + timedelta(minutes=minute)))
    return chain(steps)


def _submission(draw: st.DrawFn, demand: str) -> dict[str, Any]:
    begin, length = draw(st.integers(-30, 60)), draw(st.integers(1, 90))
    return {
        "demand": demand,
        "request": "r",
        "demander": draw(st.sampled_from(["x", "y"])),
        "provider": draw(st.sampled_from(["p", "q", None])),
        "registry": draw(st.sampled_from(["population", "credit"])),
        "record_type": "credit.penalty",
        "fields": draw(st.lists(st.sampled_from(FIELDS), min_size=1, unique=True)),
        "complete": draw(st.integers(0, 4)) > 0,
        "use_from": draw(st.sampled_from([None, format_time(START + timedelta(minutes=begin))])),
        "use_until": draw(st.sampled_from([None, format_time(START + timedelta(minutes=begin + length))])),
    }


def _consent(draw: st.DrawFn, demand: str, grant: str) -> dict[str, Any]:
    granted = draw(st.lists(st.sampled_from(FIELDS), unique=True))
    return {
        "demand": demand,
        "grant": grant,
        "fields": granted,
        "masked": [name for name in FIELDS if name not in granted][:1],
        "scope_narrowed": draw(st.integers(0, 3)) == 0,
        "freshness_seconds": 60,
    }


def _event(
    draw: st.DrawFn, choice: int, demands: list[str], grants: list[tuple[str, str]]
) -> tuple[str, dict[str, Any]]:
    grant, demand = draw(st.sampled_from(grants))
    cause = draw(st.sampled_from(CAUSES))
    other = draw(st.sampled_from(demands))
    events: list[tuple[str, dict[str, Any]]] = [
        ("grant-activated", {"grant": grant, "demand": demand, "share": "s"}),
        ("grant-activated", {"grant": grant, "demand": demand, "share": "s"}),
        ("first-delivered", {"grant": grant, "empty": draw(st.booleans())}),
        ("first-delivered", {"grant": grant, "empty": draw(st.booleans())}),
        ("freshness-broken", {"grant": grant, "cause": cause, "since": draw(_SINCES)}),
        ("freshness-restored", {"grant": grant, "cause": cause}),
        ("grant-suspended", {"grant": grant}),
        ("grant-resumed", {"grant": grant}),
        ("grant-ended", {"grant": grant, "reason": "revoked"}),
        ("demand-withdrawn", {"demand": other}),
        ("demand-refused", {"demand": other}),
        ("demand-supplemented", {"demand": other, "complete": draw(st.booleans())}),
    ]
    return events[draw(st.integers(0, len(events) - 1)) if choice > 6 else choice - 5]


def recount(events: list[LedgerEvent], at: datetime, told_later: Iterable[LedgerEvent] = ()) -> tuple[int, int, float]:
    """(counted, strictly satisfied, weight): the words of the definition, read from the exported lines themselves.

    told_later: of these, breaches that had begun count although they were told after `at`.
    """
    begun = {
        event.data["grant"]
        for event in told_later
        if event.event == "freshness-broken" and parse_time(event.data["since"]) <= at < event.moment
    }
    lines = [event.exported() for event in events if event.moment <= at]

    def told(name: str, **about: Any) -> list[int]:
        return [
            number
            for number, line in enumerate(lines)
            if line["event"] == name and all(line["data"].get(key) == value for key, value in about.items())
        ]

    def last(names: tuple[str, str], **about: Any) -> str | None:
        places = {place: name for name in names for place in told(name, **about)}
        return places[max(places)] if places else None

    counted, strict, weight = 0, 0, 0.0
    for line in (one for one in lines if one["event"] == "demand-submitted"):
        asked, demand = line["data"], line["data"]["demand"]
        complete = asked["complete"] or told("demand-supplemented", demand=demand, complete=True)
        in_use = asked["use_from"] is None or asked["use_from"] <= format_time(at)
        over = asked["use_until"] is not None and asked["use_until"] <= format_time(at)
        if not complete or not in_use or over or told("demand-withdrawn", demand=demand):
            continue
        counted += 1
        parts, full = [0.0], False
        for given_ in (one["data"] for one in lines if one["event"] == "demand-consented"):
            grant = given_["grant"]
            broken = any(
                last(("freshness-broken", "freshness-restored"), grant=grant, cause=cause) == "freshness-broken"
                for cause in CAUSES
            )
            serving = (
                told("grant-activated", grant=grant)
                and told("first-delivered", grant=grant)
                and not told("grant-ended", grant=grant)
                and last(("grant-suspended", "grant-resumed"), grant=grant) != "grant-suspended"
                and not broken
                and grant not in begun
            )
            if given_["demand"] == demand and serving:
                parts.append(len(set(given_["fields"]) & set(asked["fields"])) / len(asked["fields"]))
                full = full or (parts[-1] == 1 and not given_["scope_narrowed"])
        strict += full
        weight += max(parts)
    return counted, strict, weight


@settings(max_examples=150, deadline=None)
@given(ledgers(), st.integers(-10, 120))
def test_rate_equals_an_independent_recount_at_every_moment(events: list[LedgerEvent], minute: int) -> None:
    at = START + timedelta(minutes=minute)
    found = rate(state_at(events, at), at)

    counted, strict, weight = recount(events, at)
    assert (found.counted, found.satisfied_strictly) == (counted, strict)
    assert abs(float(found.weight) - weight) < 1e-9


@settings(max_examples=100, deadline=None)
@given(ledgers(), st.integers(0, 120))
def test_laws_of_the_rate(events: list[LedgerEvent], minute: int) -> None:
    at = START + timedelta(minutes=minute)
    state = state_at(events, at)
    found = rate(state, at)

    if found.counted == 0:
        assert found.strict is None
        assert found.weighted is None
    else:
        assert found.strict is not None
        assert found.weighted is not None
        assert 0 <= found.strict <= found.weighted <= found.satisfied / found.counted <= 1
    for by in BY.values():
        groups = rates(state, at, by).values()
        assert sum(one.counted for one in groups) == found.counted
        assert sum(one.satisfied_strictly for one in groups) == found.satisfied_strictly
        assert sum(one.weight for one in groups) == found.weight


@settings(max_examples=60, deadline=None)
@given(ledgers(), st.integers(-10, 60), st.integers(1, 120))
def test_time_weighted_rate_is_the_recount_of_every_moment_added_up(
    events: list[LedgerEvent], begin: int, length: int
) -> None:
    start = START + timedelta(minutes=begin)
    end = start + timedelta(minutes=length)
    told = [event.data.get(name) for event in events for name in ("use_from", "use_until", "since")]
    changes = {start, end, *(event.moment for event in events), *(parse_time(text) for text in told if text)}
    moments = sorted(moment for moment in changes if start <= moment <= end)
    counted, satisfied = timedelta(), timedelta()
    for since, until in pairwise(moments):
        demands, strictly, _weight = recount(events, since, events)
        counted, satisfied = counted + demands * (until - since), satisfied + strictly * (until - since)

    table = time_table(events, start, end)
    microsecond = timedelta(microseconds=1)
    assert table.total() == TimeSums(counted // microsecond, satisfied // microsecond)
    for by in BY:
        groups = table.by(by).values()
        assert sum(one.counted for one in groups) == table.total().counted
        assert sum(one.satisfied for one in groups) == table.total().satisfied


@settings(max_examples=60, deadline=None)
@given(ledgers(), st.data())
def test_refusal_never_shrinks_the_denominator_and_withdrawal_takes_out_one(
    events: list[LedgerEvent], data: st.DataObject
) -> None:
    at = START + timedelta(minutes=200)
    before = rate(fold(events), at)
    demands = [event.data["demand"] for event in events if event.event == "demand-submitted"]
    if not demands:
        return
    demand = data.draw(st.sampled_from(demands))
    steps = [(event.event, event.data, event.moment) for event in events]

    refused = rate(fold(chain([*steps, ("demand-refused", {"demand": demand}, at)])), at)
    withdrawn = rate(fold(chain([*steps, ("demand-withdrawn", {"demand": demand}, at)])), at)

    assert refused.counted == before.counted
    assert before.counted - withdrawn.counted in (0, 1)
