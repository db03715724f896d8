"""`exchange ledger`: export it, verify it, and recompute the satisfaction rate from an export alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange import settings as settings_module
from exchange.avro.lock import SchemaRepository
from exchange.broker import satisfaction
from exchange.cli import output
from exchange.clock import Deadline, format_time, parse_time
from exchange.errors import ExchangeError
from exchange.kafka.connection import Connection
from exchange.ledger.events import LedgerEvent, read_lines, write_line
from exchange.ledger.follower import read_ledger
from exchange.ledger.verify import Head, verify

_READ_SECONDS = 300.0
app = typer.Typer(help="The ledger: export, verify, recompute the rate.", no_args_is_help=True)


@app.command("export")
def export(to: Annotated[Path | None, typer.Option(help="file to write; else standard output")] = None) -> None:
    """Write every event of the ledger, one JSON object a line.

    Example: `exchange ledger export --to ledger.jsonl`
    """
    lines = (write_line(event) for event in _from_kafka())
    if to is None:
        sys.stdout.writelines(lines)
        return
    with to.open("w", encoding="utf-8") as file:
        file.writelines(lines)


@app.command("verify")
def verify_command(
    from_: Annotated[Path | None, typer.Option("--from", help="an export; else the ledger in Kafka")] = None,
    head: Annotated[str | None, typer.Option(help="a published head, SEQ:HASH: is it still there?")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Check every sequence number and hash; say where the chain breaks.

    Example: `exchange ledger verify --from ledger.jsonl --head 42:9f86…`
    """
    published = None if head is None else Head.parse(head)
    if from_ is None:
        found = verify(_from_kafka(), published)
    else:
        with _export(from_) as events:
            found = verify(events, published)
    output.detail({"head": str(found), "events": found.seq, "whole": True}, as_json)


@app.command("rate")
def rate(
    from_: Annotated[Path, typer.Option("--from", help="an export of the ledger")],
    at: Annotated[str | None, typer.Option(help="moment, RFC 3339; else now")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Recompute the shared-demand satisfaction rate from an export alone.

    Example: `exchange ledger rate --from ledger.jsonl --at 2026-11-24T08:00:00Z`
    """
    moment = _moment(at)
    with _export(from_) as events:
        state = satisfaction.state_at(events, moment)
    found = satisfaction.rate(state, moment)
    groups = {name: satisfaction.rates(state, moment, by) for name, by in satisfaction.BY.items()}
    if as_json:
        by = {name: {group: one.as_json() for group, one in rates.items()} for name, rates in groups.items()}
        output.show_json({"at": format_time(moment), "seq": state.seq, **found.as_json(), "by": by})
        return
    output.detail({"at": format_time(moment), "events": state.seq, **found.as_json()}, as_json=False)
    for name, rates in groups.items():
        rows: list[dict[str, Any]] = [{name: group, **one.as_json()} for group, one in sorted(rates.items())]
        if rows:
            output.table(rows, [name, "counted", "satisfied", "strict", "weighted"], as_json=False)


def _moment(text: str | None) -> datetime:
    try:
        return datetime.now(UTC) if text is None else parse_time(text)
    except ValueError:
        raise ExchangeError("E_REQUEST", "--at takes an RFC 3339 time with its zone") from None


def _from_kafka() -> Iterator[LedgerEvent]:
    settings = settings_module.load()
    connection = Connection.of(settings.kafka)
    return read_ledger(connection, SchemaRepository.load(settings.schemas), Deadline.after(_READ_SECONDS))


@contextmanager
def _export(path: Path) -> Iterator[Iterator[LedgerEvent]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield read_lines(file)
    except OSError as error:
        raise ExchangeError("E_REQUEST", f"the export cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ExchangeError("E_LEDGER_BROKEN", "the export is not UTF-8") from None
