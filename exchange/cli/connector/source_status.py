"""The status of a source, from its memory alone: it is told also while database, Kafka and broker service are away."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from exchange.cli.connector.own import Own
from exchange.cli.connector.position import Position
from exchange.cli.connector.told import Told
from exchange.cli.output import age
from exchange.clock import format_time
from exchange.errors import TABLE
from exchange.intake.memory.requests import Request
from exchange.intake.report import SourceReport, SourceState, decode

_RESULTS = ("equal", "missing", "changed", "gone", "held")
_MOST_REQUESTS = 20


def source_status(own: Own) -> Told:
    """What the source said last, how far it has read, what it was asked for.

    Raises ExchangeError as `SourceMemoryView` does.
    """
    memory = own.memory()
    running, kept, pending = memory.running, memory.report(), memory.pending()
    report = None if kept is None else decode(kept)
    waiting, since = memory.set_aside()
    position = Position.of(own.declared, memory.cursor())
    plain: dict[str, Any] = {
        "connector": own.name,
        "kind": "source",
        "record_type": own.declared.record_type,
        "running": running,
        "report": None if report is None else _plain(report),
        "cursor": position.plain(),
        "set_aside": waiting,
        "set_aside_since": _moment(since),
        "requests": [{"kind": one.kind, "what": _what(one), "at": one.at} for one in pending],
    }
    words = {
        "connector": f"{own.name}, a source of {own.declared.record_type}",
        "state": _state(report, running, own.name),
        "rows": _rows(report),
        "cursor": position.words(),
        "comparison": "none yet" if report is None else _comparison(report, own.name),
        "set aside": _set_aside(waiting, since, own.name),
        "requests": _requests(pending),
    }
    return Told(plain, words)


def _state(report: SourceReport | None, running: bool, name: str) -> str:
    process = "runs on this machine" if running else "does not run on this machine"
    start = "" if running else f"; start it with `exchange run {name}`"
    if report is None:
        return f"{process}; it has not said anything of itself yet{start}"
    said = f"{report.state.value} since {format_time(report.since)}"
    if report.code is not None:
        advice = f": {TABLE[report.code].advice}" if report.code in TABLE else ""
        said += f" ({report.code}{advice})"
    if report.state is SourceState.WORKING and not running:
        return f"{process}; what it said last, {age(report.at)} ago: {said}{start}"
    return f"{process}; {said}, said {age(report.at)} ago{start}"


def _rows(report: SourceReport | None) -> str:
    if report is None or report.compared_at is None:
        return "not read to the end yet"
    return f"{report.rows:,} at the last whole reading"


def _comparison(report: SourceReport, name: str) -> str:
    """The last comparison and its result, as a sentence."""
    if report.compared_at is None:
        return "none yet"
    when = f"{age(report.compared_at)} ago ({format_time(report.compared_at)})"
    if report.rows and not any(getattr(report, result) for result in _RESULTS):
        return f"{when}: the first reading, with nothing to compare it with"
    sent = ", ".join(f"{getattr(report, kind):,} {kind}" for kind in ("missing", "changed") if getattr(report, kind))
    told = f"{when}: {report.equal:,} rows equal"
    told += f"; {sent}: sent" if sent else ""
    told += f"; {report.gone:,} gone: withdrawn" if report.gone else ""
    told += "" if sent or report.gone or report.held else ", nothing missing, changed or gone"
    if report.held:
        confirm = f"`exchange connector confirm-withdrawals {name}`"
        told += f"; {report.held:,} are gone and NOT withdrawn: see that the table is whole, then {confirm}"
    return told


def _set_aside(waiting: int, since: datetime | None, name: str) -> str:
    if since is None:
        return "nothing"
    return f"{waiting:,}, the oldest for {age(since)}; see `exchange faults list --connector {name}`"


def _requests(pending: list[Request]) -> str:
    if not pending:
        return "none waits"
    told = [f"{one.kind} {_what(one)}".strip() for one in pending[:_MOST_REQUESTS]]
    more = f" and {len(pending) - _MOST_REQUESTS} more" if len(pending) > _MOST_REQUESTS else ""
    return f"{', '.join(told)}{more}"


def _what(request: Request) -> str:
    """The argument of a request, without the key that it may name."""
    return "key (not shown)" if request.argument.startswith("key ") else request.argument


def _plain(report: SourceReport) -> dict[str, Any]:
    told = asdict(report)
    return {name: _moment(one) if isinstance(one, datetime) else one for name, one in told.items()}


def _moment(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)
