"""`exchange correction`: doubts about single records (校核纠错), and what their providers answer."""

from typing import Annotated, Any

import typer

from exchange.cli.output import detail, show_json, table
from exchange.web.client import connect

app = typer.Typer(no_args_is_help=True, help="Doubts about single records, and their answers.")
_Id = Annotated[str, typer.Argument(metavar="CORRECTION", help="as `list` shows it, e.g. c-17")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_PLAIN = ("correction", "state", "grant", "demander", "provider", "record_type", "fields", "submitted", "answered")
_WRITTEN = ("key", "words", "answer", "answer_words", "closed")


@app.command()
def submit(
    grant: Annotated[str, typer.Option(help="the grant that gives the record, e.g. g-12")],
    field: Annotated[list[str], typer.Option(help="a doubted field; may be given several times")],
    key: Annotated[str, typer.Option(prompt="key of the record", help="its natural key; leave it out to be asked")],
    words: Annotated[str, typer.Option(prompt="what is wrong", help="what is doubted, and why; or be asked")],
    as_json: _Json = False,
) -> None:
    """Doubt a record that a grant gives. Its provider answers within 10 working days; the grant goes on.

    Leave key and words out and you are asked: what stands on the command line, others on this machine can see.

    Example: `exchange correction submit --grant g-12 --field status --field address`
    """
    with connect() as api:
        _show(api.post("/v1/corrections", {"grant": grant, "fields": field, "key": key, "words": words}), as_json)


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="submitted, answered or closed")] = None,
    grant: Annotated[str | None, typer.Option(help="of this grant")] = None,
    provider: Annotated[str | None, typer.Option(help="about records of this department")] = None,
    demander: Annotated[str | None, typer.Option(help="submitted by this department")] = None,
    overdue: Annotated[bool | None, typer.Option("--overdue/--in-time", help="by the answer's clock")] = None,
    as_json: _Json = False,
) -> None:
    """Corrections with the day on which their answer is due. A department sees its own, as either party.

    Example: `exchange correction list --provider market-regulation --overdue`
    """
    filters = {"state": state, "grant": grant, "provider": provider, "demander": demander, "overdue": overdue}
    with connect() as api:
        found = list(api.items("/v1/corrections", **filters))
    if as_json:
        show_json(found)
        return
    rows = [{**one, **_due(one)} for one in found]
    table(rows, ("correction", "state", "provider", "grant", "fields", "due", "late"), False)


@app.command()
def show(correction: _Id, as_json: _Json = False) -> None:
    """One correction; its two parties also see the record's key and the words, for 90 days.

    Example: `exchange correction show c-17`
    """
    with connect() as api:
        _show(api.get(f"/v1/corrections/{correction}"), as_json)


@app.command()
def answer(
    correction: _Id,
    outcome: Annotated[str, typer.Argument(metavar="ANSWER", help="corrected, withdrawn or right-as-it-is")],
    words: Annotated[str, typer.Option(help="what was found; needed for right-as-it-is")] = "",
    as_json: _Json = False,
) -> None:
    """Answer a doubt about a record of yours. Corrected and withdrawn ones are closed by the record's next version.

    Example: `exchange correction answer c-17 right-as-it-is --words "as the register of 2024-05-06 says"`
    """
    with connect() as api:
        _show(api.post(f"/v1/corrections/{correction}/answer", {"answer": outcome, "words": words}), as_json)


def _due(one: dict[str, Any]) -> dict[str, Any]:
    clock = one["clocks"]["correction"]
    return {"due": clock["due"] + (" (provisional)" if clock["provisional"] else ""), "late": clock["overdue"]}


def _show(one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(one)
        return
    written = {name: one[name] for name in _WRITTEN if one[name] is not None}
    detail({**{name: one[name] for name in _PLAIN}, **_due(one), **written}, False)
