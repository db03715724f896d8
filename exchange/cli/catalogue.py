"""`exchange catalogue`: departments and resources as code."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange import settings
from exchange.catalogue.check import check as check_catalogue
from exchange.catalogue.check import check_code_sets
from exchange.catalogue.code_sets import FOLDER as CODE_SETS
from exchange.catalogue.code_sets import load_code_sets, read_code_sets
from exchange.catalogue.load import load
from exchange.catalogue.model import Catalogue
from exchange.catalogue.record_types import read_record_schemas
from exchange.cli.client import connect
from exchange.cli.output import DOES_NOT_HOLD, entry, say, show_json, table

app = typer.Typer(no_args_is_help=True, help="Departments and resources as code: check, show, apply.")

CatalogueFolder = Annotated[
    Path | None, typer.Option("--catalogue", help="Folder of the catalogue; default: setting EXCHANGE_CATALOGUE.")
]
SchemasFolder = Annotated[
    Path | None, typer.Option("--schemas", help="Folder of the schemas; default: setting EXCHANGE_SCHEMAS.")
]


class Part(StrEnum):
    """What of the catalogue to show."""

    DEPARTMENTS = "departments"
    RESOURCES = "resources"
    FIELDS = "fields"
    CODE_SETS = "code-sets"


@app.command()
def check(catalogue: CatalogueFolder = None, schemas: SchemasFolder = None) -> None:
    """Check validity, succession, ownership, codes, fields and code sets; exit status 1 when something is wrong.

    Example: `exchange catalogue check`
    """
    defaults = settings.load()
    schemas_folder = schemas or defaults.schemas
    found = load(catalogue or defaults.catalogue)
    record_schemas = read_record_schemas(schemas_folder)
    findings = check_catalogue(found, record_schemas)
    findings += check_code_sets(record_schemas, load_code_sets(schemas_folder / CODE_SETS))
    for finding in findings:
        say(finding)
    if findings:
        raise typer.Exit(DOES_NOT_HOLD)
    say(f"{len(found.departments)} departments, {len(found.resources)} resources: nothing wrong")


@app.command()
def show(
    part: Annotated[Part, typer.Argument(help="What to show.")] = Part.RESOURCES,
    catalogue: CatalogueFolder = None,
    schemas: SchemasFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Show departments, resources, the fields of all resources, or the code sets.

    Example: `exchange catalogue show departments --json`
    """
    defaults = settings.load()
    if part is Part.CODE_SETS:
        table(_code_sets((schemas or defaults.schemas) / CODE_SETS), ("name", "version", "codes", "title"), as_json)
        return
    found = load(catalogue or defaults.catalogue)
    if part is Part.DEPARTMENTS:
        _show_departments(found, as_json)
    elif part is Part.RESOURCES:
        _show_resources(found, as_json)
    else:
        rows = [
            {"code": one.code, "record_type": one.record_type, "field": name, "sharing": str(sharing)}
            for one in found.resources.values()
            for name, sharing in one.fields.items()
        ]
        table(rows, ("code", "record_type", "field", "sharing"), as_json)


def _show_departments(found: Catalogue, as_json: bool) -> None:
    if as_json:
        show_json([one.model_dump(mode="json") for one in found.departments.values()])
        return
    for one in found.departments.values():
        until = f" until {one.valid_until}" if one.valid_until else ""
        lines = [one.name, one.name_en, f"{one.credit_code}, from {one.valid_from}{until}"]
        if one.owns:
            lines.append(f"registers credit codes that begin with {', '.join(one.owns)}")
        if one.successors:
            lines.append(f"followed by {', '.join(one.successors)}")
        entry(one.slug, one.level, *lines)


def _show_resources(found: Catalogue, as_json: bool) -> None:
    if as_json:
        show_json([one.model_dump(mode="json") for one in found.resources.values()])
        return
    for one in found.resources.values():
        whose = f"{one.record_type} of {one.provider}, {len(one.fields)} fields"
        entry(one.code, f"{one.sharing}  {one.update_cycle}", one.name, one.name_en, whose)


@app.command()
def apply() -> None:
    """Bring the difference between the catalogue's files at the broker service and the ledger into the ledger.

    A new leader does the same when it begins.

    Example: `exchange catalogue apply`
    """
    with connect() as api:
        events = api.post("/v1/catalogue")["events"]
    say(f"{events} events" if events else "nothing to apply: the ledger says the same")


def _code_sets(folder: Path) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "version": one.version, "codes": len(one.meanings), "title": one.title, "source": one.source}
        for one in read_code_sets(folder).values()
    ]
