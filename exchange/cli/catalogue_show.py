"""`exchange catalogue show`: the catalogue's files as tables, as JSON, and as one page for people."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange import settings
from exchange.avro.record_schema import RecordSchema
from exchange.calendar import day_in_shanghai
from exchange.catalogue.code_sets import FOLDER as CODE_SETS
from exchange.catalogue.code_sets import CodeSet, read_code_sets
from exchange.catalogue.load import load
from exchange.catalogue.model import Catalogue, ResourceSpec
from exchange.catalogue.page import page
from exchange.catalogue.record_types import read_record_schemas
from exchange.cli.output import entry, say, show_json, table
from exchange.errors import ExchangeError

CatalogueFolder = Annotated[
    Path | None, typer.Option("--catalogue", help="Folder of the catalogue; default: setting EXCHANGE_CATALOGUE.")
]
SchemasFolder = Annotated[
    Path | None, typer.Option("--schemas", help="Folder of the schemas; default: setting EXCHANGE_SCHEMAS.")
]
HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the whole catalogue as one HTML page; `-`: to stdout."),
]
STDOUT = Path("-")


class Part(StrEnum):
    """What of the catalogue to show."""

    DEPARTMENTS = "departments"
    RESOURCES = "resources"
    FIELDS = "fields"
    CODE_SETS = "code-sets"


def show(
    part: Annotated[Part, typer.Argument(help="What to show.")] = Part.RESOURCES,
    catalogue: CatalogueFolder = None,
    schemas: SchemasFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    html: HtmlFile = None,
) -> None:
    """Show departments, resources, the fields of all resources, or the code sets; or everything as a page for people.

    Example: `exchange catalogue show departments --json`
    Example: `exchange catalogue show --html catalogue.html`
    """
    defaults = settings.load()
    schemas_folder = schemas or defaults.schemas
    code_sets = read_code_sets(schemas_folder / CODE_SETS)
    if part is Part.CODE_SETS and html is None:
        table([_code_set(one) for one in code_sets.values()], ("name", "version", "codes", "title"), as_json)
        return
    found = load(catalogue or defaults.catalogue)
    if html is not None:
        today = day_in_shanghai(datetime.now(UTC))
        write(html, page(found, read_record_schemas(schemas_folder), code_sets, today))
    elif part is Part.DEPARTMENTS:
        _show_departments(found, as_json)
    elif part is Part.RESOURCES:
        _show_resources(found, as_json)
    else:
        rows = list(_fields(found, read_record_schemas(schemas_folder)))
        table(rows, ("resource", "field", "meaning", "standard", "sharing"), as_json)


def write(path: Path, text: str) -> None:
    """Write a document into a file, or to stdout for `-`. Raises ExchangeError(E_SETTINGS) when that is impossible."""
    if path == STDOUT:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExchangeError("E_SETTINGS", f"{path.name} cannot be written: {error.strerror}") from None
    say(f"written: {path}")


def _show_departments(found: Catalogue, as_json: bool) -> None:
    if as_json:
        show_json([one.model_dump(mode="json") for one in found.departments.values()])
        return
    for one in found.departments.values():
        until = f" until {one.valid_until}" if one.valid_until else ""
        synthetic = " (made up)" if one.synthetic else ""
        lines = [one.name, one.name_en, f"{one.credit_code}{synthetic}, from {one.valid_from}{until}"]
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
        lines = [one.name, one.name_en, whose]
        if one.conditions:
            lines.append(f"condition: {one.conditions}")
        if one.review:
            lines.append("the competent department looks at each demand first")
        entry(one.code, f"{one.sharing}  {one.update_cycle}", *lines)


def _fields(found: Catalogue, schemas: dict[str, RecordSchema]) -> Iterator[dict[str, Any]]:
    for resource in found.resources.values():
        schema = schemas.get(resource.record_type)
        if schema is None:
            raise ExchangeError("E_CATALOGUE", f"resource {resource.code}: there is no schema for its record type")
        for name in resource.fields:
            yield _field(resource, schema, name)


def _field(resource: ResourceSpec, schema: RecordSchema, name: str) -> dict[str, Any]:
    rule = schema.field(name)
    condition = resource.condition(name)
    return {
        "resource": resource.code,
        "record_type": resource.record_type,
        "field": name,
        "meaning": rule.meaning,
        "meaning_zh": rule.meaning_zh,
        "standard": rule.standard or None,
        "code_set": rule.code_set or None,
        "identifier": rule.identifier or None,
        "key": name in schema.natural_key,
        "personal": rule.personal,
        "required": rule.required,
        "sharing": str(resource.fields[name]),
        "condition": None if condition is None else condition.model_dump(),
        "not_shared_basis": resource.not_shared_basis.get(name),
    }


def _code_set(one: CodeSet) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "codes": len(one.meanings),
        "title": one.title,
        "source": one.source,
    }
