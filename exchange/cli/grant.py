"""`exchange grant`: what departments may read."""

from typing import Annotated, Any

import typer

from exchange.broker.commands_amend import OVERLAP_SECONDS
from exchange.cli.client import connect
from exchange.cli.demand import condition_of, masks_of
from exchange.cli.output import cell, detail, entry, say, show_json
from exchange.errors import ExchangeError

app = typer.Typer(no_args_is_help=True, help="Grants: what a department may read.")
_Id = Annotated[str, typer.Argument(metavar="GRANT", help="id of the grant, e.g. g-13")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_Key = Annotated[str | None, typer.Option(help="idempotency key")]
_Mask = Annotated[list[str] | None, typer.Option("--mask", help="FIELD=MASK that hides more than asked; repeatable")]
_Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="FIELD=VALUE, FIELD^PREFIX or FIELD:VALUE,VALUE… beside what was asked; repeatable"),
]


_RESYNC = "away for longer than withdrawals are kept: read it from its beginning and drop what is not seen there"


@app.command("list")
def list_(
    demander: Annotated[str | None, typer.Option(help="who reads")] = None,
    provider: Annotated[str | None, typer.Option(help="whose records")] = None,
    record_type: Annotated[str | None, typer.Option(help="of which type")] = None,
    active: Annotated[bool | None, typer.Option(help="only active ones, or only others")] = None,
    as_json: _Json = False,
) -> None:
    """Grants that concern you; with the token of an overseer, all.

    Example: `exchange grant list --active`
    """
    filters = {"demander": demander, "provider": provider, "record_type": record_type, "active": active}
    with connect() as api:
        found = list(api.items("/v1/grants", **filters))
    if as_json:
        show_json(found)
        return
    for one in found:
        whose = f"{one['demander']} reads {one['record_type']} of {one['provider']}"
        entry(one["grant"], one["state"], whose, ", ".join(one["fields"]), f"share {cell(one['share'])}", *_open(one))


@app.command()
def show(
    grant: _Id,
    client_config: Annotated[
        bool, typer.Option("--client-config", help="what a foreign Kafka client needs, as a properties file")
    ] = False,
    as_json: _Json = False,
) -> None:
    """One grant; with --client-config, how any Kafka client reads it.

    Example: `exchange grant show g-13 --client-config > share.properties`
    """
    with connect() as api:
        answer = api.get(f"/v1/grants/{grant}")
    if not client_config:
        _tell(answer, as_json)
        return
    config = config_of(answer)
    if as_json:
        show_json(config)
        return
    say("# a Kafka client of the demander reads its share with this and its own sasl.username and sasl.password;")
    for share in answer["shares"]:
        if share["role"] == "previous":
            say(f"# the topic before, {share['topic']}, is readable until {share['readable_until']}")
        elif share["role"] == "next":
            say(f"# after an amendment, {share['topic']} is being filled: ask again, then read it from its beginning")
    if answer["resync_needed"]:
        say(f"# {_RESYNC}")
    say("# the schema is /schemas/ids/<schema.id> of the broker service; the key ~ (no value) is a heartbeat: skip it")
    for name, value in config.items():
        say(f"{name}={value}")


@app.command()
def amend(  # noqa: PLR0913 - the parts of an amendment
    grant: _Id,
    *,
    field: Annotated[list[str] | None, typer.Option(help="field to grant; all asked ones when left out")] = None,
    mask: _Mask = None,
    where: _Where = None,
    freshness_seconds: Annotated[int | None, typer.Option(help="agreed freshness; else the present one")] = None,
    overlap_seconds: Annotated[
        int, typer.Option(help="how long the present share stays readable after the switch")
    ] = OVERLAP_SECONDS,
    key: _Key = None,
    as_json: _Json = False,
) -> None:
    """Change what a grant gives, as its provider or an overseer, within what was asked; say all of it, as in a consent.

    A new share is made and filled; then it is the one to read, and the one before stays readable for the overlap.

    Example: `exchange grant amend g-13 --field name --field status --overlap-seconds 86400`
    """
    body = {
        "fields": field,
        "masks": masks_of(mask or []),
        "scope": [condition_of(text) for text in where or []],
        "freshness_seconds": freshness_seconds,
        "overlap_seconds": overlap_seconds,
    }
    _act(grant, "amend", body, key, as_json)


@app.command()
def recover(grant: _Id, key: _Key = None, as_json: _Json = False) -> None:
    """Mend the suspended share of a grant, as an operator, after its cause is removed; a lost one is replaced.

    Example: `exchange grant recover g-13`
    """
    _act(grant, "recover", {}, key, as_json)


@app.command()
def suspend(
    grant: _Id,
    reason: Annotated[str, typer.Option(help="why")],
    key: _Key = None,
    as_json: _Json = False,
) -> None:
    """Stop a grant for a while, as its provider or an overseer: the grantee's fetches fail, the share stays.

    Example: `exchange grant suspend g-13 --reason "misuse is being looked into"`
    """
    _act(grant, "suspend", {"reason": reason}, key, as_json)


@app.command()
def resume(grant: _Id, key: _Key = None, as_json: _Json = False) -> None:
    """Let a suspended grant go on.

    Example: `exchange grant resume g-13`
    """
    _act(grant, "resume", {}, key, as_json)


@app.command()
def revoke(
    grant: _Id,
    reason: Annotated[str, typer.Option(help="why")],
    key: _Key = None,
    as_json: _Json = False,
) -> None:
    """End a grant for good, as its provider or an operator; the grantee's fetches fail within a second.

    Example: `exchange grant revoke g-13 --reason "the purpose has been met"`
    """
    _act(grant, "revoke", {"reason": reason}, key, as_json)


def config_of(grant: dict[str, Any]) -> dict[str, str]:
    """What a foreign client needs, under the names Kafka clients use. Raises ExchangeError(E_GRANT_STATE) too early."""
    if grant["topic"] is None:
        raise ExchangeError("E_GRANT_STATE", "the grant has no share yet")
    return {
        "bootstrap.servers": grant["bootstrap_servers"],
        "sasl.mechanism": "SCRAM-SHA-512",
        "group.id": grant["group"],
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "topic": grant["topic"],
        "schema.id": str(grant["schema_id"]),
    }


def _open(grant: dict[str, Any]) -> list[str]:
    """A line for each open cause of a breach, and for a share that the exchange does not deliver."""
    ill = grant["share_suspended"]
    suspended = [] if ill is None else [f"share suspended: {ill}; an operator mends it by `exchange grant recover`"]
    resync = [_RESYNC] if grant["resync_needed"] else []
    return (
        suspended + resync + [f"in breach: {breach['cause']} since {breach['since']}" for breach in grant["breaches"]]
    )


def _tell(grant: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(grant)
        return
    detail({name: value for name, value in grant.items() if name not in ("shares", "amendment")}, as_json=False)
    if grant["resync_needed"]:
        entry("resync needed", _RESYNC)
    for share in grant["shares"]:
        until = [] if share["readable_until"] is None else [f"readable until {share['readable_until']}"]
        ill = share["suspended"]
        suspended = [] if ill is None else [f"suspended since {ill['since']}: {ill['code']}"]
        entry(share["topic"], f"{share['role']} share, schema {share['schema_id']}", *until, *suspended)
    if grant["amendment"] is not None:
        coming = ", ".join(grant["amendment"]["fields"])
        entry("amended", "in force when the next share has joined", f"fields: {coming}")


def _act(grant: str, verb: str, body: dict[str, Any], key: str | None, as_json: bool) -> None:
    with connect() as api:
        answer = api.post(f"/v1/grants/{grant}/{verb}", body, key)
    if as_json:
        show_json(answer)
    else:
        say(f"{grant} is {answer['state']}")
