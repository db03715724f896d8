"""`exchange report`: the yearly report on the satisfaction rate, from the broker service or from an export alone."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from exchange.broker.rate.report import Report
from exchange.broker.rate.report import report as report_of
from exchange.cli import output
from exchange.cli.ledger import as_of, reading
from exchange.errors import ExchangeError
from exchange.web.client import connect
from exchange.web.report.page import page
from exchange.web.report.table import table

_FORMS: Final[Mapping[str, Callable[[Report], str]]] = {
    "json": lambda found: json.dumps(found.as_json(), ensure_ascii=False, indent=2) + "\n",
    "html": page,
    "csv": table,
}


def report(
    year: Annotated[int, typer.Option(help="a calendar year of Asia/Shanghai")],
    html: Annotated[Path | None, typer.Option(help="write the page, in Chinese and English, to this file")] = None,
    csv: Annotated[Path | None, typer.Option(help="write one table to this file")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="an export; else the broker service is asked")] = None,
    at: Annotated[str | None, typer.Option(help="as known at this moment or day's beginning; only with --from")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Report on a year: the rate, month by month and by department, clocks kept and missed, refusals, and the method.

    Example: `exchange report --year 2026 --html report.html --csv report.csv`
    """
    if at is not None and from_ is None:
        raise ExchangeError("E_REQUEST", "--at needs --from: the broker service reports as of now")
    wanted = {form: path for form, path in (("html", html), ("csv", csv)) if path is not None}
    forms = _asked(year, ["json", *wanted]) if from_ is None else _computed(from_, year, at, ["json", *wanted])
    for form, path in wanted.items():
        _write(path, forms[form])
    found = json.loads(forms["json"])
    if as_json:
        output.show_json(found)
        return
    total = found["total"]
    output.detail({"year": year, "up_to": found["at"], "whole_year": found["over"], "head": found["head"]}, False)
    names = ("strict", "time_weighted", "weighted", "by_need", "by_field", "counted", "satisfied_strictly")
    output.detail({name: total[name] for name in names}, as_json=False)
    output.table(found["months"], ["month", "counted", "strict", "time_weighted", "weighted"], as_json=False)
    for path in wanted.values():
        output.say(f"written: {path}")


def _asked(year: int, forms: list[str]) -> dict[str, str]:
    """The report in each form, from the broker service."""
    with connect() as client:
        return {form: client.text("/v1/report", year=year, form=form) for form in forms}


def _computed(path: Path, year: int, at: str | None, forms: list[str]) -> dict[str, str]:
    """The report in each form, from an export."""
    with reading(path) as events:
        found = report_of(events, year, as_of(at))
    return {form: _FORMS[form](found) for form in forms}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ExchangeError("E_REQUEST", f"{path.name} cannot be written: {error.strerror}") from None
