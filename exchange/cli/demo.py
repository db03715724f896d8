"""`exchange demo`: a small province on one machine, from empty databases to the satisfaction rate."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli.kafka import NumberOfNodes, count_of
from exchange.demo.run import Options, run


def demo(  # noqa: PLR0913, PLR0917 - an option each
    records: Annotated[int, typer.Option(min=20, help="Size of the generated part.")] = 10_000,
    legal_entities: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Real registrations (CSV, also .gz) instead of generated ones."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where everything lies; a second run goes on with it.")
    ] = None,
    nodes: NumberOfNodes = None,
    ledger: Annotated[Path | None, typer.Option(help="Export the ledger to this file at the end.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the summary to this file as JSON.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
) -> None:
    """A small province on this machine: real Kafka, real databases, thirteen departments, twenty-one demands, the rate.

    Example: `exchange demo --legal-entities registrations.csv.gz --summary summary.json --keep`
    """
    run(Options(records, legal_entities, folder, count_of(nodes), ledger, summary, keep))
