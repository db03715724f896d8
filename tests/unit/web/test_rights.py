"""One table says who may do what; the API does what it says for every path and role, and the console offers no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from exchange.broker.demands.life import DEMAND_STEPS, GRANT_STEPS
from exchange.broker.departments.tokens import ROLES
from exchange.cli.main import app as command
from exchange.web.console import steps
from exchange.web.guard.rights import RIGHTS, described, may, right_of, rows
from exchange.web.problems import REGISTRY_PATHS
from tests.harness.memory.console import browser
from tests.harness.memory.web import WebHarness, refused, web_harness

TAX, MARKET, HEALTH = "taxation", "market-regulation", "health"
CALLERS = {"department": TAX, "supervisor": "supervisor", "operator": "operator", "auditor": "auditor"}
PLENTY: dict[str, Any] = {"requests_per_second": 100_000, "request_burst": 100_000, "bad_tokens_per_minute": 100_000}
OPEN = {"/healthz", "/readyz", "/metrics"}
ASKED: dict[str, Any] = {
    "resource": "102001/0001", "fields": ["credit_code", "name"], "legal_basis": "a law", "scenario": "a duty",
    "use_scope": "an office", "mode": "batch-exchange",
}  # fmt: skip


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("rights"), **PLENTY) as harness:
        for who in (*CALLERS.values(), MARKET, HEALTH):
            harness.as_(who)
        yield harness


@pytest.fixture(scope="module")
def grant(harness: WebHarness) -> str:
    demand = harness.post(TAX, "/v1/demands", ASKED).json()["demand"]
    return str(harness.post(MARKET, f"/v1/demands/{demand}/consent").json()["grants"][0])


def paths(harness: WebHarness) -> set[tuple[str, str]]:
    """Every path of the API with its method, as its document describes it."""
    found = harness.http.get("/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, item in found.items() for method in item}


def test_every_path_of_the_api_stands_in_the_table_and_no_other(harness: WebHarness) -> None:
    own = {one for one in paths(harness) if one[1] not in OPEN and not one[1].startswith(REGISTRY_PATHS)}
    assert {(method, path.replace(":path", "")) for method, path in RIGHTS} == own


def test_every_path_lets_in_whom_the_table_names_and_nobody_else(harness: WebHarness) -> None:
    for method, path in sorted(RIGHTS):
        for role in ROLES:
            answer = harness.http.request(
                method, path.replace("{partition}", "0").replace("{offset}", "0"), headers=harness.as_(CALLERS[role]),
                params={"year": "1"},
            )  # fmt: skip
            refused_role = answer.status_code == 403 and answer.json()["code"] == "E_ROLE"
            if not may(role, method, path):
                assert refused_role, (role, method, path)
            elif role != "department":
                assert not refused_role, (role, method, path)


def test_a_path_that_the_table_does_not_name_is_for_nobody(harness: WebHarness) -> None:
    assert right_of("GET", "/v1/secrets") is None
    assert not any(may(role, "GET", "/v1/secrets") for role in ROLES)
    assert may("operator", "POST", "/v1/ledger/head") is False


def test_who_takes_a_step_of_a_demand_is_said_once() -> None:
    for forms, table in ((steps.DEMAND, DEMAND_STEPS), (steps.GRANT, GRANT_STEPS)):
        for form in forms.values():
            if form.step is not None:
                assert form.step in table.values()
                assert all(party in form.step.who for party in form.right.who), form.name


def test_the_console_offers_only_what_the_api_would_take_from_that_role(harness: WebHarness, grant: str) -> None:
    for who in (*CALLERS.values(), MARKET):
        role = who if who in CALLERS else "department"
        with browser(harness, who) as person:
            forms = person.page(f"/console/grants/{grant}").forms
            offered = {form[""].rsplit("/", 1)[1] for form in forms if f"/grants/{grant}/" in form[""]}
            for name in offered:
                assert steps.GRANT[name].right.allows(role), (who, name)


def test_the_navigation_leads_where_the_api_lets_one_in(harness: WebHarness) -> None:
    for role, who in CALLERS.items():
        with browser(harness, who) as person:
            links = set(person.page("/console/").values("href"))
            for place, path in (("books", "/v1/books"), ("report", "/v1/report"), ("quarantine", "/v1/quarantine")):
                assert (f"/console/{place}" in links) is may(role, "GET", path), (role, place)


def test_the_page_of_the_documentation_is_the_table_of_the_code() -> None:
    page = Path(__file__).parents[3] / "deploy" / "who-may-do-what.md"
    assert page.read_text(encoding="utf-8").rstrip("\n") == described().rstrip("\n")


def test_the_command_prints_every_row() -> None:
    printed = CliRunner().invoke(command, ["token", "rights"]).output
    for row in rows():
        assert row["path"].strip("`") in printed
    assert CliRunner().invoke(command, ["token", "rights", "--markdown"]).output.rstrip("\n") == described().rstrip(
        "\n"
    )


# who read what


@pytest.mark.parametrize("who", ["supervisor", "operator", "auditor"])
def test_a_read_of_what_is_between_departments_leaves_a_line_with_the_token_that_read(
    harness: WebHarness, grant: str, who: str
) -> None:
    with structlog.testing.capture_logs() as logs:
        assert harness.get(who, f"/v1/grants/{grant}").is_success
    state = harness.service.ledger.state
    token = "first" if who == "operator" else next(one.token for one in state.tokens.values() if one.role == who)
    told = {"event": "access.read", "caller": token, "role": who, "path": "/v1/grants/{grant}", "entity": grant}
    assert [{name: line[name] for name in told} for line in logs] == [told]


def test_lists_books_and_pages_of_the_console_leave_a_line_too(harness: WebHarness, grant: str) -> None:
    for path in ("/v1/demands", "/v1/grants", "/v1/corrections", "/v1/books"):
        with structlog.testing.capture_logs() as logs:
            harness.get("auditor", path)
        assert [line["path"] for line in logs] == [path]
    with browser(harness, "auditor") as person, structlog.testing.capture_logs() as logs:
        person.page(f"/console/grants/{grant}")
    assert ("/v1/grants/{grant}", grant) in [(line["path"], line["entity"]) for line in logs]


def test_what_a_department_reads_of_its_own_and_what_is_public_leaves_none(harness: WebHarness, grant: str) -> None:
    with structlog.testing.capture_logs() as logs:
        harness.get(TAX, f"/v1/grants/{grant}")
        harness.get("auditor", "/v1/departments")
        harness.get("auditor", "/v1/satisfaction")
    assert logs == []


def test_what_was_asked_for_comes_into_no_log_but_ids(harness: WebHarness) -> None:
    for asked in ("91340100MA2MRY1T4G", "g-1%0aaccess.read caller=t-1", "g-" + "1" * 40):
        with structlog.testing.capture_logs() as logs:
            refused(harness.get("auditor", f"/v1/grants/{asked}"), 404, "E_UNKNOWN_GRANT")
        assert [line["entity"] for line in logs] == [None]
        assert asked not in str(logs)


# tokens


def test_a_token_says_whose_it_is_who_issued_it_and_when(harness: WebHarness) -> None:
    body = {"role": "department", "department": TAX, "label": "李娜, tax office"}
    shown = harness.post("operator", "/v1/tokens", body).json()
    listed = next(
        one for one in harness.get("operator", "/v1/tokens", limit=500).json()["items"] if one["id"] == shown["id"]
    )
    assert (listed["label"], listed["issuer"]) == ("李娜, tax office", "first")
    assert listed["issued"] == harness.service.ledger.events[-1].at
    assert "token" not in listed and "digest" not in listed


@pytest.mark.parametrize("label", ["x" * 101, "a\nb", "a\u202eb"])
def test_a_label_that_would_mislead_who_reads_a_list_is_refused(harness: WebHarness, label: str) -> None:
    body = {"role": "auditor", "label": label}
    assert harness.post("operator", "/v1/tokens", body).status_code == 422
