"""The yearly report: the page alone and printable, the table safe, the empty and the unfinished year honest."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.broker.rate.report import Report, report
from exchange.cli.main import app as command
from exchange.errors import ExchangeError
from exchange.ledger.events.event import write_line
from exchange.web.report.page import page, percent
from exchange.web.report.table import safe, table
from tests.harness.memory.ledger import START, chain

HOSTILE = "<script>alert(1)</script>\"'&<b>"
NOW = START + timedelta(days=20)
DEMAND: dict[str, Any] = {
    "demand": "d",
    "request": "r",
    "demander": "taxation",
    "provider": "courts",
    "registry": "credit",
    "record_type": "credit.penalty",
    "fields": ["a", "b"],
    "complete": True,
    "use_from": None,
    "use_until": None,
}


def reported(*steps: Any, now: datetime = NOW) -> Report:
    return report(chain(steps), 2026, now)


def hostile() -> Report:
    """A report in which every text that people write is markup, or a formula."""
    department = {"department": "taxation", "name": HOSTILE, "name_en": HOSTILE, "credit_code": "1"}
    return reported(
        ("department-registered", department),
        ("demand-submitted", {**DEMAND, "provider": "=cmd|'/c calc'!A1", "registry": HOSTILE}),
        ("demand-refused", {"demand": "d", "reason": HOSTILE, "legal_basis": HOSTILE}),
    )


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_needs_nothing_beside_itself_and_no_script() -> None:
    text = page(hostile())
    found = Tags(text)
    assert found.open == []
    assert not {"script", "link", "img", "iframe"} & {*found.tags}
    assert not [name for name, _ in found.attributes if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes
    names = [value for name, value in found.attributes if name == "id"]
    assert len(names) == len({*names})
    assert {value for name, value in found.attributes if name == "aria-labelledby"} <= {*names}


def test_words_of_a_ledger_cannot_become_markup() -> None:
    text = page(hostile())
    assert "b" not in Tags(text).tags
    assert "&lt;script&gt;" in text


def test_page_says_everything_in_both_languages_and_prints_on_a4() -> None:
    text = page(hostile())
    chinese = re.findall(r'<span class="zh">([^<]*)</span>(?!<span class="en")', text)
    assert [one for one in chinese if re.search("[一-鿿]", one)] == []
    assert "size: A4" in text
    assert "@media print" in text


def test_year_without_demands_has_no_rate_and_is_still_a_report() -> None:
    empty = reported()
    assert empty.as_json()["total"]["strict"] is None
    assert 'class="value">—<' in page(empty)
    assert "0.00%" not in page(empty)
    rows = list(csv.DictReader(io.StringIO(table(empty))))
    assert {row["ratio"] for row in rows} == {""}


def test_year_that_is_not_over_says_so_and_shows_the_months_so_far() -> None:
    found = reported(("demand-submitted", DEMAND))
    assert found.over is False
    assert [one.month for one in found.months] == [f"2026-{month:02}" for month in range(1, 13)]
    assert "year not over" in page(found)
    earlier = report(chain([]), 2026, datetime(2026, 3, 4, tzinfo=UTC))
    assert [one.month for one in earlier.months] == ["2026-01", "2026-02", "2026-03"]
    assert "year not over" in page(earlier)
    with pytest.raises(ExchangeError) as error:
        report(chain([]), 2027, NOW)
    assert error.value.code == "E_REQUEST"


def test_report_ends_with_the_head_of_the_ledger_at_that_moment() -> None:
    events = chain([("demand-submitted", DEMAND), ("demand-refused", {"demand": "d"}, NOW + timedelta(days=90))])
    found = report(events, 2026, NOW)
    assert str(found.head) == f"1:{events[0].hash}"
    assert f"verify --from ledger.jsonl --head 1:{events[0].hash}" in page(found)


def test_reason_of_a_refusal_is_not_told_its_legal_basis_is() -> None:
    found = reported(
        ("demand-submitted", DEMAND),
        ("demand-refused", {"demand": "d", "reason": "about Ms Li", "legal_basis": "a law"}),
    )
    for text in (page(found), table(found), json.dumps(found.as_json())):
        assert "Ms Li" not in text
    assert "a law" in page(found)


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@x", "\t=1", " =1", "\r=1"])
def test_no_cell_of_the_table_is_a_formula(text: str) -> None:
    assert safe(text) == f"'{text}"


def test_plain_cells_stay_as_they_are() -> None:
    for cell in ("taxation", "", -1, 0.5, None):
        assert safe(cell) is cell
    rows = list(csv.reader(io.StringIO(table(hostile()))))
    assert {len(row) for row in rows} == {9}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(None, "—"), (1.0, "100.00%"), (0.0, "0.00%"), (0.5, "50.00%"), (0.99999, "99.999000%"), (1e-5, "0.001000%")],
)
def test_only_all_is_100_percent_and_only_nothing_is_0(ratio: float | None, shown: str) -> None:
    assert percent(ratio) == shown


def test_command_writes_page_and_table_from_an_export_alone(tmp_path: Path) -> None:
    export, html, sheet = (tmp_path / name for name in ("ledger.jsonl", "report.html", "report.csv"))
    export.write_text("".join(map(write_line, chain([("demand-submitted", DEMAND)]))), encoding="utf-8")
    asked = ["report", "--year", "2026", "--from", str(export), "--at", "2026-12-24T00:00:00Z"]
    done = CliRunner().invoke(command, [*asked, "--html", str(html), "--csv", str(sheet)])
    assert done.exit_code == 0, done.output
    found = report(chain([("demand-submitted", DEMAND)]), 2026, datetime(2026, 12, 24, tzinfo=UTC))
    assert html.read_text(encoding="utf-8") == page(found)
    assert sheet.read_bytes().decode() == table(found)
    assert json.loads(CliRunner().invoke(command, [*asked, "--json"]).stdout) == found.as_json()
    late = CliRunner().invoke(command, [*asked[:3], "--at", "2026-12-24T00:00:00Z"])
    assert late.exit_code == 2
