"""`exchange demand`: demands through their life."""

from typing import Annotated, Any

import typer

from exchange.broker.demands.life import DEMAND_STEPS, GRANT_STEPS, described
from exchange.cli.demand import dispute, reply
from exchange.cli.demand.arguments import DemandId, Json, Key, Mask, Where, act, condition_of, first, last, masks_of
from exchange.cli.demand.shown import in_shanghai, late, tell, told
from exchange.cli.output import entry, heading, say, show_json, table
from exchange.ledger.state.ledger_state import DemandState
from exchange.web.client import connect

app = typer.Typer(no_args_is_help=True, help="Demands through their life.")


@app.command()
def submit(  # noqa: PLR0913 - what Order 809, art. 20 asks a demand to state
    fields: Annotated[list[str], typer.Argument(help="fields that are needed")],
    *,
    resource: Annotated[str | None, typer.Option(help="code of the resource; see `exchange catalogue show`")] = None,
    record_type: Annotated[str | None, typer.Option(help="instead of a resource: what is needed, from anyone")] = None,
    provider: Annotated[str | None, typer.Option(help="with a record type: from whom")] = None,
    mask: Mask = None,
    where: Where = None,
    legal_basis: Annotated[str, typer.Option(help="使用依据: the law that allows it")] = "",
    scenario: Annotated[str, typer.Option(help="使用场景: what it is for")] = "",
    use_scope: Annotated[str, typer.Option(help="使用范围: who uses it")] = "",
    mode: Annotated[str, typer.Option(help="共享方式")] = "batch-exchange",
    use_from: Annotated[str | None, typer.Option(help="moment, RFC 3339 with zone, or first day")] = None,
    use_until: Annotated[str | None, typer.Option(help="moment, RFC 3339 with zone, or last day")] = None,
    freshness_seconds: Annotated[int | None, typer.Option(help="wanted freshness; else the update cycle")] = None,
    replaces: Annotated[str | None, typer.Option(help="your open demand that is withdrawn once this is served")] = None,
    key: Annotated[str | None, typer.Option(help="idempotency key: the same twice submits once")] = None,
    as_json: Json = False,
) -> None:
    """Demand fields of a resource, as the department whose token you use.

    One scenario is one demand: to ask for more later, replace it; both are there until the new one is served in full.

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
        "use_from": first(use_from, "--use-from"),
        "use_until": last(use_until, "--use-until"),
        "freshness_seconds": freshness_seconds,
        "replaces": replaces,
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
def show(demand: DemandId, as_json: Json = False) -> None:
    """One demand with its history and statutory clocks.

    Example: `exchange demand show d-12`
    """
    with connect() as api:
        answer = api.get(f"/v1/demands/{demand}")
    if as_json:
        show_json(answer)
        return
    tell(answer)
    say("")
    history = [{**event, "event": told(event), "when": in_shanghai(event["at"])} for event in answer["history"]]
    table(history, ("when", "event", "actor"), False)


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="one state, e.g. serving")] = None,
    demander: Annotated[str | None, typer.Option(help="who demands")] = None,
    provider: Annotated[str | None, typer.Option(help="who owns the records")] = None,
    registry: Annotated[str | None, typer.Option(help="one registry, e.g. legal-entity")] = None,
    overdue: Annotated[bool | None, typer.Option(help="only those past a statutory clock")] = None,
    as_json: Json = False,
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
        note = "  ".join(part for part in (one["state"], ", ".join(one["grants"]), *late(one)) if part)
        whose = f"{one['demander']} asks {one['provider'] or 'nobody yet'} for {one['record_type']}"
        entry(one["demand"], note, whose, ", ".join(one["fields"]))


@app.command()
def supplement(  # noqa: PLR0913 - what may be added
    demand: DemandId,
    *,
    legal_basis: Annotated[str, typer.Option(help="使用依据")] = "",
    scenario: Annotated[str, typer.Option(help="使用场景")] = "",
    use_scope: Annotated[str, typer.Option(help="使用范围")] = "",
    mode: Annotated[str, typer.Option(help="共享方式")] = "",
    answer: Annotated[str, typer.Option(help="in words, what was asked for")] = "",
    field: Annotated[list[str] | None, typer.Option(help="a field that is needed, while none is named")] = None,
    mask: Mask = None,
    where: Where = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Add what was missing or asked for, as the demander.

    Example: `exchange demand supplement d-12 --use-scope "tax offices of the province"`
    """
    body = {
        "legal_basis": legal_basis,
        "scenario": scenario,
        "use_scope": use_scope,
        "mode": mode,
        "answer": answer,
        "fields": field,
        "masks": masks_of(mask or []),
        "scope": [condition_of(text) for text in where or []],
    }
    act(demand, "supplement", body, key, as_json)


@app.command()
def withdraw(
    demand: DemandId,
    reason: Annotated[str, typer.Option(help="why")] = "",
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Take your own demand back; its grants end.

    Example: `exchange demand withdraw d-12`
    """
    act(demand, "withdraw", {"reason": reason}, key, as_json)


@app.command()
def renew(
    demand: DemandId,
    use_until: Annotated[
        str | None, typer.Option(help="moment, RFC 3339 with zone, or last day; open when left out")
    ] = None,
    legal_basis: Annotated[str, typer.Option(help="使用依据, when it is another one than before")] = "",
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Ask for the time after the use period, as the demander: a demand for the same, which begins when that ends.

    Example: `exchange demand renew d-12 --use-until 2027-12-31`
    """
    act(demand, "renew", {"use_until": last(use_until, "--use-until"), "legal_basis": legal_basis}, key, as_json)


@app.command()
def life(
    markdown: Annotated[bool, typer.Option("--markdown", help="as the page of the documentation")] = False,
) -> None:
    """Which command is taken in which state, and who may give it.

    Example: `exchange demand life`
    """
    if markdown:
        say(described().rstrip("\n"))
        return
    for title, steps in (("a demand", DEMAND_STEPS), ("a grant, by its own state", GRANT_STEPS)):
        heading(f"The life of {title}")
        for name, step in steps.items():
            states = ", ".join(state.value for state in DemandState if state in step.states)
            entry(name, f"by {step.who}: {step.meaning}", f"when {states}", f"says {step.event}")


app.add_typer(reply.app)
app.add_typer(dispute.app, name="dispute")
