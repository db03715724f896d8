"""The yearly report as one HTML page: Chinese and English, made to be printed on A4; no script, no other file."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exchange.broker.demands.clocks import COMPETENT
from exchange.broker.rate.report import Report
from exchange.broker.rate.satisfaction import NOBODY
from exchange.calendar import ZONE
from exchange.catalogue.words import REGISTRIES, Text
from exchange.web.report import words

_FOLDER: Final = Path(__file__).parent
_TEMPLATE: Final = "report.html.jinja"
_NO_VALUE: Final = "—"
_CHART_LEFT, _CHART_TOP, _CHART_HEIGHT, _STEP, _BAR = 34, 10, 110, 54, 24


@dataclass(frozen=True, slots=True)
class Column:
    """One month of the chart, in the units of its view box."""

    month: int
    x: float
    y: float | None
    """Top of the bar of the strict rate; None when no demand counted."""
    height: float
    time_y: float | None
    """Of the time-weighted rate."""

    @property
    def middle(self) -> float:
        """Where its label and its point of the line stand."""
        return self.x + _BAR / 2


def page(report: Report) -> str:
    """The report as HTML."""
    columns = [_column(place, one.figures) for place, one in enumerate(report.months)]
    return (
        _environment(report)
        .get_template(_TEMPLATE)
        .render(
            report=report,
            words=words,
            columns=columns,
            lines=_lines(columns),
            chart={"left": _CHART_LEFT, "top": _CHART_TOP, "height": _CHART_HEIGHT, "bar": _BAR, "step": _STEP},
            style=(_FOLDER / "report.css").read_text(encoding="utf-8"),
        )
    )


def percent(value: float | None) -> str:
    """A ratio with two digits after the point; a dash when it does not exist. Never rounded up to 100 or down to 0."""
    if value is None:
        return _NO_VALUE
    shown = f"{100 * value:.2f}"
    if (shown == "100.00" and value < 1) or (shown == "0.00" and value > 0):
        return f"{100 * value:.6f}%"
    return f"{shown}%"


def moment(value: datetime) -> str:
    """A moment as the clocks of Beijing show it, to the minute."""
    return value.astimezone(ZONE).strftime("%Y-%m-%d %H:%M")


def hours(microseconds: int) -> str:
    """A time of demands in whole hours."""
    return f"{microseconds // 3_600_000_000:,}"


def parts(value: Fraction) -> str:
    """A sum of parts of demands, with two digits after the point."""
    return f"{float(value):.2f}"


def _environment(report: Report) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, moment=moment, hours=hours, parts=parts)
    environment.globals.update(group_name=lambda kind, group: _group_name(report, kind, group))
    return environment


def _group_name(report: Report, kind: str, group: str) -> Text:
    """What a registry or a department is called; its slug when nothing tells."""
    if kind == "registry":
        return REGISTRIES.get(group, Text(group, group))
    if group in (COMPETENT, NOBODY):
        return words.COMPETENT if group == COMPETENT else words.NOBODY
    zh, en = report.names.get(group, (group, group))
    return Text(zh or group, en or group)


def _column(place: int, figures: Any) -> Column:
    strict, time = figures.rate.strict, figures.time.ratio
    height = 0.0 if strict is None else round(strict * _CHART_HEIGHT, 2)
    x = _CHART_LEFT + place * _STEP + (_STEP - _BAR) / 2
    y = None if strict is None else round(_CHART_TOP + _CHART_HEIGHT - height, 2)
    time_y = None if time is None else round(_CHART_TOP + _CHART_HEIGHT * (1 - time), 2)
    return Column(place + 1, x, y, height, time_y)


def _lines(columns: list[Column]) -> list[str]:
    """The time-weighted rate as polylines, broken where it does not exist."""
    found: list[list[str]] = [[]]
    for column in columns:
        if column.time_y is None:
            found.append([])
        else:
            found[-1].append(f"{column.middle},{column.time_y}")
    return [" ".join(points) for points in found if len(points) > 1]
