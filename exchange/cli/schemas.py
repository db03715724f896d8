"""`exchange schemas`: lint the Avro schemas, check every change against the locked versions, give new ones an id."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.avro import lock as locking
from exchange.avro.lock import LockedSchema, SchemaRepository
from exchange.avro.record_schema import record_schema
from exchange.catalogue.check import check_code_sets
from exchange.catalogue.code_sets import FOLDER, load_code_sets
from exchange.cli.output import DOES_NOT_HOLD, entry, say, show_json, table
from exchange.errors import ExchangeError
from exchange.settings import load

app = typer.Typer(no_args_is_help=True, help="The Avro schemas: check, lock, show.")
Folder = Annotated[
    Path | None, typer.Option("--folder", help="folder of the schemas; else the setting EXCHANGE_SCHEMAS")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def _folder(folder: Path | None) -> Path:
    return load().schemas if folder is None else folder


def _unknown_code_sets(folder: Path) -> list[str]:
    """Fields whose code set is not in the folder; a schema that is not valid has other faults first."""
    valid = {}
    for subject, schema in locking.read_files(folder).items():
        with suppress(ExchangeError):
            valid[subject] = record_schema(schema)
    return check_code_sets(valid, load_code_sets(folder / FOLDER))


@app.command()
def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """Lint all schemas and compare them with their locked versions: registries only append nullable fields.

    Exit status 1 when something is wrong or not locked yet. Example: `exchange schemas check`
    """
    place = _folder(folder)
    found = [*locking.check(place), *_unknown_code_sets(place)]
    if as_json:
        show_json({"findings": found})
    else:
        for finding in found:
            say(finding)
        if not found:
            say(f"{len(locking.read_files(place))} schemas are valid and locked")
    if found:
        raise typer.Exit(DOES_NOT_HOLD)


@app.command()
def lock(folder: Folder = None, as_json: AsJson = False) -> None:
    """Give every new or changed schema the next id and write `ids.lock`. Refuses a change that does more than append.

    Example: `exchange schemas lock`
    """
    place = _folder(folder)
    if unknown := _unknown_code_sets(place):
        raise ExchangeError("E_SCHEMA", "; ".join(unknown))  # a locked schema stays for ever
    added = locking.lock(place)
    if as_json:
        show_json([_row(one) for one in added])
    else:
        for one in added:
            say(f"{one.subject} version {one.version} has id {one.id}")
        if not added:
            say("nothing to lock: every schema has its id")


@app.command()
def show(
    subject: Annotated[str | None, typer.Argument(help="a record type, else all")] = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """List the schemas with their ids, or the fields of one with their meaning.

    Examples: `exchange schemas show`, `exchange schemas show legal-entity.registration`
    """
    schemas = SchemaRepository.load(_folder(folder))
    if subject is None:
        rows = [_row(one) for name in schemas.subjects() for one in schemas.versions(name)]
        table(rows, ["subject", "version", "id", "natural_key", "provider", "personal"], as_json)
        return
    if not schemas.versions(subject):
        raise ExchangeError("E_NAME_INVALID", "there is no schema of this name; `exchange schemas show` lists them")
    latest = schemas.latest(subject)
    if as_json:
        show_json(latest.schema)
        return
    for row in _fields(latest):
        note = "  ".join(str(row[name]) for name in ("type", "sharing", "code_set", "identifier") if row.get(name))
        entry(
            row["field"], note, *(row[name] for name in ("meaning_zh", "meaning", "standard", "form") if row.get(name))
        )


def _row(one: LockedSchema) -> dict[str, Any]:
    record = one.record
    return {
        "subject": one.subject,
        "version": one.version,
        "id": one.id,
        "natural_key": None if record is None else "/".join(record.natural_key),
        "provider": None if record is None else record.provider_rule,
        "personal": None if record is None else record.personal,
        "sha256": one.sha256,
    }


def _fields(one: LockedSchema) -> list[dict[str, Any]]:
    if one.record is None:
        return [
            {"field": item["name"], "type": _type(item["type"]), "meaning": item["doc"]}
            for item in one.schema["fields"]
        ]
    return [
        {
            "field": rule.name,
            "type": _type(rule.type),
            "meaning": rule.meaning,
            "meaning_zh": rule.meaning_zh,
            "standard": rule.standard,
            "code_set": rule.code_set,
            "identifier": rule.identifier,
            "form": rule.form and f"form: {rule.form}",
            "sharing": rule.sharing,
        }
        for rule in one.record.fields
    ]


def _type(raw: Any) -> str:
    """A type in few words: `string`, `date or null`."""
    if isinstance(raw, list):
        return " or ".join(_type(branch) for branch in sorted(raw, key=lambda branch: branch == "null"))
    if isinstance(raw, dict):
        return str(raw.get("logicalType") or raw.get("name") or raw["type"])
    return str(raw)
