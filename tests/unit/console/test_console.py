"""The console: pages for people that show what the API lets them see, and do what it lets them do."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from exchange.broker.evidence.books import Account
from exchange.broker.evidence.said import Said, Source
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.freshness import SET_ASIDE, BreakFreshness, RestoreFreshness
from exchange.broker.grants.place import PlaceGrant
from exchange.intake.report import SourceReport, SourceState
from exchange.names import Department, RecordType, ShareName
from tests.harness.memory.console import Outline, browser
from tests.harness.memory.web import WebHarness, web_harness

TAX, MARKET, STRANGER = "taxation", "market-regulation", "health"
RESOURCE = "102001/0001"
EVERYBODY = (TAX, MARKET, STRANGER, "supervisor", "operator", "auditor")
MARK = "between-the-two-alone"
LONG = "为依法履行税收征收管理职责需要核验市场主体登记信息" * 40
STATED: dict[str, Any] = {
    "resource": RESOURCE,
    "legal_basis": MARK,
    "scenario": LONG,
    "use_scope": MARK,
    "mode": "batch-exchange",
}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    """A demand in each stage of its life, one grant that serves and one in breach."""
    with web_harness(tmp_path_factory.mktemp("console"), requests_per_second=100_000, request_burst=100_000) as harness:
        harness.service.accounts = [Account(RecordType("legal-entity.registration"), None, {"taken": 12_345}, 0)]
        yield harness


@pytest.fixture(scope="module")
def demands(harness: WebHarness) -> dict[str, str]:
    def submit(*fields: str, **more: Any) -> str:
        body = {**STATED, "scenario": f"{LONG} {fields}", "fields": ["credit_code", *fields], **more}
        return str(harness.post(TAX, "/v1/demands", body).raise_for_status().json()["demand"])

    now = harness.service.clock.now()
    soon = (now + timedelta(days=20)).isoformat()
    made = {
        "waiting": submit("legal_representative", "name"),
        "incomplete": submit("address", legal_basis=""),
        "serving": submit("name", "status", use_until=soon),
        "breached": submit("region"),
        "refused": submit("industry"),
        "waiting too": submit("term_from"),
    }
    for name in ("serving", "breached"):
        shown = harness.post(MARKET, f"/v1/demands/{made[name]}/consent").raise_for_status().json()
        made[f"grant {name}"] = grant = shown["grants"][-1]
        for command in (
            PlaceGrant(grant, harness.service.schemas),
            ActivateGrant(grant),
            MarkFirstDelivered(grant, False),
        ):
            harness.service.ledger.execute(command)
    harness.service.ledger.execute(BreakFreshness(made["grant breached"], "provider", now))
    harness.post(MARKET, f"/v1/demands/{made['refused']}/refuse", {"reason": MARK}).raise_for_status()
    doubt = {"grant": made["grant serving"], "key": "91340000MA2XXXXX0X", "fields": ["name"], "words": MARK}
    made["correction"] = harness.post(TAX, "/v1/corrections", doubt).raise_for_status().json()["correction"]
    return made


def everywhere(demands: dict[str, str]) -> dict[str, str]:
    """Every page: (path by name)."""
    return {
        "overview": "/console/",
        **{name: f"/console/{name}" for name in ("demands", "grants", "corrections", "catalogue")},
        "resource": f"/console/catalogue/{RESOURCE}",
        **{name: f"/console/demands/{demand}" for name, demand in demands.items() if demand[0] == "d"},
        **{name: f"/console/grants/{grant}" for name, grant in demands.items() if grant[0] == "g"},
        "correction": f"/console/corrections/{demands['correction']}",
        "books": "/console/books",
        "report": "/console/report/2026.html",
        "quarantine": "/console/quarantine",
    }


API = {
    "overview": "/v1/satisfaction",
    "books": "/v1/books",
    "report": "/v1/report",
    "resource": f"/v1/resources/{RESOURCE}",
}


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("who", EVERYBODY)
def test_every_page_answers_as_the_api_does(harness: WebHarness, demands: dict[str, str], who: str, lang: str) -> None:
    with browser(harness, who, lang) as person:
        for name, path in everywhere(demands).items():
            place = path.removeprefix("/console/").replace("catalogue", "resources")
            asked = harness.get(who, API.get(name, f"/v1/{place}"), **({"year": 2026} if name == "report" else {}))
            shown = person.get(path)
            assert shown.status_code == asked.status_code, f"{path} as {who}"
            page = Outline(shown.text)
            assert not page.tags & {"script", "iframe", "img", "object", "embed", "base"}
            assert not [one for _, one, _ in page.attributes if one == "style" or one.startswith("on")]
            if name != "report":
                assert page.values("lang")[0] == ("zh-CN" if lang == "zh" else "en")
            if who == STRANGER:
                assert MARK not in shown.text and not [one for one in demands.values() if f'"{one}"' in shown.text]


@pytest.mark.parametrize("who", EVERYBODY)
def test_no_link_of_the_navigation_leads_to_a_refusal(harness: WebHarness, who: str) -> None:
    with browser(harness, who) as person:
        for place in (one for one in person.page("/console/").values("href") if one.startswith("/console/")):
            assert person.get(place).status_code == 200, f"{place} as {who}"


def test_overview_shows_the_rate_with_its_parts_and_what_waits(harness: WebHarness, demands: dict[str, str]) -> None:
    rate = harness.get(TAX, "/v1/satisfaction").json()
    with browser(harness, MARKET) as person:
        words = person.page("/console/").words
        assert f"{rate['strict'] * 100:.2f}%" in words
        assert f"{rate['satisfied_strictly']} of {rate['counted']} counted demands" in words
        assert "2 to reply to" in words and "1 corrections to answer" in words
        assert "1 grants in breach because of you" in words
    with browser(harness, TAX) as person:
        words = person.page("/console/").words
        assert "1 to supplement" in words and "1 grants ending within 30 days" in words
    with browser(harness, "auditor") as person:
        assert "Waiting for you" not in person.page("/console/").words
    with browser(harness, STRANGER) as person:
        page = person.page("/console/")
        assert "Nothing waits for you." in page.words and "No duty is overdue." in page.words
        assert not [one for one in page.values("href") if "state=" in one], "no demand is counted that it may not see"


def test_lists_are_asked_as_the_api_is_and_page_by_cursor(harness: WebHarness, demands: dict[str, str]) -> None:
    with browser(harness, "auditor") as person:
        listed = person.page("/console/demands", state="refused", demander="", overdue="")
        links = [one for one in listed.values("href") if one.startswith("/console/demands/")]
        assert links == [f"/console/demands/{demands['refused']}"]
        assert "d-999999" not in listed.words
        wrong = person.get("/console/demands", state="lost")
        assert wrong.status_code == 422 and "E_REQUEST" in wrong.text
        assert person.get("/console/demands", cursor="?").status_code == 422
        catalogue = person.page("/console/catalogue")
        seen = {one for one in catalogue.values("href") if one.startswith("/console/catalogue/")}
        assert len(seen) == len(harness.get("auditor", "/v1/resources").json()["items"])


def test_a_list_longer_than_a_page_leads_on_and_back(tmp_path: Path) -> None:
    with web_harness(tmp_path) as harness:
        fields = [one["name"] for one in harness.get(TAX, "/v1/record-types", limit=500).json()["items"][0]["fields"]]
        assert fields
        offered = list(harness.get(TAX, f"/v1/resources/{RESOURCE}").json()["fields"])
        for first in range(8):
            for second in range(first + 1, 9):
                asked = {**STATED, "fields": sorted({offered[first], offered[second]}), "scenario": f"{first} {second}"}
                harness.post(TAX, "/v1/demands", {**asked, "use_scope": "s" * (first + second)}).raise_for_status()
                harness.post(STRANGER, "/v1/demands", {**asked}).raise_for_status()
        with browser(harness, "auditor") as person:
            page = person.page("/console/demands", registry="legal-entity")
            (following,) = [one for one in page.values("href") if "cursor=" in one and "lang=" not in one]
            assert "registry=legal-entity" in following
            rest = person.page(following)
            here, there = (
                {one for one in part.values("href") if one.startswith("/console/demands/d-")} for part in (page, rest)
            )
            assert len(here) == 50 and len(there) == 22 and not here & there
            assert "/console/demands?registry=legal-entity" in rest.values("href")


def test_one_demand_says_who_wants_what_and_where_its_clocks_stand(
    harness: WebHarness, demands: dict[str, str]
) -> None:
    with browser(harness, MARKET, "zh") as person:
        words = person.page(f"/console/demands/{demands['waiting']}").words
    for told in ("税务局", MARK, LONG, "统一社会信用代码", "答复", "提出需求", "有条件共享", "credit_code"):
        assert told in words
    with browser(harness, TAX, "en") as person:
        words = person.page(f"/console/demands/{demands['incomplete']}").words
        assert "still missing" in words and "Legal basis" in words
        words = person.page(f"/console/demands/{demands['refused']}").words
        assert "Refused" in words and MARK in words


def test_one_grant_says_what_it_gives_how_it_is_served_and_how_to_connect(
    harness: WebHarness, demands: dict[str, str]
) -> None:
    with browser(harness, TAX) as person:
        words = person.page(f"/console/grants/{demands['grant breached']}").words
    shown = harness.get(TAX, f"/v1/grants/{demands['grant breached']}").json()
    for told in (shown["topic"], shown["group"], "kafka.example:9093", "SCRAM-SHA-512", "read_committed", "in breach"):
        assert told in words
    assert "the source gives no sign of life" in words


def test_key_and_words_of_a_correction_are_for_its_parties_alone(harness: WebHarness, demands: dict[str, str]) -> None:
    for who, may in ((TAX, True), (MARKET, True), ("supervisor", False), ("operator", False), ("auditor", False)):
        with browser(harness, who) as person:
            text = person.get(f"/console/corrections/{demands['correction']}").text
        assert ("91340000MA2XXXXX0X" in text, MARK in text) == (may, may), who
        assert "Registered name" in text


def test_books_have_their_figures_in_order(harness: WebHarness) -> None:
    with browser(harness, "auditor") as person:
        words = person.page("/console/books").words
    assert "12,345" in words and "legal-entity.registration" in words


def test_books_of_many_shares_are_paged_like_every_list(harness: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    name = RecordType("population.death")
    many = [
        Account(name, ShareName(f"s-{number:04}"), {"taken": 1, "forwarded": 1, "in_flight": 0}, 0)
        for number in range(620)
    ]
    waiting = Account(name, None, {"taken": 1, "admitted": 1, "in_flight": 4_321}, 0)
    monkeypatch.setattr(harness.service, "books", lambda: [waiting, *many])
    seen: list[str] = []
    with browser(harness, "auditor") as person:
        text = person.get("/console/books").text
        assert "4,321" in text
        while True:
            seen += re.findall(r"<code>(s-\d+)</code>", text)
            following = re.search(r'rel="next" href="([^"]+)"', text)
            if following is None or len(seen) > 620:
                break
            text = person.get(html.unescape(following[1])).text
    assert seen == [f"s-{number:04}" for number in range(620)]


def test_a_demand_says_why_it_is_in_breach_and_its_history_why_it_was(
    harness: WebHarness, demands: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demand, now = demands["breached"], harness.service.clock.now()
    report = SourceReport(
        "market-regulation.register", RecordType("legal-entity.registration"), SourceState.WORKING, None, now, now,
        rows=10_610, set_aside=10_600, compared_at=now,
    )  # fmt: skip
    source = Source(Department("market-regulation"), report, now)
    said = Said({RecordType("legal-entity.registration"): (source,)})
    monkeypatch.setattr(harness.service, "said", lambda: said)
    grant = harness.get(TAX, f"/v1/demands/{demand}").json()["grants"][-1]
    ledger = harness.service.ledger
    ledger.execute(RestoreFreshness(grant, "provider"))
    ledger.execute(BreakFreshness(grant, "provider", now, SET_ASIDE))
    shown = harness.get(TAX, f"/v1/demands/{demand}").json()
    (breach,) = shown["breaches"]
    assert (breach["grant"], breach["cause"], breach["reason"]) == (grant, "provider", "set-aside")
    assert (breach["set_aside"], breach["of"]) == (10_600, 10_610)
    told = [(one["event"], one["cause"], one["reason"]) for one in shown["history"] if one["cause"]]
    assert told == [
        ("freshness-broken", "provider", None),
        ("freshness-restored", "provider", None),
        ("freshness-broken", "provider", "set-aside"),
    ]
    for lang, parts in (
        ("en", ("too much is set aside", "10,600 of 10,610 set aside", "Breach began")),
        ("zh", ("搁置过多", "共10,610条，其中10,600条被搁置", "出现不达标")),
    ):
        with browser(harness, TAX, lang) as person:
            words = person.page(f"/console/demands/{demand}").words
        for part in parts:
            assert part in words, words


def test_a_fault_is_told_without_what_it_was(harness: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Account]:
        raise RuntimeError(MARK)

    monkeypatch.setattr(harness.service, "books", fail)
    with browser(harness, "operator") as person, structlog.testing.capture_logs() as logs:
        answer = person.get("/console/books")
    assert [entry["event"] for entry in logs] == ["access.read", "web.fault"]
    assert answer.status_code == 500
    assert "E_INTERNAL" in answer.text and MARK not in answer.text


def test_what_is_no_page_is_told_and_the_way_back(harness: WebHarness) -> None:
    with browser(harness, TAX) as person:
        for path in ("/console/nothing", "/console/demands/d-0", "/console/grants/g-0", "/console/report/2026.exe"):
            answer = person.get(path)
            assert answer.status_code in (403, 404), path
            assert "/console/" in Outline(answer.text).values("href")
        assert person.http.put("/console/demands").status_code == 405
        assert person.get("/console/report/2026.html").status_code == 403


def test_the_console_is_no_part_of_the_documented_api(harness: WebHarness) -> None:
    assert not [path for path in harness.http.get("/openapi.json").json()["paths"] if path.startswith("/console")]
    assert harness.http.get("/console/docs", follow_redirects=True).url.path == "/console/sign-in"


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.1", "en"),
        ("de, zh;q=0.2, en;q=0.7", "en"),
        ("fr", "zh-CN"),
        ("", "zh-CN"),
        ("en;q=x, zh;q=0.1", "zh-CN"),
    ],
)
def test_the_language_is_the_browsers_first_one_that_there_is(harness: WebHarness, accepted: str, lang: str) -> None:
    with browser(harness, "", accepted) as nobody:
        assert nobody.page("/console/sign-in").values("lang")[0] == lang


def test_a_language_that_was_chosen_is_kept(harness: WebHarness) -> None:
    with browser(harness, TAX, "zh") as person:
        assert person.page("/console/").values("lang")[0] == "zh-CN"
        switch = person.page("/console/demands", state="refused").values("href")
        (other,) = [one for one in switch if "lang=en" in one]
        assert "state=refused" in other
        assert person.page(other).values("lang")[0] == "en"
        assert person.page("/console/grants").values("lang")[0] == "en"
