"""`exchange reconcile`: is a grantee's table its share, and the share the provider's table?"""

import threading
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exchange import settings as settings_module
from exchange.cli.output import DOES_NOT_HOLD, cell, heading, say, show_json, table
from exchange.connect.declare import Sink
from exchange.connect.find import Connector
from exchange.connect.tables import Table, database
from exchange.errors import ExchangeError
from exchange.names import Department
from exchange.settings import Settings
from exchange.web.client import ApiClient, connect

if TYPE_CHECKING:
    from exchange.reconcile.result import Finding

_NOT_COUNTED_BEYOND = 1 << 62
_MEANING = {
    "equal": "the same on both sides",
    "altered": "on both sides, with different content",
    "missing": "not arrived",
    "extra": "only where it should have come to",
    "set_aside": "refused by the table; the sink keeps them: `exchange faults list`",
    "waiting": "on their way, or changing while they were looked at",
    "unread": "rows of the table that cannot be read or mapped: `exchange faults list`",
}
_OF_GRANTEE = "`exchange reconcile {grant} --mend` lets the sink read its share again, which mends what is altered or "
_OF_GRANTEE += "missing; rows that are extra go with --remove-extra"
_OF_PROVIDER = "`exchange connector reread {connector} --all` submits again what is missing or altered, and withdraws "
_OF_PROVIDER += "what is extra; what waits in quarantine is shown by `exchange quarantine list`"


def reconcile(
    grant: Annotated[str, typer.Argument(metavar="GRANT", help="id of the grant, e.g. g-13")],
    *,
    connector: Annotated[
        list[str] | None,
        typer.Option(help="your sink, or your sources of the record type; found when left out; repeatable"),
    ] = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="As the grantee: let the sink apply what differs again.")
    ] = False,
    remove_extra: Annotated[
        bool, typer.Option("--remove-extra", help="With --mend: delete rows of the table that the share does not hold.")
    ] = False,
    patience: Annotated[float, typer.Option(min=0.0, help="seconds to wait for what is on its way")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text")] = False,
) -> None:
    """Your half of a grant: its share and your table, held against each other; exit status 1 when they differ.

    The grantee compares its table with the share, the provider the share with its own table, each with its own
    settings. Keys that differ are shown to nobody else. Everybody else sees what both halves said last.

    Example: `exchange reconcile g-13`
    """
    from exchange.reconcile.halves import tell  # noqa: PLC0415 - the database and Kafka are loaded when they are needed

    if remove_extra and not mend:
        raise ExchangeError("E_REQUEST", "--remove-extra goes with --mend")
    settings = settings_module.load()
    with connect() as api:
        one = api.get(f"/v1/grants/{grant}")
        finding, mended = _compared(settings, api, one, (connector or [], mend, remove_extra, patience))
        if finding is None:
            _show_last(one, as_json)
            return
        told = _told(settings, finding, tell)
    if as_json:
        show_json(_view(finding, told))
    else:
        _show(one, finding, told, mended)
    if not finding.result.holds:
        raise typer.Exit(DOES_NOT_HOLD)


_How = tuple[list[str], bool, bool, float]
"""The connectors that are named, whether to mend, whether to remove what is extra, and the patience."""


def _compared(settings: Settings, api: ApiClient, one: dict[str, Any], how: _How) -> "tuple[Finding | None, bool]":
    """What our half finds, and whether it was mended; None when neither half is ours."""
    from exchange.reconcile.halves import grantee_half, provider_half, sink_of, sources_of  # noqa: PLC0415
    from exchange.reconcile.sink import Pace  # noqa: PLC0415

    names, mend, remove_extra, patience = how
    mine, pace = Department(settings.kafka.username), Pace(patience)
    if mine == one["demander"]:
        found = sink_of(mine, one, names[0] if names else None)
        assert isinstance(found.declaration, Sink)
        finding = grantee_half(settings, api, one, found.declaration, pace)
        if not mend or finding.result.holds:
            return finding, False
        _mend(settings, found, one)
        finding = grantee_half(settings, api, one, found.declaration, pace)
        if remove_extra and finding.result.extra:
            _remove_extra(settings, api, one, found.declaration, finding)
            finding = grantee_half(settings, api, one, found.declaration, pace)
        return finding, True
    if mend:
        raise ExchangeError("E_REQUEST", "--mend is for the grantee of this grant")
    if mine == one["provider"]:
        return provider_half(settings, api, one, sources_of(settings, mine, one, names), pace), False
    return None, False


def _mend(settings: Settings, connector: Connector, one: dict[str, Any]) -> None:
    """Let the share be read again, by the running sink and by one of our own that ends when it has done its part.

    The second one is needed because a sink at rest learns of it only when its group is formed anew.
    """
    from exchange.clock import SystemClock  # noqa: PLC0415
    from exchange.handover.granted import GrantedSink, Run  # noqa: PLC0415
    from exchange.handover.grants import GrantFinder  # noqa: PLC0415
    from exchange.handover.health import SinkHealth  # noqa: PLC0415
    from exchange.handover.start import serve  # noqa: PLC0415
    from exchange.handover.table.target import SqlTarget  # noqa: PLC0415
    from exchange.observe.condition import Condition  # noqa: PLC0415

    sink = connector.declaration
    assert isinstance(sink, Sink)
    assert isinstance(sink.into, Table)
    finder = GrantFinder(settings.api)
    grant = finder.active(connector.department, sink.record_type, one["provider"])
    if grant is None or grant.grant != one["grant"]:
        raise ExchangeError("E_GRANT_STATE", "the sink serves another grant by now")
    health = SinkHealth(connector.name, Condition(), SystemClock())
    layout = GrantedSink(connector, sink, settings, grant, finder, health).layout()
    with closing(SqlTarget(sink.into.name, database(settings.connector), layout)) as target:
        target.prepare(grant.grant)
        for partition in target.stored(grant.grant):
            target.read_again(grant.grant, partition, SystemClock().now(), _NOT_COUNTED_BEYOND)
    own = settings.model_copy(update={"worker_id": f"{settings.worker_id}.reconcile"})
    serve(connector, sink, own, Run(threading.Event(), once=True))


def _remove_extra(settings: Settings, api: ApiClient, one: dict[str, Any], sink: Sink, finding: "Finding") -> None:
    """Delete the rows that are extra, as far as they are named."""
    from exchange.reconcile.halves import table_of  # noqa: PLC0415
    from exchange.reconcile.result import Kind  # noqa: PLC0415

    keys = [each.key.encode() for each in finding.differences if each.kind is Kind.EXTRA]
    with closing(table_of(settings, api, one, sink)) as rows:
        rows.remove(keys)


def _told(settings: Settings, finding: "Finding", tell: Any) -> str | None:
    """Give the counts to the exchange; what was in the way, if anything."""
    try:
        tell(settings, [finding])
    except ExchangeError as error:
        return f"{error.code}: {error.detail}"
    return None


def _view(finding: "Finding", told: str | None) -> dict[str, Any]:
    result = finding.result
    return {
        "grant": finding.grant,
        **asdict(result),
        "at": result.at.isoformat(),
        "holds": result.holds,
        "differences": [
            {"kind": one.kind.value, "key": one.key, "fields": list(one.fields)} for one in finding.differences
        ],
        "notes": list(finding.notes),
        "told": told is None,
    }


def _show(one: dict[str, Any], finding: "Finding", told: str | None, mended: bool) -> None:
    result, counts = finding.result, asdict(finding.result)
    heading(f"{one['grant']}: {one['demander']} reads {one['record_type']} of {one['provider']}")
    say(f"the share compared with {finding.compared_with}: {result.compared:,} keys")
    rows = [
        {"result": name.replace("_", " "), "keys": f"{counts[name]:,}", "meaning": meaning}
        for name, meaning in _MEANING.items()
        if counts[name] or name in ("equal", "altered", "missing", "extra")
    ]
    table(rows, ("result", "keys", "meaning"), False)
    if finding.differences:
        say("")
        listed = [
            {"result": each.kind.value, "key": each.key, "fields": ", ".join(each.fields)}
            for each in finding.differences
        ]
        table(listed, ("result", "key", "fields"), False)
        left = result.differences + result.waiting - len(finding.differences)
        if left > 0:
            say(f"and {left:,} more")
    for note in finding.notes:
        say(note)
    if told is not None:
        say(f"the exchange could not be told ({told})")
    say("")
    say(_verdict(one, finding, mended))


def _verdict(one: dict[str, Any], finding: "Finding", mended: bool) -> str:
    result = finding.result
    if result.holds:
        return "mended: they are equal" if mended else "they are equal"
    if not result.differences:
        return "what has arrived is equal; the rest is on its way: is the connector running? Then ask again"
    if result.half.value == "grantee":
        if mended and result.set_aside == result.differences:
            return "NOT equal: the table refuses what is left; mend the table, see `exchange faults list`"
        return f"NOT equal. {_OF_GRANTEE.format(grant=one['grant'])}"
    return f"NOT equal. {_OF_PROVIDER.format(connector=finding.compared_with.split()[1].rstrip(','))}"


def _show_last(one: dict[str, Any], as_json: bool) -> None:
    """What both halves said last. Raises typer.Exit(1) unless both are there and hold."""
    last = one["reconciled"]
    if last is None:
        raise ExchangeError("E_NOT_LEADER", "the leader of the broker service knows the last results: ask again")
    if as_json:
        show_json(last)
    else:
        for half, found in last.items():
            word = "has not compared yet" if found is None else f"{found['at']}: "
            if found is not None:
                word += "equal" if found["holds"] else f"NOT equal ({_counts(found)})"
            say(f"{half:<9} {word}")
    if not all(found is not None and found["holds"] for found in last.values()):
        raise typer.Exit(DOES_NOT_HOLD)


def _counts(found: dict[str, Any]) -> str:
    return ", ".join(f"{cell(found[name])} {name.replace('_', ' ')}" for name in list(_MEANING)[1:] if found[name])
