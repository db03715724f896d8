"""`exchange catalogue`: departments and resources as code."""

import typer

from exchange import settings
from exchange.catalogue.check import check as check_catalogue
from exchange.catalogue.check import check_code_sets
from exchange.catalogue.code_sets import FOLDER as CODE_SETS
from exchange.catalogue.code_sets import load_code_sets
from exchange.catalogue.load import load
from exchange.catalogue.record_types import read_record_schemas
from exchange.cli.catalogue_show import CatalogueFolder, SchemasFolder, show
from exchange.cli.client import connect
from exchange.cli.output import DOES_NOT_HOLD, say

app = typer.Typer(no_args_is_help=True, help="Departments and resources as code: check, show, apply.")
app.command()(show)


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
def apply() -> None:
    """Bring the difference between the catalogue's files at the broker service and the ledger into the ledger.

    A new leader does the same when it begins.

    Example: `exchange catalogue apply`
    """
    with connect() as api:
        events = api.post("/v1/catalogue")["events"]
    say(f"{events} events" if events else "nothing to apply: the ledger says the same")
