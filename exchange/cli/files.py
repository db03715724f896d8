"""`exchange files`: deliveries in files. Checking and taking them, and the key that signs them."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.output import DOES_NOT_HOLD, detail, say, show_json, table
from exchange.clock import SystemClock
from exchange.handover.files.folder import DropFolder
from exchange.handover.files.verify import Delivery, Finding, accept, verify
from exchange.signing import PublicKey, SigningKey

app = typer.Typer(no_args_is_help=True, help="Deliveries in files: check them, take them, and the key that signs them.")
_COLUMNS = ("number", "state", "created", "written", "withdrawn", "reading", "current")


@app.command("verify")
def verify_files(
    folder: Annotated[Path, typer.Argument(help="the drop folder")],
    key: Annotated[Path, typer.Option(help="public key of the drop folder, handed over on another way")],
    take: Annotated[bool, typer.Option("--accept", help="Write the receipt for the delivery that waits.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Check signatures, hashes, counts and the chain of all deliveries of a folder; exit status 1 when one is wrong.

    With --accept the delivery that waits is taken: the exchange then counts it as delivered and makes the next one.
    Have your copy before that: files are removed 3 days after they were made.

    Example: `exchange files verify /srv/drop/indicators --key files.pub.pem --accept`
    """
    checked = PublicKey.read(key)
    with closing(DropFolder(folder)) as opened:
        finding = verify(opened, checked)
        taken = accept(opened, finding, SystemClock().now()) if take and not finding.faults else None
    _show(finding, taken.number if taken else None, as_json)
    if finding.faults:
        raise typer.Exit(DOES_NOT_HOLD)


@app.command("new-key")
def new_key(file: Annotated[Path, typer.Argument(help="where to write the private key; must not be there")]) -> None:
    """Make a key that signs deliveries, and print its public half, which the grantees get.

    Example: `exchange files new-key /etc/exchange/files.pem > files.pub.pem`
    """
    say(SigningKey.make(file).public.pem.decode().strip())


@app.command("key")
def show_key(
    file: Annotated[Path, typer.Argument(help="the private key of the drop folder")],
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """The public half of a key, and its fingerprint, which two people compare.

    Example: `exchange files key /etc/exchange/files.pem`
    """
    public = SigningKey.read(file).public
    if as_json:
        detail({"fingerprint": public.fingerprint, "pem": public.pem.decode()}, as_json)
        return
    say(public.pem.decode().strip())
    say(f"SHA-256 of the key: {public.fingerprint}")


def _show(finding: Finding, taken: int | None, as_json: bool) -> None:
    rows = [_row(one, taken) for one in finding.deliveries]
    faults = [{"file": name, "fault": what} for name, what in finding.faults]
    if as_json:
        show_json({"deliveries": rows, "faults": faults, "accepted": taken})
        return
    table(rows, _COLUMNS, as_json)
    if faults:
        table(faults, ("file", "fault"), as_json)
        say("E_FILES_REFUSED: something is wrong; use nothing of this folder")
    elif taken is not None:
        say(f"delivery {taken} is taken")


def _row(delivery: Delivery, taken: int | None) -> dict[str, Any]:
    manifest = delivery.manifest
    return {
        "number": manifest.number,
        "state": "taken" if manifest.number == taken else delivery.state.value,
        "created": manifest.created,
        "written": manifest.records.written,
        "withdrawn": manifest.records.withdrawn,
        "reading": manifest.reading,
        "current": manifest.current,
        "grant": manifest.grant,
        "topic": manifest.topic,
    }
