"""The console's forms: every step by who may take it, once, with what the API says when it is refused."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.leader import AnnounceLeader
from exchange.catalogue.load import load
from exchange.settings import Settings
from tests.harness.memory.console import Browser, Outline, browser
from tests.harness.memory.ledger import FollowingLedger
from tests.harness.memory.service import MemoryService
from tests.harness.memory.web import WebHarness, web_harness

TAX, MARKET, HEALTH = "taxation", "market-regulation", "health"
RESOURCE = "102001/0001"
HOSTILE = "<script>alert('x')</script>\"'&{{ 7 * 7 }}</textarea>"
STATED = {"legal_basis": "税收征收管理法 art. 15", "scenario": "登记", "use_scope": "全省", "mode": "batch-exchange"}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("acting"), requests_per_second=100_000, request_burst=100_000) as harness:
        yield harness


@pytest.fixture(scope="module")
def people(harness: WebHarness) -> Iterator[dict[str, Browser]]:
    names = (TAX, MARKET, HEALTH, "supervisor", "operator", "auditor")
    with ExitStack() as stack:
        yield {name: stack.enter_context(browser(harness, name)) for name in names}


def submitted(harness: WebHarness, *fields: str, who: str = TAX, **more: Any) -> str:
    stated = {**STATED, "scenario": f"needs {fields}"}
    body = {**stated, "resource": RESOURCE, "fields": ["credit_code", *fields], **more}
    return str(harness.post(who, "/v1/demands", body).raise_for_status().json()["demand"])


def granted(harness: WebHarness, *fields: str, **more: Any) -> str:
    demand = submitted(harness, *fields, **more)
    grant = harness.post(MARKET, f"/v1/demands/{demand}/consent").raise_for_status().json()["grants"][-1]
    for command in (PlaceGrant(grant, harness.service.schemas), ActivateGrant(grant), MarkFirstDelivered(grant, False)):
        harness.service.ledger.execute(command)
    return str(grant)


def forms(person: Browser, path: str) -> set[str]:
    return {form[""].rsplit("/", 1)[-1] for form in person.page(path).forms} - {"sign-out"}


def test_a_demand_is_made_from_the_catalogue(harness: WebHarness, people: dict[str, Browser]) -> None:
    entered = {
        **STATED,
        "fields": ["credit_code", "name", "established"],
        "mask.name": "first",
        "mask.established": "",
        "scope.0.field": "region",
        "scope.0.operator": "in",
        "scope.0.values": "340100， 340200、340300",
        "scope.1.operator": "equals",
        "use_from": "2026-12-01",
        "use_until": "2027-06-30",
        "freshness_hours": "24",
    }
    done = people[TAX].do(f"/console/catalogue/{RESOURCE}", "submit", **entered)
    assert done.status_code == 200 and "The demand is submitted." in done.text
    made = harness.get(TAX, f"/v1/demands/{done.url.path.rsplit('/', 1)[-1]}").json()
    assert made["fields"] == ["credit_code", "name", "established"] and made["masks"] == {"name": "first"}
    assert made["scope"] == [{"field": "region", "operator": "in", "values": ["340100", "340200", "340300"]}]
    assert (made["use_from"], made["use_until"]) == ("2026-11-30T16:00:00.000Z", "2027-06-30T16:00:00.000Z")
    assert made["freshness_seconds"] == 86_400 and made["legal_basis"] == STATED["legal_basis"]


def test_a_provider_is_not_offered_its_own_resource(people: dict[str, Browser]) -> None:
    assert "submit" in forms(people[TAX], f"/console/catalogue/{RESOURCE}")
    for who in (MARKET, "supervisor", "operator", "auditor"):
        assert forms(people[who], f"/console/catalogue/{RESOURCE}") == set(), who


def test_who_is_offered_which_step_of_a_demand(harness: WebHarness, people: dict[str, Browser]) -> None:
    demand = submitted(harness, "old_number")
    path = f"/console/demands/{demand}"
    assert forms(people[TAX], path) == {"supplement", "withdraw", "dispute"}
    assert forms(people[MARKET], path) == {"consent", "refuse", "request-supplement", "extend", "dispute"}
    assert forms(people["supervisor"], path) == {"give-extension"}
    assert forms(people["operator"], path) == forms(people["auditor"], path) == set()
    harness.post(MARKET, f"/v1/demands/{demand}/extend", {"days": 3, "reason": "x"}).raise_for_status()
    assert "extend" not in forms(people[MARKET], path)
    harness.post(TAX, f"/v1/demands/{demand}/dispute", {"grounds": "x"}).raise_for_status()
    assert {"escalate"} <= forms(people[TAX], path) and "dispute" not in forms(people[TAX], path)
    assert {"escalate", "settle"} <= forms(people["supervisor"], path)


def test_who_is_offered_which_step_of_a_grant(harness: WebHarness, people: dict[str, Browser]) -> None:
    grant = granted(harness, "address", who=TAX)
    path = f"/console/grants/{grant}"
    assert forms(people[TAX], path) == {"record-use", "doubt", "end-purpose"}
    for who in (MARKET, "supervisor", "operator"):
        assert forms(people[who], path) == {"suspend", "amend", "revoke"}, who
    assert forms(people["auditor"], path) == set()
    harness.post(MARKET, f"/v1/grants/{grant}/suspend", {"reason": "x"}).raise_for_status()
    assert {"resume"} <= forms(people[MARKET], path) and "suspend" not in forms(people[MARKET], path)


def test_every_step_of_a_demand_is_taken_by_its_form(harness: WebHarness, people: dict[str, Browser]) -> None:
    demand = submitted(harness, "legal_representative", use_until="2028-01-01T00:00:00+08:00")
    path = f"/console/demands/{demand}"

    def state() -> Any:
        return harness.get(TAX, f"/v1/demands/{demand}").json()

    assert people[MARKET].do(path, "request-supplement", missing="负责人签字\n\n用途说明").is_success
    assert state()["history"][-1]["event"] == "supplement-requested"
    assert people[TAX].do(path, "supplement", answer="已补", legal_basis="", scenario="").is_success
    assert state()["answer"] == "已补" and state()["legal_basis"] == STATED["legal_basis"]
    assert people[MARKET].do(path, "extend", days="5", reason="核对").is_success
    assert people["supervisor"].do(path, "give-extension", days="", reason="").is_success
    assert state()["extension"]["given"] and state()["extension"]["days"] == 5
    assert people[MARKET].do(path, "refuse", reason="不符", legal_basis="").is_success
    assert people[TAX].do(path, "dispute", grounds="已列明").is_success
    assert people[TAX].do(path, "escalate", reason="未果").is_success
    assert people["supervisor"].do(path, "settle", outcome="reply-again", reason="核实").is_success
    consent = {"fields": ["credit_code"], "conditions": "仅限税务登记", "until": "2027-12-31", "freshness_hours": "2"}
    done = people[MARKET].do(path, "consent", **consent)
    assert "Consented" in done.text
    grant = harness.get(TAX, f"/v1/grants/{state()['grants'][-1]}").json()
    assert (grant["fields"], grant["conditions"], grant["freshness_seconds"]) == (["credit_code"], "仅限税务登记", 7200)
    assert grant["ends"] == "2027-12-31T16:00:00.000Z"
    renewed = people[TAX].do(path, "renew", use_until="2029-12-31")
    assert (
        renewed.url.path != path
        and harness.get(TAX, renewed.url.path.replace("console", "v1")).json()["renews"] == demand
    )
    assert people[TAX].do(path, "withdraw", reason="业务取消").is_success
    assert state()["state"] == "withdrawn"


def test_the_competent_department_reviews(tmp_path: Path) -> None:
    with web_harness(tmp_path) as harness, browser(harness, "supervisor") as supervisor, browser(harness, TAX) as tax:
        made = [
            submitted(harness, resource="101004/0001", fields=fields, scenario=f"{len(fields)}")
            for fields in (list(harness.get(TAX, "/v1/resources/101004/0001").json()["fields"])[:n] for n in (2, 3))
        ]
        assert "2 to review" in supervisor.page("/console/").words
        assert supervisor.do(f"/console/demands/{made[0]}", "review", note="").is_success
        assert supervisor.do(f"/console/demands/{made[1]}", "send-back", missing="使用范围").is_success
        states = [harness.get(TAX, f"/v1/demands/{one}").json()["state"] for one in made]
        assert states == ["submitted", "in-review"]
        assert "1 to supplement" in tax.page("/console/").words


def test_every_step_of_a_grant_is_taken_by_its_form(harness: WebHarness, people: dict[str, Browser]) -> None:
    grant = granted(harness, "name", "status", "address")
    path = f"/console/grants/{grant}"

    def now() -> Any:
        return harness.get(TAX, f"/v1/grants/{grant}").json()

    assert people["supervisor"].do(path, "suspend", reason="核查").is_success
    assert now()["state"] == "suspended"
    assert people["operator"].do(path, "resume").is_success
    amended = people[MARKET].do(path, "amend", fields=["credit_code", "name"], reason="缩减", **{"mask.name": "first"})
    assert amended.is_success and now()["amendment"]["fields"] == ["credit_code", "name"]
    assert people[TAX].do(path, "record-use", scenario="核验", process="比对", effect="", storage="本地").is_success
    assert "比对" in people[MARKET].page(path).words
    doubt = people[TAX].do(path, "doubt", record="91340000MA2XXXXX0X", fields=["name"], doubt="与证件不符")
    assert doubt.url.path.startswith("/console/corrections/")
    answered = people[MARKET].do(doubt.url.path, "answer", finding="right-as-it-is", words="一致")
    assert "Answered." in answered.text and forms(people[MARKET], doubt.url.path) == set()
    assert people[TAX].do(path, "end-purpose", reason="目的已实现").is_success
    assert people[TAX].do(path, "confirm-disposal", how="删除").is_success
    assert now()["disposed"]
    other = granted(harness, "term_until")
    assert people[MARKET].do(f"/console/grants/{other}", "revoke", reason="不再满足").is_success
    assert harness.get(TAX, f"/v1/grants/{other}").json()["end_reason"] == "revoked"


def test_a_double_click_does_nothing_twice(harness: WebHarness, people: dict[str, Browser]) -> None:
    grant = granted(harness, "registration_authority")
    form = people[TAX].form(f"/console/grants/{grant}", "record-use")
    for _ in range(2):
        assert people[TAX].send(form, scenario="核验", process="比对").is_success
    assert harness.get(TAX, f"/v1/grants/{grant}").json()["uses"] == 1
    changed = people[TAX].send(form, scenario="另一个", process="比对")
    assert changed.status_code == 409 and "E_IDEMPOTENCY" in changed.text


def test_a_refused_form_is_shown_again_as_it_was_filled_in(harness: WebHarness, people: dict[str, Browser]) -> None:
    demand = submitted(harness, "legal_representative", "organisation_type")
    path = f"/console/demands/{demand}"
    form = people[MARKET].form(path, "consent")
    refused = people[MARKET].send(
        form, conditions=HOSTILE, until="2027-01-02", **{"mask.credit_code": "year"}, fields="credit_code"
    )
    assert refused.status_code == 422 and "E_MASK" in refused.text and HOSTILE not in refused.text
    page = Outline(refused.text)
    assert HOSTILE in "".join(page.texts) and "2027-01-02" in page.values("value")
    again = next(one for one in page.forms if one[""].endswith("/consent"))
    assert again["key"] != form["key"]
    for wrong in ({"until": "tomorrow"}, {"freshness_hours": "-1"}, {"fields": []}):
        assert people[MARKET].do(path, "consent", **{"fields": ["credit_code"], **wrong}).status_code == 422
    assert people[MARKET].do(path, "refuse", reason="  ").status_code == 422
    assert people[MARKET].send({**form, "key": ""}, fields="credit_code").status_code == 422
    assert harness.get(TAX, path.replace("console", "v1")).json()["state"] == "submitted"


def test_a_step_that_is_not_the_callers_is_refused_by_the_api(harness: WebHarness, people: dict[str, Browser]) -> None:
    demand = submitted(harness, "legal_representative", "industry")
    mine = people[TAX].form(f"/console/demands/{demand}", "withdraw")
    for step, code in (("consent", "E_ROLE"), ("refuse", "E_ROLE"), ("review", "E_ROLE"), ("nothing", "E_NOT_FOUND")):
        sent = people[TAX].send({**mine, "": f"/console/demands/{demand}/{step}"}, reason="x", fields="credit_code")
        assert sent.status_code in (403, 404) and code in sent.text
    theirs = people[HEALTH].form("/console/", "sign-out")
    sent = people[HEALTH].send({**theirs, "key": "k", "": f"/console/demands/{demand}/withdraw"}, reason="x")
    assert sent.status_code == 404 and "E_UNKNOWN_DEMAND" in sent.text and demand not in sent.text
    assert harness.get(TAX, f"/v1/demands/{demand}").json()["state"] == "submitted"


def test_what_is_no_form_changes_nothing(harness: WebHarness, people: dict[str, Browser]) -> None:
    demand = submitted(harness, "legal_representative", "revoked")
    address = f"/console/demands/{demand}/withdraw"
    post = people[TAX].http.post
    for content in (b"\xff\xfe", b"a&" * 3000, b""):
        assert post(address, content=content).status_code in (403, 422)
    assert people[TAX].get(address).url.path == f"/console/demands/{demand}", "who looks at its address does nothing"
    assert people[TAX].get(f"/console/catalogue/{RESOURCE}/submit").url.path == f"/console/catalogue/{RESOURCE}"
    assert harness.get(TAX, f"/v1/demands/{demand}").json()["state"] == "submitted"


def test_hostile_words_stay_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the catalogue, a demand, a reply or a record of use says: it is shown, and never done."""
    service = MemoryService()
    shipped = load(Settings().catalogue)
    resource = shipped.resources[RESOURCE].model_copy(update={"name": HOSTILE, "name_en": HOSTILE, "abstract": HOSTILE})
    department = shipped.departments[TAX].model_copy(update={"name": HOSTILE, "name_en": HOSTILE})
    changed = {
        "resources": {**shipped.resources, RESOURCE: resource},
        "departments": {**shipped.departments, TAX: department},
    }
    monkeypatch.setattr(service, "_catalogue", shipped.model_copy(update=changed))
    service.apply_catalogue("operator", None)
    with (
        web_harness(tmp_path, service) as harness,
        browser(harness, TAX) as tax,
        browser(harness, MARKET, "zh") as market,
    ):
        words = {"legal_basis": HOSTILE, "scenario": HOSTILE, "use_scope": HOSTILE, "mode": HOSTILE}
        later = (harness.service.clock.now() + timedelta(days=30)).isoformat()
        grant = granted(harness, "name", **words, use_until=later)
        demand = harness.get(TAX, f"/v1/grants/{grant}").json()["demand"]
        refused = submitted(harness, "legal_representative", **words, use_from=later)
        harness.post(
            MARKET, f"/v1/demands/{refused}/refuse", {"reason": HOSTILE, "legal_basis": HOSTILE}
        ).raise_for_status()
        use = {"scenario": HOSTILE, "process": HOSTILE, "effect": HOSTILE, "storage": HOSTILE}
        harness.post(TAX, f"/v1/grants/{grant}/uses", use).raise_for_status()
        doubt = {"grant": grant, "key": HOSTILE, "fields": ["name"], "words": HOSTILE}
        correction = harness.post(TAX, "/v1/corrections", doubt).raise_for_status().json()["correction"]
        for place in (
            "", "demands", "grants", "corrections", "catalogue", f"catalogue/{RESOURCE}", f"demands/{demand}",
            f"demands/{refused}", f"grants/{grant}", f"corrections/{correction}",
        ):  # fmt: skip
            for person in (tax, market):
                page = person.page(f"/console/{place}")
                assert "script" not in page.tags and "49" not in page.words.replace("d-49", ""), place
                assert HOSTILE in "".join(page.texts), place
        for asked in (HOSTILE, "\u202e" + HOSTILE):
            odd = tax.get("/console/demands", state=asked, cursor=asked, lang=asked)
            assert odd.status_code == 422 and "<script" not in odd.text


def test_forms_work_at_a_follower_too(tmp_path: Path) -> None:
    with web_harness(tmp_path) as leader:
        leader.service.ledger.execute(AnnounceLeader("one", leader.url))
        demand = submitted(leader, "legal_representative")
        service = MemoryService(FollowingLedger(leader.service.ledger))
        with web_harness(tmp_path, service) as follower:
            follower.tokens = leader.tokens
            with browser(follower, TAX) as person, browser(follower, "auditor") as auditor:
                done = person.do(f"/console/demands/{demand}", "withdraw", reason="x")
                assert done.status_code == 200 and "withdrawn" in done.text.lower()
                assert auditor.get("/console/books").status_code == 200
                form = person.form("/console/demands/" + submitted(leader, "legal_representative"), "withdraw")
                leader.service.ledger.execute(AnnounceLeader("two", "http://127.0.0.1:9"))
                alone = person.send(form, reason="x")
                assert alone.status_code == 503 and "E_NOT_LEADER" in alone.text
                assert int(alone.headers["retry-after"]) > 0
                leader.service.ledger.execute(AnnounceLeader("one", leader.url))
                for _ in range(2):  # the page before, sent again: it has its key still
                    assert person.send(form, reason="x").status_code == 200
        assert leader.get(TAX, f"/v1/demands/{demand}").json()["state"] == "withdrawn"


@pytest.mark.parametrize(("lang", "field"), [("zh", "region"), ("en", "revoked")])
def test_a_part_of_a_need_is_refused_with_a_way_to_the_open_demand_and_to_its_place(
    harness: WebHarness, lang: str, field: str
) -> None:
    whole = submitted(harness, field, scenario=f"一项职责 {lang}")
    with browser(harness, TAX, lang) as person:
        place = f"/console/catalogue/{RESOURCE}"
        asked = {
            **STATED,
            "scenario": f"一项职责（{lang}）",
            "fields": ["credit_code", field, "approved"],
            "mode": "file-download",
        }
        refused = person.do(place, "submit", **asked)
        assert refused.status_code == 409 and "E_DEMAND_SPLIT" in refused.text
        assert f"/console/demands/{whole}" in Outline(refused.text).values("href")
        made = person.do(place, "submit", **asked, replaces=whole)
        assert made.is_success and f"/console/demands/{whole}" in Outline(made.text).values("href")
        page = person.page(made.url.path).words
        before = person.page(f"/console/demands/{whole}").words
    assert ("文件下载" if lang == "zh" else "file download") in page
    assert ("替代原需求" if lang == "zh" else "Replaces") in page
    assert ("由新需求替代" if lang == "zh" else "Replaced by") in before
