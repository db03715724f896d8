"""`exchange connector`: how a connector is, and asking a source to read again."""

import sys
from typing import Annotated

import typer

from exchange import settings as settings_module
from exchange.cli.connector.own import Own
from exchange.cli.connector.sink_status import sink_status
from exchange.cli.connector.source_status import source_status
from exchange.cli.output import UNREACHABLE, detail, say, show_json
from exchange.clock import format_time
from exchange.connect.declare import Source
from exchange.intake.memory.requests import ALL, RequestKind
from exchange.moments import given

app = typer.Typer(no_args_is_help=True, help="Your own connectors: their state, reading again.")
_Name = Annotated[str, typer.Argument(metavar="CONNECTOR", help="<department>.<connector>, e.g. health.deaths")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_STANDARD_INPUT = "-"


@app.command()
def status(connector: _Name, as_json: _Json = False) -> None:
    """How a connector is: what it said last, how far it has read, what waits, when it last compared itself.

    Run it where the connector runs, with its settings. Exit status 3 when a part of the answer cannot be had.

    Example: `exchange connector status health.deaths`
    """
    own = Own.of(connector, settings_module.load())
    told = source_status(own) if isinstance(own.declared, Source) else sink_status(own)
    if as_json:
        show_json(told.plain)
    else:
        detail(told.words, False)
    if told.missing:
        raise typer.Exit(UNREACHABLE)


@app.command()
def reread(
    connector: _Name,
    key: Annotated[
        str | None,
        typer.Option(help="one row, by its key or its record's natural key; `-` reads it from standard input"),
    ] = None,
    since: Annotated[str | None, typer.Option(help="rows changed since this moment or day")] = None,
    all_: Annotated[bool, typer.Option("--all", help="compare with the whole table or file")] = False,
    as_json: _Json = False,
) -> None:
    """Let a source read again: one row, what changed since a moment, or all of it.

    With --key and --since rows are sent again even when nothing of them has changed; with --all what is missing,
    changed or gone is sent or withdrawn, and equal rows are not.

    Example: `exchange connector reread health.deaths --since 2026-11-24T00:00:00+08:00`
    """
    if sum((key is not None, since is not None, all_)) != 1:
        raise typer.BadParameter("say one of --key, --since and --all")
    own = Own.of(connector, settings_module.load())
    if key is not None:
        argument, what = f"key {_key(key)}", "that row is sent again"
    elif since is not None:
        moment = format_time(given(since, "--since"))
        argument, what = f"since {moment}", f"what changed since {moment} is sent again"
    else:
        argument, what = ALL, "it compares itself with its whole table or file"
    _ask(own, RequestKind.REREAD, argument, what, as_json)


@app.command("confirm-withdrawals")
def confirm_withdrawals(connector: _Name, as_json: _Json = False) -> None:
    """Let a source withdraw what its comparison found gone, after it stopped to ask (E_WITHDRAWALS).

    First see that the table is whole: what is withdrawn leaves every grantee. It holds for the next comparison only.

    Example: `exchange connector confirm-withdrawals health.deaths`
    """
    what = "the next comparison withdraws what it finds gone, however many"
    _ask(Own.of(connector, settings_module.load()), RequestKind.CONFIRM_WITHDRAWALS, "", what, as_json)


def _ask(own: Own, kind: RequestKind, argument: str, what: str, as_json: bool) -> None:
    new, after = own.ask(kind, argument)
    if as_json:
        show_json({"connector": own.name, "request": kind.value, "new": new, "running": own.memory().running})
        return
    say(f"{own.name}: {what}; {after}" if new else f"{own.name}: asked for already; {after}")


def _key(given: str) -> str:
    key = sys.stdin.readline().rstrip("\r\n") if given == _STANDARD_INPUT else given
    if not key:
        raise typer.BadParameter("the key is empty")
    return key
