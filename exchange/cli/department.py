"""`exchange department`: departments and their Kafka principals."""

from typing import Annotated

import typer

from exchange.cli.client import connect
from exchange.cli.output import detail, entry, say, show_json

app = typer.Typer(no_args_is_help=True, help="Departments and their Kafka principals.")
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
    """Give a department a new secret, shown once. Open connections end within five minutes.

    Example: `exchange department rotate-secret market-regulation`
    """
    with connect() as api:
        _show(api.post(f"/v1/departments/{department}/rotate-secret"), as_json)


def _show(answer: dict[str, object], as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    detail({name: answer[name] for name in ("department", "name", "registered")}, False)
    if answer["secret"] is not None:
        say(f"secret      {answer['secret']}")
    say(str(answer["note"]))
