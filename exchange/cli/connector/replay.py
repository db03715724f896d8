"""Asking sources and sinks to try again what they have set aside."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import typer

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
    """Single rows and records, each of its connector.

    Raises BadParameter, before anything is asked for, when one of them waits no longer.
    """
    by_connector: dict[str, list[str]] = defaultdict(list)
    for fault in faults:
        if fault.item is None or fault.settled is not None:
            raise typer.BadParameter(f"{fault.item or 'an entry without item'} waits no longer: {fault.settled}")
        by_connector[fault.connector].append(fault.item)
    owned = [(Own.of(name, settings), items) for name, items in by_connector.items()]
    return [
        _ask_source(own, items) if isinstance(own.declared, Source) else _ask_sink(own, items) for own, items in owned
    ]


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
