"""The yearly report as one tidy table in CSV: a row for each figure of each group, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from exchange.broker.rate.figures import Figures
from exchange.broker.rate.report import Report
from exchange.clock import format_time

COLUMNS = ("year", "from", "until", "dimension", "group", "measure", "numerator", "denominator", "ratio")
"""What a row holds. A ratio that does not exist is empty; a plain count has only a numerator."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute."""


def table(report: Report) -> str:
    """The report as CSV (RFC 4180, UTF-8 without BOM)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([safe(cell) for cell in row] for row in _rows(report))
    return text.getvalue()


def safe(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that looks like one gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip().startswith(_FORMULA) else cell


def _rows(report: Report) -> Iterator[tuple[Any, ...]]:
    whole = (report.year, format_time(report.period.start), format_time(report.at))
    for dimension, group, figures in _groups(report):
        for row in figure_rows(figures):
            yield (*whole, dimension, group, *row)
    for dimension, group, measure, *numbers in (*_clock_rows(report), *_counts(report)):
        yield (*whole, dimension, group, measure, *numbers)


def _groups(report: Report) -> Iterator[tuple[str, str, Figures]]:
    yield "total", "", report.total
    for month in report.months:
        yield "month", month.month, month.figures
    for kind, groups in report.by.items():
        for group, figures in groups.items():
            yield kind, group, figures


def _clock_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    for row in report.clocks:
        owner = row.department
        yield "clock", owner, f"{row.clock} on time", row.kept.kept, row.kept.judged, row.kept.ratio
        for name, count in (("overdue", row.overdue), ("open", row.open), ("provisional", row.provisional)):
            yield "clock", owner, f"{row.clock} {name}", count, None, None


def _counts(report: Report) -> Iterator[tuple[Any, ...]]:
    for state, count in report.states.items():
        yield "state", state, "demands", count, None, None
    for cause, count in report.breaches.items():
        yield "breach", cause, "open causes", count, None, None
    yield "ledger", str(report.head), "events", report.head.seq, None, None


def figure_rows(figures: Figures) -> Iterator[tuple[Any, ...]]:
    """(measure, numerator, denominator, ratio) of everything that is measured of a group."""
    rate, time, beside = figures.rate, figures.time, figures.companions
    yield "strict", rate.satisfied_strictly, rate.counted, rate.strict
    yield "weighted", float(rate.weight), rate.counted, rate.weighted
    yield "time-weighted seconds", time.satisfied / 1_000_000, time.counted / 1_000_000, time.ratio
    yield "strict by laxer freshness", rate.laxer, rate.satisfied_strictly, None
    yield "strict by empty share", rate.empty, rate.satisfied_strictly, None
    yield "by need", rate.needs_satisfied, rate.needs, rate.by_need
    yield "by field", rate.fields_granted, rate.fields_asked, rate.by_field
    for clock, kept in beside.clocks.items():
        yield f"{clock} on time", kept.kept, kept.judged, kept.ratio
    yield "refusals of replies", beside.refusals, beside.replies, beside.refusal_rate
    yield "refusals with legal basis", beside.refusals_with_basis, beside.refusals, beside.basis_rate
    yield "withdrawn unsatisfied", beside.withdrawn_unsatisfied, beside.withdrawn, None
