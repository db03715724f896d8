"""What connectors have set aside is said in words: on the pages, by the API, on the command line."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.broker.evidence.said import Said, Sink, Source
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.freshness import SET_ASIDE, BreakFreshness
from exchange.broker.grants.place import PlaceGrant
from exchange.cli.main import app
from exchange.intake.report import SourceReport, SourceState
from exchange.names import Department, GrantId, RecordType
from tests.harness.memory.console import browser
from tests.harness.memory.web import WebHarness, web_harness

TAX, MARKET, STRANGER = "taxation", "market-regulation", "health"
TYPE = RecordType("legal-entity.registration")
STATED: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": "a law",
    "scenario": "a duty",
    "use_scope": "all",
    "mode": "batch-exchange",
}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("aside"), requests_per_second=100_000, request_burst=100_000) as harness:
        yield harness


@pytest.fixture(scope="module")
def grant(harness: WebHarness) -> str:
    """A grant whose source and sink have set something aside; another source of the type has stopped."""
    demand = harness.post(TAX, "/v1/demands", STATED).raise_for_status().json()["demand"]
    shown = harness.post(MARKET, f"/v1/demands/{demand}/consent").raise_for_status().json()
    grant = GrantId(shown["grants"][-1])
    service, now = harness.service, harness.service.clock.now()
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    service.ledger.execute(ActivateGrant(grant))
    service.ledger.execute(BreakFreshness(grant, "provider", now, SET_ASIDE))
    since = now - timedelta(hours=3)
    working = SourceReport(
        "market-regulation.register", TYPE, SourceState.WORKING, None, now, now, rows=1_400, set_aside=130,
        set_aside_since=since, compared_at=now,
    )  # fmt: skip
    stopped = SourceReport("market-regulation.old", TYPE, SourceState.STOPPED, "E_CONNECTOR", since, now)
    mine = tuple(Source(Department(MARKET), one, now if one.set_aside else None) for one in (working, stopped))
    foreign = Source(Department("courts"), SourceReport("courts.x", TYPE, SourceState.AWAY, None, now, now), None)
    service.words = Said({TYPE: (*mine, foreign)}, {grant: Sink(17, 1_200, None)})
    return grant


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace(" ,", ",")


def test_the_api_says_of_a_grant_what_its_connectors_say(harness: WebHarness, grant: str) -> None:
    shown = harness.get(TAX, f"/v1/grants/{grant}").raise_for_status().json()
    assert shown["breaches"][0]["reason"] == SET_ASIDE
    first, second = shown["connectors"]["sources"]
    assert (first["connector"], first["rows"], first["set_aside"]) == ("market-regulation.register", 1_400, 130)
    assert (second["state"], second["code"], second["too_many_since"]) == ("stopped", "E_CONNECTOR", None)
    assert first["too_many_since"] is not None
    assert shown["connectors"]["sink"] == {"taken": 1_200, "set_aside": 17, "too_many_since": None}
    listed = harness.get(TAX, "/v1/grants").raise_for_status().json()["items"]
    assert listed[0]["connectors"] == shown["connectors"]


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("zh", ["数源共1,400行，其中130行被搁置", "超过二十分之一", "使用方接收的1,200条记录中有17条被搁置",
                "已停止", "搁置过多"]),
        ("en", ["the source has set aside 130 of 1,400 rows", "more than a twentieth", "17 of the 1,200 records",
                "stopped: its department has to mend it", "too much is set aside"]),
    ],
)  # fmt: skip
def test_the_pages_of_a_grant_and_its_demand_say_it_in_words(
    harness: WebHarness, grant: str, lang: str, words: list[str]
) -> None:
    demand = harness.get(TAX, f"/v1/grants/{grant}").json()["demand"]
    with browser(harness, TAX, lang) as person:
        page = text_of(person.get(f"/console/grants/{grant}").text)
        assert [one for one in words if one not in page] == []
        page = text_of(person.get(f"/console/demands/{demand}").text)
        assert [one for one in words[:-1] if one not in page] == []


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        (MARKET, {"market-regulation.register", "market-regulation.old"}),
        (TAX, {"sink"}),
        (STRANGER, set()),
        ("auditor", set()),
        ("operator", {"market-regulation.register", "market-regulation.old", "sink", "courts.x"}),
    ],
)
def test_the_first_page_shows_a_department_its_own_connectors_and_an_operator_all(
    harness: WebHarness, grant: str, who: str, sees: set[str]
) -> None:
    with browser(harness, who, "en") as person:
        page = person.get("/console/").text
    assert ("exchange faults list" in page) is bool(sees)
    shown = {name for name in ("market-regulation.register", "market-regulation.old", "courts.x") if name in page}
    assert shown | ({"sink"} if "17 of the 1,200 records" in page else set()) == sees


def test_where_nobody_looks_nothing_is_said(harness: WebHarness, grant: str) -> None:
    kept, harness.service.words = harness.service.words, None
    try:
        assert harness.get(TAX, f"/v1/grants/{grant}").json()["connectors"] is None
        with browser(harness, TAX, "en") as person:
            assert "set aside" not in text_of(person.get(f"/console/grants/{grant}").text).replace(
                "too much is set", ""
            )
            assert "exchange faults list" not in person.get("/console/").text
    finally:
        harness.service.words = kept


def test_the_command_line_says_it_in_words(
    harness: WebHarness, grant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(harness.tokens["operator"])
    monkeypatch.setenv("EXCHANGE_API__URL", harness.url)
    monkeypatch.setenv("EXCHANGE_API__TOKEN_FILE", str(file))
    monkeypatch.setenv("COLUMNS", "300")
    for words in (("show", grant), ("list",)):
        done = CliRunner().invoke(app, ["grant", *words])
        assert done.exit_code == 0, done.output
        assert "the source market-regulation.register has set aside 130 of 1400 rows since " in done.stdout
        assert "more than a twentieth, which is a breach" in done.stdout
        assert "the source market-regulation.old is stopped since " in done.stdout
        assert "the sink has set aside 17 of the 1200 records it took" in done.stdout
    assert json.loads(CliRunner().invoke(app, ["grant", "show", grant, "--json"]).stdout)["connectors"]
