"""What commands print: tables for people, JSON for scripts, errors with their code and advice."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exchange.errors import ExchangeError

DONE = 0
DOES_NOT_HOLD = 1
USAGE = 2
UNREACHABLE = 3

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_USAGE = {"E_SETTINGS", "E_NAME_INVALID", "E_REQUEST", "E_TOKEN", "E_CONNECTOR", "E_NOT_FOUND"}
_UNREACHABLE = {
    "E_API_UNREACHABLE",
    "E_NOT_LEADER",
    "E_LEADER_SILENT",
    "E_ISSUER",
    "E_RATE_LIMIT",
    "E_LEDGER_QUOTA",
    "E_KAFKA_UNREACHABLE",
    "E_KAFKA_REFUSED",
    "E_SOURCE_UNREACHABLE",
    "E_SINK_UNREACHABLE",
    "E_FILES_UNREACHABLE",
    "E_JARS",
    "E_EMBEDDED",
}


def exit_status(error: ExchangeError) -> int:
    """The exit status of a command that ended with `error`: 1, 2 or 3 as `interfaces.md` §2 says."""
    if error.code in _USAGE:
        return USAGE
    return UNREACHABLE if error.code in _UNREACHABLE else DOES_NOT_HOLD


def fail(error: ExchangeError) -> None:
    """Print the code, what happened and what to do next, on stderr."""
    console = Console(stderr=True, highlight=False)
    console.print(Text(f"{error.code}: {error.detail}", style="bold red"))
    console.print(Text(f"→ {error.entry.advice}"))


def say(text: str) -> None:
    """One line for a person, on stdout, without markup."""
    Console(highlight=False, soft_wrap=True).print(Text(text))


def show_json(value: Any) -> None:
    """`value` as JSON on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=False) + "\n")


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Rows as a table of `columns`, or all of each row as JSON."""
    if as_json:
        show_json(list(rows))
        return
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        drawn.add_column(column.replace("_", " "), overflow="fold", no_wrap=number == 0)
    for row in rows:
        drawn.add_row(*(Text(cell(row.get(column))) for column in columns))
    Console(highlight=False).print(drawn)


def entry(term: str, note: str, *lines: str) -> None:
    """One term of a long list: it stands out, what is said of it stands indented below, wrapped to the screen."""
    console = Console(highlight=False)
    console.print(Text.assemble((term, "bold"), "  ", (note, "dim")), soft_wrap=True)
    for line in lines:
        console.print(Padding(Text(line), (0, 0, 0, 4)))


def heading(text: str) -> None:
    """A heading over some entries."""
    Console(highlight=False).print(Text(f"\n{text}", style="bold cyan"))


def detail(row: Mapping[str, Any], as_json: bool) -> None:
    """One thing: name and value a line, or JSON."""
    if as_json:
        show_json(dict(row))
        return
    width = max((len(name) for name in row), default=0)
    for name, value in row.items():
        say(f"{name.replace('_', ' '):<{width}}  {cell(value)}")


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {cell(part)}" for key, part in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(part) for part in value) or "–"
    return str(value)


def age(since: datetime) -> str:
    """How long ago that was, in the largest unit that fits: `3d`, `5h`, `12m`, `40s`."""
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
