"""A year of more than 300 demands by 30 departments, counted a second time by somebody who has only the export."""

import ast
import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.broker.demands.life import DEMAND_STEPS, GRANT_STEPS
from exchange.broker.rate.periods import year as year_of
from exchange.broker.rate.satisfaction import state_at
from exchange.cli.main import app as command
from exchange.clock import format_time
from exchange.ledger.events.event import read_lines
from exchange.observe import metrics
from exchange.web.app import create_app
from tests.harness.memory.ledger import publish_demands
from tests.harness.worked_year.lives import Lives
from tests.harness.worked_year.pieces import DEPARTMENTS
from tests.harness.worked_year.year import WorkedYear

YEAR, DEMANDS, SEED = 2026, 420, 20260101
RECOUNT = Path(__file__).with_name("year_recount.py")
OF_THE_EXCHANGE = {
    "demand-matched",
    "share-assigned",
    "grant-activated",
    "first-delivered",
    "freshness-broken",
    "freshness-restored",
    "share-switched",
    "expiry-announced",
    "department-succeeded",
    "correction-submitted",
    "correction-answered",
}
"""Events that no command on a demand or a grant says."""


@dataclass
class Lived:
    """The year when it is over."""

    world: WorkedYear
    export: Path
    recounted: dict[str, Any]
    """What the recount says."""

    def lines(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, self.export.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("year")
    with WorkedYear(YEAR, SEED, folder, create_app) as world:
        Lives(world).all(DEMANDS)
        world.run()
        export = folder / "ledger.jsonl"
        export.write_text(world.export(), encoding="utf-8")
        told = subprocess.run([sys.executable, RECOUNT, export, str(YEAR)], capture_output=True, check=True, text=True)
        yield Lived(world, export, json.loads(told.stdout))


def answer(lived: Lived, path: str, **params: Any) -> Any:
    return lived.world.get("auditor", path, **params).json()


def told(lived: Lived, *arguments: str) -> Any:
    found = CliRunner().invoke(command, [*arguments, "--from", str(lived.export), "--json"])
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_year_has_every_kind_of_step(lived: Lived) -> None:
    lines = list(lived.lines())
    kinds = {line["event"] for line in lines}
    assert sum(line["event"] == "demand-submitted" for line in lines) > 300
    assert len({line["actor"] for line in lines} & set(DEPARTMENTS)) == 30
    of_the_life = {
        event for step in (*DEMAND_STEPS.values(), *GRANT_STEPS.values()) for event in step.event.split(", then ")
    }
    assert of_the_life | OF_THE_EXCHANGE <= kinds
    ended = {line["data"]["reason"] for line in lines if line["event"] == "grant-ended"}
    assert ended >= {"revoked", "expired", "withdrawn", "purpose-ended"}
    consents = [line["data"] for line in lines if line["event"] == "demand-consented"]
    for name in ("automatic", "masked", "scope_narrowed"):
        assert any(one.get(name) for one in consents)
    for name in ("renews", "replaces"):
        assert any(one["data"].get(name) for one in lines if one["event"] == "demand-submitted")
    given_way = [one["data"]["reason"] for one in lines if one["event"] == "demand-withdrawn"]
    assert any(reason.startswith("replaced by ") for reason in given_way)
    assert any(one["data"].get("pauses") for one in lines if one["event"] == "supplement-requested")


def test_commands_are_refused_for_no_other_reasons_than_the_story_has(lived: Lived) -> None:
    known = {
        "E_DEMAND_DUPLICATE",
        "E_DEMAND_SPLIT",
        "E_DEMAND_STATE",
        "E_GRANT_STATE",
        "E_PSEUDONYM_BESIDE_CLEAR",
        "E_DEMAND_OWN",
    }
    assert {*lived.world.refusals} <= {*known, "E_EXTENSION", "E_RENEWAL", "E_DISPUTE", "E_ROLE"}


def test_recount_is_short_and_knows_nothing_of_the_product() -> None:
    text = RECOUNT.read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in text.splitlines()) <= 200
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert imported - sys.stdlib_module_names == {"chinese_calendar"}


def test_report_is_what_the_recount_gives_to_the_last_digit(lived: Lived) -> None:
    found, counted = answer(lived, "/v1/report", year=YEAR), lived.recounted
    assert found["over"] is True
    assert found["total"] == counted["total"]
    assert [{name: one for name, one in row.items() if name != "month"} for row in found["months"]] == counted["months"]
    for name, groups in counted["by"].items():
        assert found["by"][name] == {group: groups[group] for group in found["by"][name]}
        silent = [one for group, one in groups.items() if group not in found["by"][name]]
        assert not any(one["counted"] or one["counted_seconds"] or one["replies"] for one in silent)
    total = counted["total"]
    assert 0.3 < total["strict"] < total["weighted"] < 1, "a year in which everything is alike shows nothing"
    assert total["time_weighted"] != total["strict"] != total["by_need"]


def test_clocks_of_each_department_are_those_of_the_recount(lived: Lived) -> None:
    found, counted = answer(lived, "/v1/report", year=YEAR), lived.recounted
    rows = {(row["department"], row["clock"]): row for row in found["clocks"]}
    for provider, one in counted["by"]["provider"].items():
        for clock in ("reply", "delivery", "correction"):
            assert rows.get((provider, clock), {"kept": 0})["kept"] == one["on_time"][clock]["kept"]
            assert rows.get((provider, clock), {"judged": 0})["judged"] == one["on_time"][clock]["judged"]
    assert rows["competent-department", "review"]["judged"] == counted["total"]["on_time"]["review"]["judged"]
    for clock in ("review", "reply", "delivery", "correction"):
        assert 0 < counted["total"]["on_time"][clock]["kept"] < counted["total"]["on_time"][clock]["judged"]
    assert found["provisional"], "deadlines of the next year are provisional in the year's last weeks"
    assert {one["due"][:4] for one in found["provisional"]} == {str(YEAR + 1)}


def test_api_command_metrics_and_recount_agree_to_the_last_digit(lived: Lived) -> None:
    counted = lived.recounted
    over_year = answer(lived, "/v1/satisfaction", year=YEAR, by="provider")
    as_known = ("--year", str(YEAR), "--at", format_time(lived.world.clock.moment))
    from_export, reported = told(lived, "ledger", "rate", *as_known), told(lived, "report", *as_known)
    for found in (over_year, from_export, reported["total"]):
        assert {name: found[name] for name in counted["total"]} == counted["total"]
    assert over_year["by"]["provider"] == from_export["by"]["provider"] == reported["by"]["provider"]
    last = year_of(YEAR).last
    moment = answer(lived, "/v1/satisfaction", at=format_time(last), by="demander")
    of_export = told(lived, "ledger", "rate", "--at", format_time(last))
    with lived.export.open(encoding="utf-8") as file:
        publish_demands(state_at(read_lines(file), last), last)
    shown = _samples()
    for variant in ("strict", "weighted"):
        shares = (
            moment[variant],
            of_export[variant],
            shown[f'exchange_shared_demand_satisfaction_ratio{{variant="{variant}"}}'],
        )
        assert {*shares} == {counted["total"][variant]}
    assert shown["exchange_shared_demands_counted"] == counted["total"]["counted"]
    for demander, one in moment["by"]["demander"].items():
        label = f'exchange_department_shared_demand_satisfaction_ratio{{department="{demander}",side="demander"}}'
        assert shown[label] == one["strict"] == counted["by"]["demander"][demander]["strict"]


def test_rate_of_any_past_moment_is_that_of_the_ledger_up_to_then(lived: Lived) -> None:
    for place, month in enumerate(lived.recounted["months"][:11]):
        end = year_of(YEAR).start + timedelta(days=32 * place)
        end = end.replace(day=1, month=place + 2) - timedelta(milliseconds=1)
        found = answer(lived, "/v1/satisfaction", at=format_time(end))
        assert {name: one for name, one in found.items() if name != "at"} == {
            name: month[name] for name in found if name != "at"
        }


def test_page_and_table_say_what_the_report_says(lived: Lived) -> None:
    found = answer(lived, "/v1/report", year=YEAR)
    page = lived.world.get("auditor", "/v1/report", year=YEAR, form="html").text
    table = list(csv.DictReader(io.StringIO(lived.world.get("auditor", "/v1/report", year=YEAR, form="csv").text)))
    assert f"{100 * found['total']['strict']:.2f}%" in page
    assert page.count(found["head"]) == 2
    rows = {(row["dimension"], row["group"], row["measure"]): row for row in table}
    assert float(rows["total", "", "strict"]["ratio"]) == found["total"]["strict"]
    for kind, groups in found["by"].items():
        for group, one in groups.items():
            assert int(rows[kind, group, "strict"]["denominator"]) == one["counted"]
            assert rows[kind, group, "time-weighted seconds"]["ratio"] == str(
                "" if one["time_weighted"] is None else one["time_weighted"]
            )


def test_report_is_for_those_who_oversee_all(lived: Lived) -> None:
    assert lived.world._send("GET", "taxation", "/v1/report", params={"year": YEAR}).status_code == 403
    assert lived.world._send("GET", "taxation", "/v1/satisfaction", params={"year": YEAR}).status_code == 200


def _samples() -> dict[str, float]:
    text = metrics.exposition().decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}
