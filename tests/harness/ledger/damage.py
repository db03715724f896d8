"""What can happen to a ledger behind the exchange's back, and where its verification must say that it happened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from exchange.ledger.events.event import LedgerEvent

Events = Sequence[LedgerEvent]
EVENTS = 5
"""How many events a ledger has to be damaged."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One kind of damage to a ledger of five events."""

    do: Callable[[Events], list[LedgerEvent]]
    where: str
    """What verification says."""
    needs_head: bool = False
    """The chain alone cannot show it."""


def _changed(events: Events, seq: int) -> list[LedgerEvent]:
    old = events[seq - 1]
    data = {**old.data, "reason": "another"}
    return [*events[: seq - 1], replace(old, data=data, text=""), *events[seq:]]


DAMAGES: Mapping[str, Damage] = {
    "changed": Damage(lambda events: _changed(events, 3), "event 4 does not fit event 3"),
    "missing": Damage(lambda events: [*events[:2], *events[3:]], "event 4 stands where event 3 belongs"),
    "reordered": Damage(
        lambda events: [*events[:1], events[2], events[1], *events[3:]], "event 3 stands where event 2 belongs"
    ),
    "last changed": Damage(lambda events: _changed(events, 5), "event 5 is not the one", needs_head=True),
    "tail cut": Damage(
        lambda events: list(events[:4]), "ends with event 4, but event 5 was published", needs_head=True
    ),
}
"""By what was done to it."""
