"""`exchange ledger`: export and verify it, write a snapshot of its state, recompute the rate from an export alone."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange import settings as settings_module
from exchange.avro.lock import SchemaRepository
from exchange.broker.rate import satisfaction
from exchange.broker.rate.figures import read_figures
from exchange.broker.rate.periods import Period, year
from exchange.cli import output
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.ledger.events.event import LedgerEvent, read_lines, write_line
from exchange.ledger.snapshot.topic import Snapshots, write_snapshot
from exchange.ledger.store.follower import LedgerFollower, read_ledger
from exchange.ledger.store.garbage_collection import collect_rarely
from exchange.ledger.verify import Head, verify
from exchange.moments import given
from exchange.signing import SigningKey

app = typer.Typer(help="The ledger: export, verify, snapshots, recompute the rate.", no_args_is_help=True)


@app.command("export")
def export(to: Annotated[Path | None, typer.Option(help="file to write; else standard output")] = None) -> None:
    """Write every event of the ledger, one JSON object a line. README.md says which of them the rate needs.

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
        with reading(from_) as events:
            found = verify(events, published)
    output.detail({"head": str(found), "events": found.seq, "whole": True}, as_json)


@app.command("snapshot")
def snapshot(as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """Write a snapshot of the ledger's state, signed with EXCHANGE_LEDGER__KEY_FILE: processes start from it.

    The broker service that leads does so by itself now and then.

    Example: `EXCHANGE_LEDGER__KEY_FILE=secrets/ledger.key.pem exchange ledger snapshot`
    """
    collect_rarely()
    settings = settings_module.load()
    if settings.ledger.key_file is None:
        raise ExchangeError("E_SETTINGS", "the key of the ledger (EXCHANGE_LEDGER__KEY_FILE) is not set")
    key, connection = SigningKey.read(settings.ledger.key_file), Connection.of(settings.kafka)
    ledger = LedgerFollower(
        connection, SchemaRepository.load(settings.schemas), snapshots=Snapshots(connection, key.public)
    )
    try:
        ledger.catch_up()
        if ledger.last_offset is None:
            raise ExchangeError("E_REQUEST", "the ledger is empty")
        made = write_snapshot(connection, key, ledger.state, ledger.last_offset)
    finally:
        ledger.close()
    output.detail({"head": str(Head(made.seq, made.hash)), "records": len(made.records)}, as_json)


@app.command("rate")
def rate(
    from_: Annotated[Path, typer.Option("--from", help="an export of the ledger")],
    at: Annotated[
        str | None, typer.Option(help="moment, or a day's beginning; of a period: as known then; else now")
    ] = None,
    of_year: Annotated[int | None, typer.Option("--year", help="also time-weighted over this year")] = None,
    since: Annotated[str | None, typer.Option(help="also time-weighted from this moment or day on")] = None,
    until: Annotated[str | None, typer.Option(help="to before this moment, or to the end of this day")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Recompute the shared-demand satisfaction rate from an export alone: at a moment, or over a period.

    Over a period: the rate at its end, the time-weighted rate, duties kept in time, refusals.

    Example: `exchange ledger rate --from ledger.jsonl --year 2026`
    """
    period = _period(of_year, since, until)
    if period is None:
        moment = as_of(at)
        with reading(from_) as events:
            state = satisfaction.state_at(events, moment)
        groups = {name: _as_json(satisfaction.rates(state, moment, by)) for name, by in satisfaction.BY.items()}
        head = {"at": format_time(moment), "seq": state.seq, "hash": state.head}
        found: dict[str, Any] = {**head, **satisfaction.rate(state, moment).as_json(), "by": groups}
    else:
        with reading(from_) as events:
            found = read_figures(events, [period], as_of(at)).as_json()
    _show(found, as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.show_json(found)
        return
    output.detail({name: value for name, value in found.items() if name != "by"}, as_json=False)
    for name, groups in found["by"].items():
        rows = [{name: group or "–", **one} for group, one in groups.items()]
        if rows:
            over = ["time_weighted"] if "time_weighted" in found else []
            columns = [name, "counted", "satisfied", "strict", "weighted", "by_need", "by_field", *over]
            output.table(rows, columns, as_json=False)


def _as_json(groups: Mapping[str, satisfaction.Rate]) -> dict[str, Any]:
    return {group: one.as_json() for group, one in sorted(groups.items())}


def _period(of_year: int | None, since: str | None, until: str | None) -> Period | None:
    if of_year is not None:
        if since is not None or until is not None:
            raise ExchangeError("E_REQUEST", "ask for a year, or for a period (--since and --until)")
        return year(of_year)
    if since is None and until is None:
        return None
    if since is None or until is None:
        raise ExchangeError("E_REQUEST", "a period has --since and --until")
    return Period(given(since, "--since"), given(until, "--until", last=True))


def as_of(at: str | None) -> datetime:
    """The moment of `--at`; now when it is left out. Raises ExchangeError(E_REQUEST)."""
    return datetime.now(UTC) if at is None else given(at, "--at")


def _from_kafka() -> Iterator[LedgerEvent]:
    collect_rarely()
    settings = settings_module.load()
    connection = Connection.of(settings.kafka)
    return read_ledger(connection, SchemaRepository.load(settings.schemas))


@contextmanager
def reading(path: Path) -> Iterator[Iterator[LedgerEvent]]:
    """The events of an export. Raises ExchangeError: E_REQUEST, E_LEDGER_BROKEN."""
    collect_rarely()
    try:
        with path.open(encoding="utf-8") as file:
            yield read_lines(file)
    except OSError as error:
        raise ExchangeError("E_REQUEST", f"the export cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ExchangeError("E_LEDGER_BROKEN", "the export is not UTF-8") from None
