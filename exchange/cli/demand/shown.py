"""A demand as a person reads it: who wants what from whom, under which law, and where its clocks stand."""

from collections.abc import Iterator
from typing import Any

from exchange.calendar import ZONE, last_day
from exchange.cli.output import entry, say
from exchange.clock import parse_time

_CLOCKS = {"review": "review by the competent department", "reply": "reply of the provider", "delivery": "delivery"}


def tell(demand: dict[str, Any]) -> None:
    """Print a demand as the API shows it, without its history."""
    provider = demand["provider"] or "nobody yet"
    entry(demand["demand"], demand["state"], f"{demand['demander']} asks {provider} for {demand['record_type']}")
    for name, value in _lines(demand):
        say(f"  {name:<14} {value}")


def late(demand: dict[str, Any]) -> list[str]:
    """The duties that are past their day and not met, in words."""
    clocks = ((name, demand["clocks"][name]) for name in _CLOCKS)
    return [
        f"{name} overdue since {clock['due']}"
        for name, clock in clocks
        if clock is not None and clock["overdue"] and clock["done"] is None
    ]


def in_shanghai(moment: str) -> str:
    """A moment of the API as people there read it: day and time, to the second."""
    try:
        return parse_time(moment).astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:  # of the last hours of the year 9999: that has no year there
        return moment


def until_in_shanghai(moment: str) -> str:
    """The end of a period as people there read it: its last day, or the moment when it ends within one."""
    day = last_day(parse_time(moment))
    return in_shanghai(moment) if day is None else f"the end of {day}"


def _lines(demand: dict[str, Any]) -> Iterator[tuple[str, str]]:
    masks = demand["masks"]
    yield "fields", ", ".join(f"{one} ({masks[one]})" if one in masks else one for one in demand["fields"]) or "–"
    if demand["scope"]:
        yield "rows", " and ".join(_condition(part) for part in demand["scope"])
    for name, words in (("legal_basis", "legal basis"), ("scenario", "scenario"), ("use_scope", "use scope")):
        yield words, demand.get(name) or "–"
    yield "mode", demand.get("mode") or "–"
    begin, end = demand["use_from"], demand["use_until"]
    shown = "open" if end is None else until_in_shanghai(end)
    yield "use period", f"{'at once' if begin is None else in_shanghai(begin)} … {shown}"
    if demand["missing"]:
        yield "missing", ", ".join(demand["missing"])
    for name in ("renews", "replaces", "replaced_by"):
        if demand[name]:
            yield name.replace("_", " "), demand[name]
    yield from _replies(demand)
    for name, words in _CLOCKS.items():
        if demand["clocks"][name] is not None:
            yield "clock", f"{words} {_clock(demand['clocks'][name])}"
    if demand["grants"]:
        yield "grants", ", ".join(demand["grants"])
    for breach in demand["breaches"]:
        yield "in breach", f"{breach['grant']}: {_why(breach)} since {breach['since']}"


def told(event: dict[str, Any]) -> str:
    """An event of a demand's history: of a breach with its cause and reason."""
    return event["event"] if event["cause"] is None else f"{event['event']} ({_why(event)})"


def _why(breach: dict[str, Any]) -> str:
    """The cause of a breach, and its reason."""
    if breach["reason"] is None:
        return str(breach["cause"])
    counted = "" if breach.get("of") is None else f", {breach['set_aside']} of {breach['of']}"
    return f"{breach['cause']}, {breach['reason']}{counted}"


def _replies(demand: dict[str, Any]) -> Iterator[tuple[str, str]]:
    extension, refusal, dispute = demand["extension"], demand["refusal"], demand["dispute"]
    if extension is not None:
        given = "asked for" if extension["given"] is None else "given"
        yield "extension", f"{extension['days']} working days, {given}"
    if refusal is not None:
        basis = f" ({refusal['legal_basis']})" if refusal["legal_basis"] else ""
        yield "refused", f"{refusal['reason']}{basis}"
    if dispute is not None:
        stands = f"settled: {dispute['outcome']}" if dispute["settled"] else f"before: {dispute['level']}"
        yield "dispute", f"by {dispute['by']}, {stands}"


def _clock(clock: dict[str, Any]) -> str:
    done = "" if clock["done"] is None else f", done {clock['done']}"
    late = ", overdue" if clock["overdue"] else ""
    provisional = " (provisional: that year's holidays are not announced)" if clock["provisional"] else ""
    return f"due {clock['due']}{provisional}{done}{late}"


def _condition(part: dict[str, Any]) -> str:
    words = {"equals": "=", "prefix": "begins with", "in": "in"}[part["operator"]]
    return f"{part['field']} {words} {', '.join(part['values'])}"
