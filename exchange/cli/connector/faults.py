"""`exchange faults`: rows and records that the department's own connectors have set aside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

from exchange import names
from exchange import settings as settings_module
from exchange.cli.connector.own import Own
from exchange.cli.connector.replay import replay_all, replay_items
from exchange.cli.connector.shapes import shape_of
from exchange.cli.output import age, detail, entry, heading, say, show_json, table
from exchange.clock import Deadline, format_time
from exchange.connect.find import named
from exchange.errors import TABLE, ExchangeError
from exchange.faults.fold import Count, Fault, FaultsFold, row_of
from exchange.faults.read import entry_of, fold_log
from exchange.kafka.client.connection import Connection
from exchange.names import Department
from exchange.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Rows and records that your own connectors have set aside.")
_Connector = Annotated[str | None, typer.Option(metavar="CONNECTOR", help="only of this one, e.g. health.deaths")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_READ_SECONDS = 600.0
"""A log of a million entries, at the quota of a department."""
_SHOWN = ("item", "connector", "record_type", "stage", "code", "detail", "place", "since")
_ENTRY_SECONDS = 30.0
_SEEN_HERE = "; it waits, see `exchange faults list`"
"""How the advice for what is set aside ends."""


@app.command("list")
def list_(
    connector: _Connector = None,
    code: Annotated[str | None, typer.Option(help="with this error, e.g. E_ROW_UNMAPPED")] = None,
    all_: Annotated[bool, typer.Option("--all", help="also what waits no longer")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="at most so many")] = 50,
    as_json: _Json = False,
) -> None:
    """What waits, longest first: where it stands, what is wrong, since when; and by error, what helps.

    Read with the department's own Kafka secret from its own log, which keeps 30 days.

    Example: `exchange faults list --connector health.deaths`
    """
    _known(code)
    with _log(connector, keep_settled=all_) as (fold, _, _):
        found, counts, without_item = fold.faults(code, limit + 1), fold.counts(), fold.without_item
    shown = found[:limit]
    if as_json:
        told = {"items": [_plain(one) for one in shown], "more": len(found) > limit}
        show_json(told | {"counts": [_count(one) for one in counts], "entries_without_item": without_item})
        return
    for one in shown:
        _say_fault(one)
    if len(found) > limit:
        say(f"there are more than these {limit}: narrow the filters, or raise --limit")
    _say_counts(counts, code)
    if without_item and not all_:
        say(f"{without_item} entries of an older form do not say whether they still wait: --all shows them")


@app.command()
def show(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="as `list` shows it; its first characters will do")],
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="the row's values as they are, not their shapes")
    ] = False,
    as_json: _Json = False,
) -> None:
    """One row or record: what is wrong, where it stands, what helps; of a row, its columns by their shapes.

    A shape is `9999-99-99` for a date and `文文` for a Chinese name. With --unmasked you see the row itself, which may
    be about a person. Of a sink's record only its place in the share is known.

    Example: `exchange faults show 3f2a9c41d07be815`
    """
    with _log(None, keep_settled=True) as (fold, connection, department):
        fault = _one(fold, item)
        row = row_of(entry_of(connection, department, fault, Deadline.after(_ENTRY_SECONDS)))
    cells = None if row is None else {name: cell if unmasked else shape_of(cell) for name, cell in row.items()}
    if as_json:
        show_json({**_plain(fault), "advice": _advice(fault.code), "row": cells})
        return
    plain = _plain(fault)
    detail({name: plain[name] for name in _SHOWN if plain[name]} | {"waits": _then(fault)}, False)
    say(f"→ {_advice(fault.code)}")
    if cells is not None:
        heading("the row" if unmasked else "the row, each value by its shape")
        table(({"column": name, "holds": cell} for name, cell in cells.items()), ("column", "holds"), False)


@app.command()
def replay(
    items: Annotated[list[str] | None, typer.Argument(metavar="ITEM", help="as `list` shows them; else --all")] = None,
    connector: _Connector = None,
    all_: Annotated[bool, typer.Option("--all", help="everything of --connector that waits")] = False,
    as_json: _Json = False,
) -> None:
    """Try again what waits, after the row, the mapping or the table was mended.

    A source reads the row anew, a sink applies the record that it has kept; neither overtakes a newer version. What is
    still wrong goes on waiting.

    Example: `exchange faults replay --connector health.deaths --all`
    """
    settings = settings_module.load()
    if bool(items) == all_ or (all_ and connector is None) or (items and connector is not None):
        raise typer.BadParameter("name the items, or --connector and --all")
    if all_ and connector is not None:
        asked = [replay_all(Own.of(connector, settings))]
    else:
        with _log(None, keep_settled=True) as (fold, _, _):
            chosen = [_one(fold, item) for item in dict.fromkeys(items or [])]
        asked = replay_items(chosen, settings)
    if as_json:
        show_json([asdict(one) for one in asked])
        return
    for one in asked:
        say(f"{one.connector}: {one.what}; {one.next}")


@contextmanager
def _log(connector: str | None, keep_settled: bool) -> Iterator[tuple[FaultsFold, Connection, Department]]:
    """The department's log, read to its end."""
    settings = settings_module.load()
    department = _department(settings)
    only = None if connector is None else named(connector)[1]
    connection = Connection.of(settings.kafka)
    with FaultsFold(only, keep_settled) as fold:
        fold_log(connection, department, fold, Deadline.after(_READ_SECONDS))
        yield fold, connection, department


def _department(settings: Settings) -> Department:
    """Whose log it is: that of the Kafka principal. Raises ExchangeError(E_SETTINGS) for one that is no department."""
    try:
        return names.department(settings.kafka.username)
    except ExchangeError:
        who = (
            "the faults log is its department's alone: set EXCHANGE_KAFKA__USERNAME and its secret to the department's"
        )
        raise ExchangeError("E_SETTINGS", who) from None


def _one(fold: FaultsFold, item: str) -> Fault:
    found = fold.named(item)
    if len(found) == 1:
        return found[0]
    if found:
        raise typer.BadParameter(f"several items begin with {item}: write more of it")
    raise typer.BadParameter("this department's log, which keeps 30 days, has no such item (at least 4 characters)")


def _known(code: str | None) -> None:
    if code is not None and code not in TABLE:
        raise typer.BadParameter(f"there is no error {code}; `exchange errors` lists them")


def _advice(code: str) -> str:
    """What helps, without the hint at this very command."""
    return TABLE[code].advice.removesuffix(_SEEN_HERE) if code in TABLE else "look at the connector's log"


def _then(fault: Fault) -> str:
    if fault.item is None:
        return "not known: the entry is of an older form"
    if fault.settled is not None:
        return f"no longer: {fault.settled} at {format_time(fault.at)}"
    return f"for {age(fault.since)}; when it is mended, `exchange faults replay {fault.item}`"


def _say_fault(one: Fault) -> None:
    where = f"{one.place}: " if one.place else ""
    state = f"  {one.settled}" if one.settled else ""
    entry(one.item or "(no item)", f"{one.connector}  {age(one.since)}{state}", f"{where}{one.code}: {one.detail}")


def _say_counts(counts: list[Count], code: str | None) -> None:
    chosen = [one for one in counts if code in (None, one.code)]
    if not chosen:
        say("nothing waits")
        return
    heading("waiting in all")
    for one in chosen:
        say(f"{one.waiting:>7,}  {one.connector}  {one.code}, the oldest for {age(one.oldest)}")
        say(f"         → {_advice(one.code)}")


def _plain(one: Fault) -> dict[str, Any]:
    return asdict(one) | {"since": format_time(one.since), "at": format_time(one.at)}


def _count(one: Count) -> dict[str, Any]:
    return asdict(one) | {"oldest": format_time(one.oldest), "advice": _advice(one.code)}
