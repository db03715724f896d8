"""`exchange quarantine`: records that could not go on, and what is done about them."""

from collections import Counter
from itertools import chain, islice
from typing import Annotated, Any

import typer

from exchange.cli.output import DOES_NOT_HOLD, age, detail, say, show_json, table
from exchange.clock import parse_time
from exchange.moments import given
from exchange.quarantine.quarantine_id import quarantine_id
from exchange.quarantine.redrive import MEANINGS, Left
from exchange.web.client import connect

app = typer.Typer(no_args_is_help=True, help="Records that could not go on: look, redrive, discard.")
_Department = Annotated[str | None, typer.Option(help="whose records, e.g. market-regulation")]
_Code = Annotated[str | None, typer.Option(help="with this error, e.g. E_CODE_UNKNOWN")]
_Stage = Annotated[str | None, typer.Option(help="put aside at this stage, e.g. admission.check")]
_Type = Annotated[str | None, typer.Option(help="of this record type")]
_Since = Annotated[str | None, typer.Option(help="put aside since this moment or day")]
_Limit = Annotated[int, typer.Option(min=1, max=100_000, help="at most so many records")]
_Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="ids as `list` shows them; else filters")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]
_Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
_PAGE = 500
_AT_ONCE = 1_000


@app.command("list")
def list_(  # noqa: PLR0913, PLR0917 - an option each
    department: _Department = None,
    code: _Code = None,
    stage: _Stage = None,
    record_type: _Type = None,
    since: _Since = None,
    status: Annotated[str, typer.Option(help="waiting, redriven, discarded or any")] = "waiting",
    limit: _Limit = 50,
    as_json: _Json = False,
) -> None:
    """Quarantined records, oldest first in each department, with their error. A department sees its own.

    Example: `exchange quarantine list --department market-regulation --code E_CODE_UNKNOWN`
    """
    filters = {"department": department, "code": code, "stage": stage, "record_type": record_type}
    filters["since"] = None if since is None else given(since, "--since").isoformat()
    with connect() as api:
        pages = api.pages("/v1/quarantine", **filters, status=status, limit=min(limit, _PAGE))
        first = next(pages)
        rest = (item for page in pages for item in page["items"])
        items = list(islice(chain(first["items"], rest), limit + 1))
    shown, counts = items[:limit], first["counts"]
    if as_json:
        show_json({"items": shown, "more": len(items) > limit, "counts": counts})
        return
    last = "type" if status == "waiting" else "status"
    table([_row(item) for item in shown], ("id", "age", "code", last), False)
    _say_counts(counts)
    if len(items) > limit:
        say(f"there are more than these {limit}: narrow the filters, or raise --limit")


@app.command()
def show(
    record: Annotated[str, typer.Argument(metavar="ID", help="as `list` shows it, e.g. market-regulation/0/17")],
    as_json: _Json = False,
) -> None:
    """One record: why it waits, what helps, and what it looks like. Names, sizes and masks, never a value.

    Example: `exchange quarantine show market-regulation/0/17`
    """
    with connect() as api:
        found = api.get(f"/v1/quarantine/{quarantine_id(record)}")
    if as_json:
        show_json(found)
        return
    value, key = found["value"], found["key"]
    plain = ("id", "status", "at", "stage", "code", "reason", "advice", "record_type", "origin", "redriven_from")
    shown = {name: found[name] for name in plain if found[name] is not None}
    if found["settled"] is not None:
        shown["settled"] = ", ".join(f"{name} {part}" for name, part in found["settled"].items() if part is not None)
    shown["key"] = "none" if key is None else f"{key['masked']} ({key['bytes']} bytes)"
    shown["headers"] = ", ".join(f"{one['name']} ({one['bytes']} bytes)" for one in found["headers"])
    shown["value"] = "none: a withdrawal" if value is None else _value_line(value)
    detail(shown, False)
    if value is not None and value["fields"]:
        rows = [{**one, "": "<- the error" if one["concerned"] else ""} for one in value["fields"]]
        table(rows, ("field", "holds", ""), False)


@app.command()
def redrive(  # noqa: PLR0913, PLR0917 - an option each
    ids: _Ids = None,
    department: _Department = None,
    code: _Code = None,
    stage: _Stage = None,
    record_type: _Type = None,
    since: _Since = None,
    limit: _Limit = _AT_ONCE,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Let waiting records pass admission again, untouched, after schema, catalogue or code was mended.

    What is older than the registry's version is superseded there; what is still wrong comes back to quarantine.
    Exit status 1 when a record that was named cannot be redriven.

    Example: `exchange quarantine redrive --department market-regulation --code E_CODE_UNKNOWN --dry-run`
    """
    body = _asked(ids, department, code=code, stage=stage, record_type=record_type, since=since)
    _settle("redrive", "redriven", {**body, "dry_run": dry_run}, limit, as_json)


@app.command()
def discard(  # noqa: PLR0913, PLR0917 - an option each
    reason: Annotated[str, typer.Option(help="why they need not reach the registry")],
    ids: _Ids = None,
    department: _Department = None,
    code: _Code = None,
    stage: _Stage = None,
    record_type: _Type = None,
    since: _Since = None,
    limit: _Limit = _AT_ONCE,
    dry_run: _DryRun = False,
    as_json: _Json = False,
) -> None:
    """Say that waiting records need not reach the registry. They stay readable for 30 days, but wait no longer.

    Example: `exchange quarantine discard market-regulation/0/17 --reason "sent again with the right code"`
    """
    body = _asked(ids, department, code=code, stage=stage, record_type=record_type, since=since)
    _settle("discard", "discarded", {**body, "reason": reason, "dry_run": dry_run}, limit, as_json)


def _asked(ids: list[str] | None, department: str | None, **filters: str | None) -> dict[str, Any]:
    """The body of a command. The department is that of the ids, when there are any."""
    if ids:
        owners = {quarantine_id(one).department for one in ids}
        if len(owners) > 1 or department not in (None, *owners):
            raise typer.BadParameter("the ids of one command are of one department")
        department = owners.pop()
    if department is None:
        raise typer.BadParameter("name ids, or --department and a filter")
    asked = {name: one for name, one in filters.items() if one is not None}
    if "since" in asked:
        asked["since"] = given(asked["since"], "--since").isoformat()
    return {"department": department, "ids": ids or [], **asked}


def _settle(verb: str, done: str, body: dict[str, Any], limit: int, as_json: bool) -> None:
    """Send the command, in as many parts as it takes; each part is one entry of the ledger."""
    total: dict[str, Any] = {"department": body["department"], done: 0, "dry_run": body["dry_run"], "events": []}
    by_code: Counter[str] = Counter()
    left: Counter[str] = Counter()
    more: str | None = None
    with connect() as api:
        while True:
            part = {**body, "limit": min(_AT_ONCE, limit - total[done])}
            answer = api.post(f"/v1/quarantine/{verb}", part if more is None else {**part, "after": more})
            total[done] += answer[done]
            by_code.update(answer["by_code"])
            left.update(answer["left"])
            total["events"] += [] if answer["event"] is None else [answer["event"]]
            more = answer["next"]
            if more is None or total[done] >= limit:
                break
    total |= {"by_code": dict(by_code), "left": dict(left), "more": more is not None}
    if as_json:
        show_json(total)
    else:
        _say_total(total, done)
    if body["ids"] and left:
        raise typer.Exit(DOES_NOT_HOLD)


def _say_total(total: dict[str, Any], done: str) -> None:
    would = "would be " if total["dry_run"] else ""
    records = "record" if total[done] == 1 else "records"
    say(f"{total[done]} {records} of {total['department']} {would}{done}")
    for code, count in sorted(total["by_code"].items()):
        say(f"  {count:>7}  {code}")
    for why, count in sorted(total["left"].items()):
        say(f"  {count:>7}  left: {MEANINGS[Left(why)]}")
    if total["more"]:
        say("there may be more: repeat the command")


def _row(item: dict[str, Any]) -> dict[str, Any]:
    name = item["record_type"]
    return {**item, "age": age(parse_time(item["at"])), "type": None if name is None else name.partition(".")[2]}


def _say_counts(counts: dict[str, dict[str, int]] | None) -> None:
    if not counts:
        return
    say("waiting in all:")
    for department, codes in counts.items():
        for code, count in codes.items():
            say(f"  {count:>7}  {department}  {code}")


def _value_line(value: dict[str, Any]) -> str:
    schema = value["schema"] or f"schema id {value['schema_id']}"
    read = "" if value["decodes"] == "yes" else f", does not decode: {value['decodes']}"
    return f"{value['bytes']} bytes, {schema}{read}"
