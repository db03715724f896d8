"""`exchange errors`: the table of errors."""

from itertools import groupby
from typing import Annotated

import typer

from exchange.cli import output
from exchange.errors import TABLE, Entry
from exchange.stages import Stage


def errors(
    code: Annotated[str | None, typer.Argument(help="one code; else all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text")] = False,
) -> None:
    """Every error by stage: its code, what the line does, its meaning, and what to do next.

    Example: `exchange errors E_KEY_MISMATCH`
    """
    if code is not None and code not in TABLE:
        raise typer.BadParameter(f"there is no error {code}")
    order = list(Stage)
    entries = [entry for entry in TABLE.values() if code in (None, entry.code)]
    entries.sort(key=lambda entry: order.index(entry.stage))
    if as_json:
        output.show_json([_row(entry) for entry in entries])
        return
    for stage, group in groupby(entries, key=lambda entry: entry.stage):
        output.heading(stage)
        for entry in group:
            output.entry(entry.code, entry.action, entry.meaning, f"→ {entry.advice}")


def _row(entry: Entry) -> dict[str, str]:
    return {
        "code": entry.code,
        "stage": entry.stage,
        "action": entry.action,
        "meaning": entry.meaning,
        "advice": entry.advice,
    }
