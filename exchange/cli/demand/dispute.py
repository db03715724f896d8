"""`exchange demand dispute`: disputes between demander and provider, on their way upwards (Order 809, art. 28)."""

from typing import Annotated

import typer

from exchange.cli.demand.arguments import DemandId, Json, Key, act

app = typer.Typer(no_args_is_help=True, help="Disputes: opened, taken one level up, settled.")


@app.command("open")
def open_(
    demand: DemandId,
    grounds: Annotated[str, typer.Option(help="why you disagree")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Open a dispute, as the demander or the provider; it begins with negotiation.

    Example: `exchange demand dispute open d-12 --grounds "the law named allows it"`
    """
    act(demand, "dispute", {"grounds": grounds}, key, as_json)


@app.command()
def escalate(
    demand: DemandId,
    reason: Annotated[str, typer.Option(help="why the level before did not end it")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Take the open dispute one level up: to the competent department, then to its government.

    Example: `exchange demand dispute escalate d-12 --reason "no agreement in ten days"`
    """
    act(demand, "dispute/escalate", {"reason": reason}, key, as_json)


@app.command()
def settle(
    demand: DemandId,
    outcome: Annotated[str, typer.Option(help="upheld, agreed or reply-again")],
    reason: Annotated[str, typer.Option(help="why")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Record how the open dispute ended, as the competent department; after reply-again a refused demand waits again.

    Example: `exchange demand dispute settle d-12 --outcome reply-again --reason "the basis holds"`
    """
    act(demand, "dispute/settle", {"outcome": outcome, "reason": reason}, key, as_json)
