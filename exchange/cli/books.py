"""`exchange books`: do the books close?"""

from typing import Annotated

import typer

from exchange.cli.client import connect
from exchange.cli.output import DOES_NOT_HOLD, say, show_json, table

_ENTRIES = (
    "taken",
    "admitted",
    "forwarded",
    "retracted",
    "out_of_scope",
    "unchanged",
    "superseded",
    "quarantined",
    "in_flight",
)


def books(as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table")] = False) -> None:
    """The books per record type (at admission) and per share, and whether they close; exit status 1 when not.

    Example: `exchange books`
    """
    with connect() as api:
        answer = api.get("/v1/books")
    if as_json:
        show_json(answer)
    else:
        rows = [{**item, **item["entries"]} for item in answer["items"]]
        table(rows, ("record_type", "share", *_ENTRIES, "handed_over", "difference"), False)
        say("the books close" if answer["closed"] else "the books do NOT close")
    if not answer["closed"]:
        raise typer.Exit(DOES_NOT_HOLD)
