"""`exchange demand`: demands through their life."""

from typing import Annotated, Any

import typer

from exchange.cli.client import connect
from exchange.cli.output import detail, entry, say, show_json, table
from exchange.errors import ExchangeError

app = typer.Typer(no_args_is_help=True, help="Demands through their life.")
_Id = Annotated[str, typer.Argument(metavar="DEMAND", help="id of the demand, e.g. d-12")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_Mask = Annotated[
    list[str] | None, typer.Option("--mask", help="FIELD=MASK, MASK one of first, ends, year, pseudonym; repeatable")
]
_Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="row scope: FIELD=VALUE, FIELD^PREFIX or FIELD:VALUE,VALUE…; all hold; repeatable"),
]


@app.command()
def submit(  # noqa: PLR0913 - what Order 809, art. 20 asks a demand to state
    fields: Annotated[list[str], typer.Argument(help="fields that are needed")],
    *,
    resource: Annotated[str | None, typer.Option(help="code of the resource; see `exchange catalogue show`")] = None,
    record_type: Annotated[str | None, typer.Option(help="instead of a resource: what is needed, from anyone")] = None,
    provider: Annotated[str | None, typer.Option(help="with a record type: from whom")] = None,
    mask: _Mask = None,
    where: _Where = None,
    legal_basis: Annotated[str, typer.Option(help="使用依据: the law that allows it")] = "",
    scenario: Annotated[str, typer.Option(help="使用场景: what it is for")] = "",
    use_scope: Annotated[str, typer.Option(help="使用范围: who uses it")] = "",
    mode: Annotated[str, typer.Option(help="共享方式")] = "batch-exchange",
    use_from: Annotated[str | None, typer.Option(help="RFC 3339, with zone")] = None,
    use_until: Annotated[str | None, typer.Option(help="RFC 3339, with zone")] = None,
    freshness_seconds: Annotated[int | None, typer.Option(help="wanted freshness; else the update cycle")] = None,
    key: Annotated[str | None, typer.Option(help="idempotency key: the same twice submits once")] = None,
    as_json: _Json = False,
) -> None:
    """Demand fields of a resource, as the department whose token you use.

    Example: `exchange demand submit credit_code name status --resource 102001/1 --where region^3401
    --legal-basis "Tax Collection Act, art. 15" --scenario "tax registration" --use-scope "tax offices"`
    """
    body: dict[str, Any] = {
        "resource": resource,
        "record_type": record_type,
        "provider": provider,
        "fields": fields,
        "masks": masks_of(mask or []),
        "scope": [condition_of(text) for text in where or []],
        "legal_basis": legal_basis,
        "scenario": scenario,
        "use_scope": use_scope,
        "mode": mode,
        "use_from": use_from,
        "use_until": use_until,
        "freshness_seconds": freshness_seconds,
    }
    with connect() as api:
        answer = api.post("/v1/demands", body, key)
    if as_json:
        show_json(answer)
        return
    say(", ".join(answer["demands"]))
    if answer["missing"]:
        say(f"incomplete: {', '.join(answer['missing'])}")


@app.command()
def show(demand: _Id, as_json: _Json = False) -> None:
    """One demand with its history and statutory clocks.

    Example: `exchange demand show d-12`
    """
    with connect() as api:
        answer = api.get(f"/v1/demands/{demand}")
    if as_json:
        show_json(answer)
        return
    history = answer.pop("history")
    detail(answer, False)
    say("")
    table(history, ("seq", "at", "event", "actor"), False)


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="one state, e.g. serving")] = None,
    demander: Annotated[str | None, typer.Option(help="who demands")] = None,
    provider: Annotated[str | None, typer.Option(help="who owns the records")] = None,
    registry: Annotated[str | None, typer.Option(help="one registry, e.g. legal-entity")] = None,
    overdue: Annotated[bool | None, typer.Option(help="only those past a statutory clock")] = None,
    as_json: _Json = False,
) -> None:
    """Demands that concern you; with the token of an overseer, all.

    Example: `exchange demand list --state submitted --provider market-regulation`
    """
    filters = {"state": state, "demander": demander, "provider": provider, "registry": registry, "overdue": overdue}
    with connect() as api:
        found = list(api.items("/v1/demands", **filters))
    if as_json:
        show_json(found)
        return
    for one in found:
        note = f"{one['state']}  {', '.join(one['grants'])}".rstrip()
        whose = f"{one['demander']} asks {one['provider'] or 'nobody yet'} for {one['record_type']}"
        entry(one["demand"], note, whose, ", ".join(one["fields"]))


@app.command()
def consent(  # noqa: PLR0913 - the parts of a consent
    demand: _Id,
    *,
    field: Annotated[list[str] | None, typer.Option(help="field to grant; all asked ones when left out")] = None,
    mask: _Mask = None,
    where: _Where = None,
    freshness_seconds: Annotated[int | None, typer.Option(help="agreed freshness; else as wanted")] = None,
    key: Annotated[str | None, typer.Option(help="idempotency key")] = None,
    as_json: _Json = False,
) -> None:
    """Consent, as the provider: to all asked fields or some, perhaps masked more, perhaps for fewer rows.

    Example: `exchange demand consent d-12 --field name --field status`
    """
    body = {
        "fields": field,
        "masks": masks_of(mask or []),
        "scope": [condition_of(text) for text in where or []],
        "freshness_seconds": freshness_seconds,
    }
    _reply(demand, "consent", body, key, as_json)


@app.command()
def refuse(
    demand: _Id,
    reason: Annotated[str, typer.Option(help="why (Order 809, art. 21)")],
    legal_basis: Annotated[str, typer.Option(help="for what is not shared: the law that forbids it")] = "",
    key: Annotated[str | None, typer.Option(help="idempotency key")] = None,
    as_json: _Json = False,
) -> None:
    """Refuse, as the provider, with a reason.

    Example: `exchange demand refuse d-12 --reason "not needed for the stated purpose"`
    """
    _reply(demand, "refuse", {"reason": reason, "legal_basis": legal_basis}, key, as_json)


@app.command()
def withdraw(
    demand: _Id,
    reason: Annotated[str, typer.Option(help="why")] = "",
    key: Annotated[str | None, typer.Option(help="idempotency key")] = None,
    as_json: _Json = False,
) -> None:
    """Take your own demand back; its grants end.

    Example: `exchange demand withdraw d-12`
    """
    _reply(demand, "withdraw", {"reason": reason}, key, as_json)


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


def _reply(demand: str, verb: str, body: dict[str, Any], key: str | None, as_json: bool) -> None:
    with connect() as api:
        answer = api.post(f"/v1/demands/{demand}/{verb}", body, key)
    if as_json:
        show_json(answer)
        return
    say(f"{demand} is {answer['state']}")
    if answer["grants"]:
        say(f"grants: {', '.join(answer['grants'])}")
