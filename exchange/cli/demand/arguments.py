"""What the commands on demands share: their arguments, how masks and rows are written, how a step is taken."""

from typing import Annotated, Any

import typer

from exchange.cli.output import say, show_json
from exchange.errors import ExchangeError
from exchange.moments import given
from exchange.web.client import connect

DemandId = Annotated[str, typer.Argument(metavar="DEMAND", help="id of the demand, e.g. d-12")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
Key = Annotated[str | None, typer.Option(help="idempotency key: the same twice is done once")]
Mask = Annotated[
    list[str] | None, typer.Option("--mask", help="FIELD=MASK, MASK one of first, ends, year, pseudonym; repeatable")
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="row scope: FIELD=VALUE, FIELD^PREFIX or FIELD:VALUE,VALUE…; all hold; repeatable; it asks for FIELD too",
    ),
]


def first(text: str | None, option: str) -> str | None:
    """The beginning of a period as the API takes it: a moment, or the first day. Raises ExchangeError(E_REQUEST)."""
    return None if text is None else given(text, option).isoformat()


def last(text: str | None, option: str) -> str | None:
    """The end of a period as the API takes it: a moment, or the last day. Raises ExchangeError(E_REQUEST)."""
    return None if text is None else given(text, option, last=True).isoformat()


def masks_of(texts: list[str]) -> dict[str, str]:
    """`FIELD=MASK` texts as the API takes them. Raises ExchangeError(E_REQUEST)."""
    masks = {}
    for text in texts:
        field, separator, mask = text.partition("=")
        if not (separator and field and mask):
            raise ExchangeError("E_REQUEST", "--mask is FIELD=MASK")
        masks[field] = mask
    return masks


def condition_of(text: str) -> dict[str, Any]:
    """`FIELD=VALUE`, `FIELD^PREFIX` or `FIELD:VALUE,VALUE` as the API takes it. Raises ExchangeError(E_REQUEST)."""
    for sign, operator in (("=", "equals"), ("^", "prefix"), (":", "in")):
        field, separator, rest = text.partition(sign)
        if separator and field.isidentifier() and rest:
            return {"field": field, "operator": operator, "values": rest.split(",") if operator == "in" else [rest]}
    raise ExchangeError("E_REQUEST", "--where is FIELD=VALUE, FIELD^PREFIX or FIELD:VALUE,VALUE")


def act(demand: str, step: str, body: dict[str, Any], key: str | None, as_json: bool) -> None:
    """Take a step of a demand's life and say what it is then."""
    with connect() as api:
        answer = api.post(f"/v1/demands/{demand}/{step}", body, key)
    if as_json:
        show_json(answer)
        return
    say(f"{answer['demand']} is {answer['state']}")
    if answer["missing"]:
        say(f"incomplete: {', '.join(answer['missing'])}")
    if answer["grants"]:
        say(f"grants: {', '.join(answer['grants'])}")
