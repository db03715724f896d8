"""`exchange errors`: the table of errors."""

from typing import Annotated

import typer

from exchange.cli.output import table
from exchange.errors import TABLE


def errors(
    code: Annotated[str | None, typer.Argument(help="one code; else all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table")] = False,
) -> None:
    """Every error: its code, stage, what the line does, its meaning, and what to do next.

    Example: `exchange errors E_KEY_MISMATCH`
    """
    if code is not None and code not in TABLE:
        raise typer.BadParameter(f"there is no error {code}")
    rows = [
        {
            "code": entry.code,
            "stage": entry.stage.value,
            "action": entry.action.value,
            "meaning": entry.meaning,
            "advice": entry.advice,
        }
        for entry in TABLE.values()
        if code in (None, entry.code)
    ]
    table(rows, ("code", "stage", "action", "meaning", "advice"), as_json)
