"""`exchange demand`: what the provider and the competent department say to a demand."""

from typing import Annotated

import typer

from exchange.cli.demand.arguments import DemandId, Json, Key, Mask, Where, act, condition_of, last, masks_of

app = typer.Typer()
_Missing = Annotated[list[str] | None, typer.Option("--missing", help="what is missing, an item each; repeatable")]


@app.command("request-supplement")
def request_supplement(demand: DemandId, missing: _Missing = None, key: Key = None, as_json: Json = False) -> None:
    """Ask for everything that is missing, at once: as the provider, or in review as the competent department.

    Example: `exchange demand request-supplement d-12 --missing "the article that allows it" --missing "who uses it"`
    """
    act(demand, "request-supplement", {"missing": missing or []}, key, as_json)


@app.command()
def review(
    demand: DemandId,
    missing: _Missing = None,
    note: Annotated[str, typer.Option(help="for the file")] = "",
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Pass a demand on to its provider, as the competent department; with --missing, send it back for that.

    Example: `exchange demand review d-12`
    """
    act(demand, "review", {"passed": not missing, "missing": missing or [], "note": note}, key, as_json)


@app.command()
def extend(
    demand: DemandId,
    days: Annotated[int | None, typer.Option(help="working days, at most 10 (Order 809, art. 21)")] = None,
    reason: Annotated[str, typer.Option(help="why; the demander is told")] = "",
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Ask for more time to reply, as the provider, once; give it, as the competent department.

    Example: `exchange demand extend d-12 --days 5 --reason "the register is being moved"`
    """
    act(demand, "extend", {"days": days, "reason": reason}, key, as_json)


@app.command()
def consent(  # noqa: PLR0913 - the parts of a consent
    demand: DemandId,
    *,
    field: Annotated[list[str] | None, typer.Option(help="field to grant; all asked ones when left out")] = None,
    mask: Mask = None,
    where: Where = None,
    freshness_seconds: Annotated[int | None, typer.Option(help="agreed freshness; else as wanted")] = None,
    conditions: Annotated[str, typer.Option(help="使用条件: in words, under which the data may be used")] = "",
    until: Annotated[str | None, typer.Option(help="moment or last day: an end before that of the use period")] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Consent, as the provider: to all asked fields or some, perhaps masked more, perhaps for fewer rows.

    Example: `exchange demand consent d-12 --field name --field status`
    """
    body = {
        "fields": field,
        "masks": masks_of(mask or []),
        "scope": [condition_of(text) for text in where or []],
        "freshness_seconds": freshness_seconds,
        "conditions": conditions,
        "until": last(until, "--until"),
    }
    act(demand, "consent", body, key, as_json)


@app.command()
def refuse(
    demand: DemandId,
    reason: Annotated[str, typer.Option(help="why (Order 809, art. 21)")],
    legal_basis: Annotated[str, typer.Option(help="for what is not shared, another law than the catalogue names")] = "",
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Refuse, as the provider, with a reason.

    Example: `exchange demand refuse d-12 --reason "not needed for the stated purpose"`
    """
    act(demand, "refuse", {"reason": reason, "legal_basis": legal_basis}, key, as_json)
