"""The demands of the demo that are not, or not in full, served: what became of each, and what it does to the rate."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Case:
    """One such demand."""

    demand: str
    who: str
    what: str
    became: str
    effect: str
    """What it does to the rate, in words."""


def cases(demands: Iterable[Mapping[str, Any]], grants: Mapping[str, Mapping[str, Any]]) -> list[Case]:
    """The cases among demands as the API shows them. grants: by id, as the API shows them."""
    found = ((demand, _became(demand, grants)) for demand in demands)
    return [
        Case(demand["demand"], f"{demand['demander']} → {demand['provider']}", demand["record_type"], *told)
        for demand, told in found
        if told is not None
    ]


def table(found: Iterable[Case]) -> Table:
    """The cases as a person reads them."""
    shown = Table(
        title="Demands that are not served in full", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for head in ("demand", "from → to", "what became of it", "in the rate"):
        shown.add_column(head)
    for case in found:
        parties, what = case.who.replace(" → ", "\n→ "), case.what.replace(".", ".\n ")
        shown.add_row(case.demand, f"{parties}\n{what}", case.became, case.effect)
    return shown


def _became(demand: Mapping[str, Any], grants: Mapping[str, Mapping[str, Any]]) -> tuple[str, str] | None:
    state, clock = demand["state"], demand["clocks"]["reply"]
    if state == "refused":
        return f"refused: {demand['refusal']['reason']}", "counts, is not satisfied"
    if state == "unmatched":
        return "unmatched: no department offers it; matched when one publishes it", "counts, is not satisfied"
    if state == "submitted" and clock is not None and clock["overdue"]:
        extension = demand["extension"]
        longer = f"extended by {extension['days']} working days, " if extension is not None else ""
        return f"{longer}due {clock['due']}, overdue", "counts, is not satisfied; the provider is late"
    given = max((len(grants[one]["granted_as_asked"]) for one in demand["grants"] if one in grants), default=0)
    asked = len(demand["fields"])
    if state == "serving" and given < asked:
        return f"partially granted: {given} of {asked} fields", f"strict: not satisfied; weighted: {given}/{asked}"
    return None
