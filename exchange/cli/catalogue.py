"""`exchange catalogue`: departments and resources as code."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from exchange import settings
from exchange.avro.lock import SchemaRepository
from exchange.catalogue.asyncapi import Place, asyncapi
from exchange.catalogue.check import check as check_catalogue
from exchange.catalogue.check import check_code_sets
from exchange.catalogue.code_sets import FOLDER as CODE_SETS
from exchange.catalogue.code_sets import load_code_sets, read_code_sets
from exchange.catalogue.dcat import dcat
from exchange.catalogue.load import load
from exchange.catalogue.record_types import read_record_schemas
from exchange.cli.catalogue_show import STDOUT, CatalogueFolder, SchemasFolder, show, write
from exchange.cli.output import DOES_NOT_HOLD, say
from exchange.web.client import connect

app = typer.Typer(no_args_is_help=True, help="Departments and resources as code: check, show, export, apply.")
app.command()(show)


class Format(StrEnum):
    """Forms of the catalogue for other consumers."""

    DCAT = "dcat"
    ASYNCAPI = "asyncapi"


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
def export(
    form: Annotated[
        Format, typer.Option("--format", help="`dcat`: DCAT 3 as JSON-LD; `asyncapi`: AsyncAPI 3.1 as JSON.")
    ],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Where to; `-`: stdout.")] = STDOUT,
    catalogue: CatalogueFolder = None,
    schemas: SchemasFolder = None,
) -> None:
    """Write the catalogue for other catalogues (DCAT) or for tools that generate clients (AsyncAPI).

    Addresses in it are those of the settings: EXCHANGE_API__URL, EXCHANGE_KAFKA__BOOTSTRAP_SERVERS.

    Example: `exchange catalogue export --format dcat --output catalogue.jsonld`
    """
    defaults = settings.load()
    folder = schemas or defaults.schemas
    found = load(catalogue or defaults.catalogue)
    if form is Format.DCAT:
        made = dcat(found, read_record_schemas(folder), read_code_sets(folder / CODE_SETS), defaults.api.url)
    else:
        kafka = defaults.kafka
        place = Place(kafka.bootstrap_servers, kafka.security_protocol, defaults.api.url, kafka.partitions)
        made = asyncapi(found, SchemaRepository.load(folder), place)
    write(output, json.dumps(made, ensure_ascii=False, indent=1) + "\n")


@app.command()
def apply() -> None:
    """Bring the difference between the catalogue's files at the broker service and the ledger into the ledger.

    A new leader does the same when it begins.

    Example: `exchange catalogue apply`
    """
    with connect() as api:
        events = api.post("/v1/catalogue")["events"]
    say(f"{events} events" if events else "nothing to apply: the ledger says the same")
