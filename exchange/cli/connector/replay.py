"""Asking sources and sinks to try again what they have set aside."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from exchange.cli.connector.own import Own
from exchange.connect.declare import Source
from exchange.faults.fold import Fault
from exchange.faults.log import item_of
from exchange.intake.memory.requests import ALL, RequestKind
from exchange.settings import Settings

_SINK_NEXT = "the sink applies what its table takes within a minute when it runs, else at its start"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a connector was asked for."""

    connector: str
    what: str
    next: str


def replay_all(own: Own) -> Asked:
    """Everything of a connector that waits."""
    if isinstance(own.declared, Source):
        return _ask_source(own, [ALL])
    refused = own.refused()
    return _of_sink(own, refused.ask(refused.listed()))


def replay_items(faults: Sequence[Fault], settings: Settings) -> list[Asked]:
    """Single rows and records, each of its connector; what waits no longer is told as that."""
    by_connector: dict[str, list[str]] = defaultdict(list)
    done: list[Asked] = []
    for fault in faults:
        if fault.settled is not None:
            done.append(
                Asked(fault.connector, f"{fault.item} waits no longer: {fault.settled}", "nothing is to be done")
            )
        elif fault.item is not None:
            by_connector[fault.connector].append(fault.item)
    owned = [(Own.of(name, settings), items) for name, items in by_connector.items()]
    asked = [
        _ask_source(own, items) if isinstance(own.declared, Source) else _ask_sink(own, items) for own, items in owned
    ]
    return done + asked


def _ask_source(own: Own, items: Sequence[str]) -> Asked:
    answers = [own.ask(RequestKind.REPLAY, item) for item in items]
    what = "all that waits is read again" if items == [ALL] else f"rows to be read again: {len(items)}"
    return Asked(own.name, what if any(new for new, _ in answers) else "asked for already", answers[-1][1])


def _ask_sink(own: Own, items: Sequence[str]) -> Asked:
    refused, wanted = own.refused(), set(items)
    chosen = [one for one in refused.listed() if item_of(own.name, one.record_key) in wanted]
    return _of_sink(own, refused.ask(chosen))


def _of_sink(own: Own, records: int) -> Asked:
    if not records:
        return Asked(own.name, "nothing of it waits in its database", "what was applied or replaced waits no longer")
    return Asked(own.name, f"records to be applied again: {records}", _SINK_NEXT)
