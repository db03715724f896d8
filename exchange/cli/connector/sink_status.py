"""The status of a sink: its grant, asked of the broker service; its progress and what waits, from the database."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from exchange.cli.connector.own import Own
from exchange.cli.connector.told import Told
from exchange.cli.output import age
from exchange.clock import format_time
from exchange.connect.declare import Sink
from exchange.connect.tables import Table, database
from exchange.errors import ExchangeError
from exchange.handover.grants import ActiveGrant
from exchange.handover.table.progress_view import Place, ProgressView


def sink_status(own: Own) -> Told:
    """What can be had; a part that cannot is told by its error, and the others are told all the same."""
    sink = own.declared
    assert isinstance(sink, Sink)
    plain: dict[str, Any] = {"connector": own.name, "kind": "sink", "record_type": sink.record_type}
    told = Told(plain, {"connector": f"{own.name}, a sink of {sink.record_type}"})
    _part(told, "grant", lambda: _grant(told, own, sink))
    if isinstance(sink.into, Table):
        table = sink.into.name
        _part(told, "progress", lambda: _progress(told, own, table))
        _part(told, "set aside", lambda: _set_aside(told, own))
    else:
        told.words["folder"] = sink.into.name
        plain["folder"] = sink.into.name
    return told


def _part(told: Told, name: str, look: Callable[[], None]) -> None:
    try:
        look()
    except ExchangeError as error:
        told.missing.append(error.code)
        told.words[name] = f"not known: {error.code}, {error.detail} → {error.entry.advice}"
        told.plain[name.replace(" ", "_")] = {"error": error.code, "detail": error.detail}


def _grant(told: Told, own: Own, sink: Sink) -> None:
    grant = own.grant_of(sink)
    told.words["grant"] = _grant_words(grant)
    told.plain["grant"] = None
    if grant is not None:
        told.plain["grant"] = {"grant": grant.grant, "provider": grant.provider, "topic": grant.topic}


def _grant_words(grant: ActiveGrant | None) -> str:
    if grant is None:
        return "none is active: the sink waits for one; `exchange grant list` shows them"
    return f"{grant.grant} of {grant.provider}, read from {grant.topic}"


def _progress(told: Told, own: Own, table: str) -> None:
    places = ProgressView(lambda: database(own.settings.connector), table).places()
    grant = (told.plain.get("grant") or {}).get("grant")
    shown = [place for place in places if grant in (None, place.grant)]
    told.plain["progress"] = [_plain(place) for place in shown]
    told.words["progress"] = "; ".join(_place_words(place) for place in shown) or "nothing has been applied yet"


def _place_words(place: Place) -> str:
    counts = f"{place.upserted:,} written, {place.deleted:,} deleted, {place.faulty:,} faulty"
    again = ", reading all of it again" if place.resyncing else ""
    told = f"partition {place.partition} up to offset {place.next_offset:,} ({counts})"
    return f"{told}, {age(place.updated_at)} ago{again}"


def _plain(place: Place) -> dict[str, Any]:
    return {
        "grant": place.grant,
        "partition": place.partition,
        "next_offset": place.next_offset,
        "upserted": place.upserted,
        "deleted": place.deleted,
        "faulty": place.faulty,
        "resyncing": place.resyncing,
        "updated_at": format_time(place.updated_at),
    }


def _set_aside(told: Told, own: Own) -> None:
    waiting = own.refused().listed()
    by_code = Counter(one.code for one in waiting)
    oldest = min((one.since for one in waiting), default=None)
    told.plain["set_aside"] = len(waiting)
    told.plain["set_aside_since"] = None if oldest is None else format_time(oldest)
    told.plain["set_aside_by_code"] = dict(by_code)
    if oldest is None:
        told.words["set aside"] = "nothing"
        return
    codes = ", ".join(f"{count:,} {code}" for code, count in sorted(by_code.items()))
    see = f"see `exchange faults list --connector {own.name}`"
    told.words["set aside"] = f"{len(waiting):,} ({codes}), the oldest for {age(oldest)}; {see}"
