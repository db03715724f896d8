"""`exchange token`: API tokens."""

from typing import Annotated

import typer

from exchange.broker.departments.tokens import DEPARTMENT_ROLE
from exchange.cli.output import entry, heading, say, show_json, table
from exchange.web.client import connect
from exchange.web.guard.rights import AUDITOR, OPERATOR, SUPERVISOR, described, rows

app = typer.Typer(no_args_is_help=True, help="API tokens.")
_COLUMNS = ("id", "label", "role", "department", "issuer", "issued", "expires", "revoked")
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]


@app.command()
def issue(
    role: Annotated[str, typer.Argument(help="department, supervisor, operator or auditor")],
    department: Annotated[str | None, typer.Option(help="whose token, for the role department")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="after how many days it ends; else as the broker service is set (90)")
    ] = None,
    label: Annotated[str, typer.Option(help="whose it is, or which program's: stands in lists and audits")] = "",
    as_json: _Json = False,
) -> None:
    """Issue a token. Its text is shown once; the ledger keeps only its SHA-256. It ends after some days.

    Give each person and each program its own: the ledger says of every command which token gave it.

    Example: `exchange token issue department --department taxation --label "Li Na" --days 365`
    """
    asked = {"role": role, "department": department, "days": days, "label": label}
    with connect() as api:
        answer = api.post("/v1/tokens", asked)
    if as_json:
        show_json(answer)
        return
    say(f"id     {answer['id']}")
    say(f"token  {answer['token']}")
    say(f"until  {answer['expires']}")
    say("keep it now: it is shown once and stored nowhere")


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """Every token that was issued: for whom, by whom and when; never its text.

    Example: `exchange token list`
    """
    with connect() as api:
        table(api.items("/v1/tokens"), _COLUMNS, as_json)


@app.command()
def revoke(token: Annotated[str, typer.Argument(metavar="ID", help="id of the token, e.g. t-7")]) -> None:
    """Revoke a token; it is refused from now on.

    Example: `exchange token revoke t-7`
    """
    with connect() as api:
        api.post(f"/v1/tokens/{token}/revoke")
    say(f"{token} is revoked")


@app.command()
def rights(
    markdown: Annotated[bool, typer.Option("--markdown", help="as the page of the documentation")] = False,
) -> None:
    """Who may do what: every path of the API, and which roles or parties it is for.

    Example: `exchange token rights`
    """
    if markdown:
        say(described().rstrip("\n"))
        return
    heading("Who may do what")
    for row in rows():
        by = [row[DEPARTMENT_ROLE], *(role for role in (SUPERVISOR, OPERATOR, AUDITOR) if row[role])]
        entry(row["path"].strip("`"), row["what"], f"by {', '.join(one for one in by if one)}")
