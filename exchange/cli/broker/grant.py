"""`exchange grant`: what departments may read."""

from typing import Annotated, Any

import typer

from exchange.cli.demand.arguments import condition_of, masks_of
from exchange.cli.output import cell, detail, entry, say, show_json, table
from exchange.errors import ExchangeError
from exchange.web.client import connect

app = typer.Typer(no_args_is_help=True, help="Grants: what a department may read.")
_Id = Annotated[str, typer.Argument(metavar="GRANT", help="id of the grant, e.g. g-13")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_Reason = Annotated[str, typer.Option(help="why")]
_Key = Annotated[str | None, typer.Option(help="idempotency key")]
_Mask = Annotated[list[str] | None, typer.Option("--mask", help="FIELD=MASK that hides more than asked; repeatable")]
_Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="FIELD=VALUE, FIELD^PREFIX or FIELD:VALUE,VALUE… beside what was asked; repeatable"),
]


_CA_LOCATION = "ssl.ca.location"
_CA_FILE = "exchange-ca.pem"
_JAVA_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"
_APART = ("shares", "amendment", "connectors")
"""What is told in lines of its own."""
_RESYNC = "away for longer than withdrawals are kept: read it from its beginning and drop what is not seen there"


@app.command("list")
def list_(  # noqa: PLR0913 - a filter each
    *,
    demander: Annotated[str | None, typer.Option(help="who reads")] = None,
    provider: Annotated[str | None, typer.Option(help="whose records")] = None,
    record_type: Annotated[str | None, typer.Option(help="of which type")] = None,
    active: Annotated[bool | None, typer.Option(help="only active ones, or only others")] = None,
    ends_within_days: Annotated[int | None, typer.Option(help="only those that time ends by then")] = None,
    must_dispose: Annotated[bool | None, typer.Option(help="only those whose data are still to be disposed of")] = None,
    as_json: _Json = False,
) -> None:
    """Grants that concern you; with the token of an overseer, all.

    Example: `exchange grant list --active`
    """
    filters: dict[str, Any] = {"demander": demander, "provider": provider, "record_type": record_type, "active": active}
    filters |= {"ends_within_days": ends_within_days, "must_dispose": must_dispose}
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
    if as_json:
        show_json(config_of(answer))
    else:
        _tell_client(answer)


def _tell_client(answer: dict[str, Any]) -> None:
    """A properties file for clients on librdkafka; as comments what Java spells otherwise and what is no setting."""
    config = config_of(answer)
    user, secret = answer["demander"], config["properties"]["sasl.password"]
    encrypted = _CA_LOCATION in config["properties"]
    say(f"# the topic {config['topic']}, read by a Kafka client of {user}; put its secret in the place of {secret}")
    if encrypted:
        say(f"# {_CA_FILE}: the authority that signed the brokers' certificates, as the operator hands it out;")
        say(f"# without the line {_CA_LOCATION} those count that this machine trusts")
    say(f"# in Java instead of sasl.username, sasl.password{f' and {_CA_LOCATION}' if encrypted else ''}:")
    say(f'# sasl.jaas.config={_JAVA_LOGIN} required username="{user}" password="{secret}";')
    if encrypted:
        say("# ssl.truststore.type=PEM")
        say(f"# ssl.truststore.location={_CA_FILE}")
    for share in answer["shares"]:
        if share["role"] == "previous":
            say(f"# the topic before, {share['topic']}, is readable until {share['readable_until']}")
        elif share["role"] == "next":
            say(f"# after an amendment, {share['topic']} is being filled: ask again, then read it from its beginning")
    if answer["resync_needed"]:
        say(f"# {_RESYNC}")
    schema = f"/schemas/ids/{config['schema_id']}"
    say(f"# the schema is {schema} of the broker service; the key ~ (no value) is a heartbeat: skip it")
    for name, value in config["properties"].items():
        say(f"{name}={value}")


@app.command()
def amend(  # noqa: PLR0913 - the parts of an amendment
    grant: _Id,
    *,
    reason: _Reason,
    field: Annotated[list[str] | None, typer.Option(help="field to grant; the present ones when left out")] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", help="FIELD=MASK as in a consent, FIELD=none as asked; others stay; repeatable"),
    ] = None,
    where: _Where = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="all rows that were asked for")] = False,
    freshness_seconds: Annotated[int | None, typer.Option(help="agreed freshness; else the present one")] = None,
    overlap_seconds: Annotated[
        int | None, typer.Option(help="how long the present share stays readable after the switch; else a week")
    ] = None,
    key: _Key = None,
    as_json: _Json = False,
) -> None:
    """Change what a grant gives, as its provider, within what was asked; what you leave out stays as it is.

    An overseer only takes away fields and rows or hides more. A new share is made and filled; then it is the one to
    read, and the one before stays readable for the overlap.

    Example: `exchange grant amend g-13 --reason "the law changed" --field name --field status --overlap-seconds 86400`
    """
    body = {
        "reason": reason,
        "fields": field,
        "masks": {name: None if one == "none" else one for name, one in masks_of(mask or []).items()},
        "scope": [condition_of(text) for text in where or []] if where or all_rows else None,
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
def suspend(grant: _Id, reason: _Reason, key: _Key = None, as_json: _Json = False) -> None:
    """Stop a grant for a while, as its provider or an overseer: the grantee's fetches fail, the share stays.

    Example: `exchange grant suspend g-13 --reason "misuse is being looked into"`
    """
    _act(grant, "suspend", {"reason": reason}, key, as_json)


@app.command()
def resume(grant: _Id, key: _Key = None, as_json: _Json = False) -> None:
    """End your suspension of a grant, as its provider an overseer's too; it goes on when nobody else has suspended it.

    Example: `exchange grant resume g-13`
    """
    _act(grant, "resume", {}, key, as_json)


@app.command()
def revoke(grant: _Id, reason: _Reason, key: _Key = None, as_json: _Json = False) -> None:
    """End a grant for good, as its provider or an operator; the grantee's fetches fail within a second.

    Example: `exchange grant revoke g-13 --reason "the purpose has been met"`
    """
    _act(grant, "revoke", {"reason": reason}, key, as_json)


@app.command("end-purpose")
def end_purpose(grant: _Id, reason: _Reason, key: _Key = None, as_json: _Json = False) -> None:
    """Say, as the grantee, that you need the data no longer: the grant ends, what you took is to be disposed of.

    Example: `exchange grant end-purpose g-13 --reason "the survey is done"`
    """
    _act(grant, "end-purpose", {"reason": reason}, key, as_json)


@app.command("confirm-disposal")
def confirm_disposal(
    grant: _Id,
    how: Annotated[str, typer.Option(help="how the data were disposed of")],
    key: _Key = None,
    as_json: _Json = False,
) -> None:
    """Confirm, as the grantee of a grant that has ended, that what you took is disposed of (Order 809, art. 27).

    Example: `exchange grant confirm-disposal g-13 --how "table dropped, backups overwritten"`
    """
    _act(grant, "confirm-disposal", {"how": how}, key, as_json)


@app.command("record-use")
def record_use(  # noqa: PLR0913 - what Order 809, art. 29 asks to record
    grant: _Id,
    *,
    scenario: Annotated[str, typer.Option(help="for what it was used")],
    process: Annotated[str, typer.Option(help="how it was used")],
    effect: Annotated[str, typer.Option(help="what came of it")] = "",
    storage: Annotated[str, typer.Option(help="where it is kept")] = "",
    key: _Key = None,
    as_json: _Json = False,
) -> None:
    """Record, as the grantee, how the data were used; the record is kept for ever (the law: 3 years).

    Example: `exchange grant record-use g-13 --scenario "tax registration" --process "matched by credit code"`
    """
    body = {"scenario": scenario, "process": process, "effect": effect, "storage": storage}
    _act(grant, "uses", body, key, as_json)


@app.command()
def uses(grant: _Id, as_json: _Json = False) -> None:
    """The records of use of a grant, for its two parties and for overseers.

    Example: `exchange grant uses g-13`
    """
    with connect() as api:
        table(api.items(f"/v1/grants/{grant}/uses"), ("at", "scenario", "process", "effect", "storage"), as_json)


def config_of(grant: dict[str, Any]) -> dict[str, Any]:
    """What a foreign client needs: topic, schema id, and properties as librdkafka spells them, all but the secret.

    Raises ExchangeError(E_GRANT_STATE) while the grant has no share.
    """
    if grant["topic"] is None:
        raise ExchangeError("E_GRANT_STATE", "the grant has no share yet")
    properties = {
        "bootstrap.servers": grant["bootstrap_servers"],
        "security.protocol": grant["security_protocol"],
        "sasl.mechanism": grant["sasl_mechanism"],
        "sasl.username": grant["demander"],
        "sasl.password": f"SECRET-OF-{grant['demander'].upper()}",
        "group.id": grant["group"],
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
    }
    if grant["security_protocol"].endswith("SSL"):
        properties[_CA_LOCATION] = _CA_FILE
    return {"topic": grant["topic"], "schema_id": grant["schema_id"], "properties": properties}


def _open(grant: dict[str, Any]) -> list[str]:
    """A line for each open cause of a breach, and for a share that the exchange does not deliver."""
    ill = grant["share_suspended"]
    suspended = [] if ill is None else [f"share suspended: {ill}; an operator mends it by `exchange grant recover`"]
    resync = [_RESYNC] if grant["resync_needed"] else []
    return (
        suspended + resync + [f"in breach: {breach['cause']} since {breach['since']}" for breach in grant["breaches"]]
    ) + _set_aside(grant)


def _set_aside(grant: dict[str, Any]) -> list[str]:
    """What the connectors of both sides say of what they have set aside, a sentence each."""
    said = grant["connectors"] or {"sources": (), "sink": None}
    found = [_of_source(one) for one in said["sources"] if one["set_aside"] or one["state"] != "working"]
    sink = said["sink"]
    if sink is not None and sink["set_aside"]:
        found.append(f"the sink has set aside {sink['set_aside']} of the {sink['taken']} records it took{_much(sink)}")
    return found


def _of_source(one: dict[str, Any]) -> str:
    state = "" if one["state"] == "working" else f" is {one['state']} since {one['since']} ({one['code'] or 'no code'})"
    if not one["set_aside"]:
        return f"the source {one['connector']}{state}"
    since = f" since {one['set_aside_since']}" if one["set_aside_since"] else ""
    rows = f"has set aside {one['set_aside']} of {one['rows']} rows{since}{_much(one)}"
    return f"the source {one['connector']}{state and state + ' and'} {rows}"


def _much(one: dict[str, Any]) -> str:
    return "" if one["too_many_since"] is None else ": more than a twentieth, which is a breach"


def _tell(grant: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(grant)
        return
    detail({name: value for name, value in grant.items() if name not in _APART}, as_json=False)
    if grant["resync_needed"]:
        entry("resync needed", _RESYNC)
    for sentence in _set_aside(grant):
        say(sentence)
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
