"""`exchange token`: API tokens."""

from typing import Annotated

import typer

from exchange.cli.output import say, show_json, table
from exchange.web.client import connect

app = typer.Typer(no_args_is_help=True, help="API tokens.")
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]


@app.command()
def issue(
    role: Annotated[str, typer.Argument(help="department, supervisor, operator or auditor")],
    department: Annotated[str | None, typer.Option(help="whose token, for the role department")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="after how many days it ends; else as the broker service is set (90)")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Issue a token. Its text is shown once; the ledger keeps only its SHA-256. It ends after some days.

    Example: `exchange token issue department --department taxation --days 365`
    """
    with connect() as api:
        answer = api.post("/v1/tokens", {"role": role, "department": department, "days": days})
    if as_json:
        show_json(answer)
        return
    say(f"id     {answer['id']}")
    say(f"token  {answer['token']}")
    say(f"until  {answer['expires']}")
    say("keep it now: it is shown once and stored nowhere")


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """Every token that was issued, without its text.

    Example: `exchange token list`
    """
    with connect() as api:
        table(api.items("/v1/tokens"), ("id", "role", "department", "expires", "revoked"), as_json)


@app.command()
def revoke(token: Annotated[str, typer.Argument(metavar="ID", help="id of the token, e.g. t-7")]) -> None:
    """Revoke a token; it is refused from now on.

    Example: `exchange token revoke t-7`
    """
    with connect() as api:
        api.post(f"/v1/tokens/{token}/revoke")
    say(f"{token} is revoked")
