"""`exchange department`: departments, their Kafka principals, and who succeeds them."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from exchange.cli.output import detail, entry, say, show_json, table
from exchange.web.client import connect

app = typer.Typer(no_args_is_help=True, help="Departments, their Kafka principals, their successors.")
_Slug = Annotated[str, typer.Argument(metavar="DEPARTMENT", help="slug of the catalogue, e.g. market-regulation")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]


@app.command()
def add(department: _Slug, as_json: _Json = False) -> None:
    """Make a department of the catalogue a Kafka principal. Its secret is shown once, on standard output alone.

    Example: `exchange department add market-regulation`
    """
    with connect() as api:
        _show(api.post("/v1/departments", {"department": department}), as_json)


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """Every department that the ledger knows; "registered" ones can log in to Kafka.

    Example: `exchange department list`
    """
    with connect() as api:
        found = list(api.items("/v1/departments"))
    if as_json:
        show_json(found)
        return
    for one in found:
        entry(one["department"], "can log in to Kafka" if one["registered"] else "–", one["name"], one["name_en"])


@app.command()
def rotate_secret(department: _Slug, as_json: _Json = False) -> None:
    """Give a department a new secret, shown once. Put it into the file that its connectors read at once.

    Connections that are open are asked again within five minutes; a connector that is refused reads its file again and
    goes on, nothing is lost. A connector that is started meanwhile needs the new secret.

    Example: `exchange department rotate-secret market-regulation`
    """
    with connect() as api:
        _show(api.post(f"/v1/departments/{department}/rotate-secret"), as_json)


@app.command()
def succession(department: _Slug, as_json: _Json = False) -> None:
    """What a department holds, and whether somebody has to say who goes on with it.

    Example: `exchange department succession industry-and-commerce`
    """
    with connect() as api:
        _show_succession(api.get(f"/v1/departments/{department}/succession"), as_json)


@app.command()
def succeed(
    department: _Slug,
    to: Annotated[list[str], typer.Option(metavar="DEPARTMENT", help="a successor; several for a split")],
    reason: Annotated[str, typer.Option(help="on what decision the department ends")],
    demand: Annotated[
        list[str] | None, typer.Option(metavar="DEMAND=DEPARTMENT", help="which successor goes on with a demand")
    ] = None,
    default: Annotated[str | None, typer.Option(help="the successor for every other demand")] = None,
    as_json: _Json = False,
) -> None:
    """Say who goes on with what a department held: demands, grants and keys move at once. It ends today.

    A merger or a new name has one successor. Bring the catalogue's files in line afterwards.

    Example: `exchange department succeed health --to hospitals --to medicines --demand d-17=medicines
    --default hospitals --reason "reform of 2026"`
    """
    body = {"successors": to, "demands": assigned(demand or ()), "default": default, "reason": reason}
    with connect() as api:
        _show_succession(api.post(f"/v1/departments/{department}/succeed", body), as_json)


def assigned(texts: Sequence[str]) -> dict[str, str]:
    """The successor for each demand, of texts `demand=successor`. Raises typer.BadParameter for another form."""
    pairs = [text.partition("=") for text in texts]
    if any(not demand or not heir for demand, _, heir in pairs):
        raise typer.BadParameter("say who goes on with a demand as DEMAND=DEPARTMENT, e.g. d-17=health")
    return {demand: heir for demand, _, heir in pairs}


def _show_succession(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    detail({name: answer[name] for name in ("department", "valid_until", "successors", "succeeded")}, False)
    if answer["awaited"]:
        say("its grants are suspended until it is said who goes on with them: `exchange department succeed`")
    table(answer["demands"], ("demand", "state", "record_type", "provider", "grants"), False)


def _show(answer: dict[str, object], as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    detail({name: answer[name] for name in ("department", "name", "registered")}, False)
    if answer["secret"] is not None:
        say(f"secret      {answer['secret']}")
    say(str(answer["note"]))
