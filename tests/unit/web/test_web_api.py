import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange.broker.evidence.books import Account
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.freshness import BreakFreshness
from exchange.broker.grants.place import PlaceGrant
from exchange.names import RecordType, ShareName
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from exchange.web.server.request import MOST_BYTES
from exchange.web.service import Service
from tests.harness.memory.ledger import START
from tests.harness.memory.service import MemoryService, serving

OPERATOR_TOKEN = "operator-token-of-this-test"
ENTERPRISES = "102001/0001"
MARKET, TAX, POLICE, HEALTH, HR = "market-regulation", "taxation", "public-security", "health", "human-resources"
DEMAND: dict[str, Any] = {
    "resource": ENTERPRISES,
    "fields": ["credit_code", "name"],
    "legal_basis": "税收征收管理法 art. 15",
    "scenario": "tax registration",
    "use_scope": "tax offices",
    "mode": "batch-exchange",
}
SERVICE_FITS: Callable[[MemoryService], Service] = lambda service: service  # noqa: E731 - checked by mypy


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
def http(service: MemoryService, tmp_path: Path) -> Iterator[httpx.Client]:
    file = tmp_path / "operator.token"
    file.write_text(OPERATOR_TOKEN + "\n")
    app = create_app(service, HttpSettings(operator_token_file=file))
    with serving(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


As = Callable[[str], dict[str, str]]


@pytest.fixture
def as_(http: httpx.Client) -> As:
    """Headers of a caller: `operator`, another role, or a department."""
    tokens = {"operator": OPERATOR_TOKEN}
    http.post("/v1/catalogue", json={}, headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"})

    def headers(who: str) -> dict[str, str]:
        if who not in tokens:
            role = who if who in ("supervisor", "auditor") else "department"
            body = {"role": role, "department": who if role == "department" else None}
            answer = http.post("/v1/tokens", json=body, headers=headers("operator"))
            assert answer.status_code == 201, answer.text
            tokens[who] = answer.json()["token"]
        return {"Authorization": f"Bearer {tokens[who]}"}

    return headers


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["code"] == code
    assert document["status"] == status
    assert set(document) == {"type", "title", "status", "detail", "code", "advice"}


def submitted(http: httpx.Client, as_: As, **changed: Any) -> str:
    asked = DEMAND | {"scenario": f"needs {changed}"} | changed
    answer = http.post("/v1/demands", json=asked, headers=as_(TAX))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["demand"])


def consented(http: httpx.Client, as_: As, demand: str, **body: Any) -> str:
    answer = http.post(f"/v1/demands/{demand}/consent", json=body, headers=as_(MARKET))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["grants"][-1])


# who may do what


def test_nothing_answers_without_a_token_but_health_and_metrics(http: httpx.Client) -> None:
    open_paths = {path for path in ("/healthz", "/readyz", "/metrics") if http.get(path).is_success}
    assert open_paths == {"/healthz", "/readyz", "/metrics"}
    for path, methods in http.get("/openapi.json").json()["paths"].items():
        for method in methods:
            if path in open_paths:
                continue
            answer = http.request(method.upper(), path.replace("{schema_id}", "1"))
            assert answer.status_code == 401, (method, path)
            assert "Bearer" in answer.headers["www-authenticate"]


def test_wrong_and_revoked_tokens_are_refused(http: httpx.Client, as_: As) -> None:
    refused(http.get("/v1/departments", headers={"Authorization": "Bearer nonsense"}), 401, "E_TOKEN")
    refused(http.get("/v1/departments", headers={"Authorization": "Digest x"}), 401, "E_TOKEN")
    headers = as_(TAX)
    assert http.get("/v1/departments", headers=headers).is_success
    token = next(t for t in http.get("/v1/tokens", headers=as_("operator")).json()["items"] if t["department"] == TAX)
    assert http.post(f"/v1/tokens/{token['id']}/revoke", headers=as_("operator")).json()["revoked"] is True
    refused(http.get("/v1/departments", headers=headers), 401, "E_TOKEN")


@pytest.mark.parametrize("who", [TAX, "supervisor", "auditor"])
def test_only_an_operator_adds_departments_tokens_and_catalogues(http: httpx.Client, as_: As, who: str) -> None:
    for path, body in (
        ("/v1/departments", {"department": TAX}),
        (f"/v1/departments/{TAX}/rotate-secret", {}),
        ("/v1/tokens", {"role": "operator"}),
        ("/v1/catalogue", {}),
    ):
        refused(http.post(path, json=body, headers=as_(who)), 403, "E_ROLE")
    refused(http.get("/v1/tokens", headers=as_(who)), 403, "E_ROLE")


def test_books_are_for_overseers(http: httpx.Client, as_: As, service: MemoryService) -> None:
    service.accounts = [
        Account(RecordType("population.death"), ShareName("s"), {"taken": 3, "forwarded": 2, "in_flight": 0}, 1)
    ]
    refused(http.get("/v1/books", headers=as_(TAX)), 403, "E_ROLE")
    shown = http.get("/v1/books", headers=as_("auditor")).json()
    assert shown["closed"] is False
    assert shown["items"][0]["entries"] == {"taken": 3, "forwarded": 2, "in_flight": 0}
    assert shown["items"][0]["difference"] == 1


def test_books_page_by_cursor_and_say_on_every_page_whether_all_close(
    http: httpx.Client, as_: As, service: MemoryService
) -> None:
    service.accounts = [
        Account(RecordType("population.death"), ShareName(f"s-{number}"), {"taken": 1}, int(number == 4))
        for number in range(5)
    ]
    found: list[str] = []
    cursor: dict[str, str] = {}
    for size in (2, 2, 1):
        page = http.get("/v1/books", params={"limit": 2, **cursor}, headers=as_("auditor")).json()
        assert (len(page["items"]), page["closed"]) == (size, False)
        found += [one["share"] for one in page["items"]]
        cursor = {"cursor": page["next"]}
    assert page["next"] is None
    assert found == [f"s-{number}" for number in range(5)]


def test_a_department_sees_only_what_concerns_it(http: httpx.Client, as_: As) -> None:
    demand = submitted(http, as_)
    grant = consented(http, as_, demand)
    for who in (TAX, MARKET, "auditor"):
        assert [d["demand"] for d in http.get("/v1/demands", headers=as_(who)).json()["items"]] == [demand]
        assert [g["grant"] for g in http.get("/v1/grants", headers=as_(who)).json()["items"]] == [grant]
    assert http.get("/v1/demands", headers=as_(HEALTH)).json()["items"] == []
    assert http.get("/v1/grants", headers=as_(HEALTH)).json()["items"] == []
    refused(http.get(f"/v1/demands/{demand}", headers=as_(HEALTH)), 404, "E_UNKNOWN_DEMAND")
    refused(http.get(f"/v1/grants/{grant}", headers=as_(HEALTH)), 404, "E_UNKNOWN_GRANT")
    refused(http.post(f"/v1/grants/{grant}/revoke", json={"reason": "x"}, headers=as_(HEALTH)), 404, "E_UNKNOWN_GRANT")


def test_only_the_provider_consents_and_only_the_demander_withdraws(http: httpx.Client, as_: As) -> None:
    demand = submitted(http, as_)
    refused(http.post(f"/v1/demands/{demand}/consent", json={}, headers=as_(TAX)), 403, "E_ROLE")
    refused(http.post(f"/v1/demands/{demand}/withdraw", json={}, headers=as_(MARKET)), 403, "E_ROLE")
    refused(http.post(f"/v1/demands/{demand}/consent", json={}, headers=as_("operator")), 403, "E_ROLE")


# the life of a demand


def test_a_demand_is_submitted_consented_and_served(http: httpx.Client, as_: As, service: MemoryService) -> None:
    demand = submitted(http, as_)
    assert http.get(f"/v1/demands/{demand}", headers=as_(TAX)).json()["state"] == "submitted"
    grant = consented(http, as_, demand, fields=["name"], freshness_seconds=30)
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    service.ledger.execute(ActivateGrant(grant))
    service.ledger.execute(MarkFirstDelivered(grant, False))
    shown = http.get(f"/v1/demands/{demand}", headers=as_(TAX)).json()
    assert shown["state"] == "serving"
    assert [event["event"] for event in shown["history"]][:2] == ["demand-submitted", "demand-consented"]
    held = http.get(
        "/v1/grants", params={"demander": TAX, "record_type": "legal-entity.registration", "active": True},
        headers=as_(TAX),
    ).json()["items"]  # fmt: skip
    assert held[0]["grant"] == grant
    assert held[0]["fields"] == ["name"]
    assert held[0]["topic"] == f"share.{held[0]['share']}"
    assert held[0]["group"] == f"grant.{grant}"
    assert held[0]["schema_id"] >= 100_000
    assert http.get(f"/v1/grants/{grant}", headers=as_(TAX)).json()["bootstrap_servers"] == "kafka.example:9093"


def test_a_refusal_needs_a_reason_and_ends_the_demand(http: httpx.Client, as_: As) -> None:
    demand = submitted(http, as_)
    path = f"/v1/demands/{demand}/refuse"
    refused(http.post(path, json={"reason": " "}, headers=as_(MARKET)), 422, "E_REFUSAL_REASON")
    answer = http.post(path, json={"reason": "not needed for the purpose"}, headers=as_(MARKET))
    assert answer.json()["state"] == "refused"
    refused(http.post(path, json={"reason": "again"}, headers=as_(MARKET)), 409, "E_DEMAND_STATE")


def test_a_revoked_grant_is_ended(http: httpx.Client, as_: As) -> None:
    grant = consented(http, as_, submitted(http, as_))
    refused(http.post(f"/v1/grants/{grant}/revoke", json={}, headers=as_(MARKET)), 422, "E_REVOKE_REASON")
    answer = http.post(f"/v1/grants/{grant}/revoke", json={"reason": "purpose met"}, headers=as_(MARKET))
    assert (answer.json()["state"], answer.json()["active"]) == ("ended", False)


def test_a_second_open_demand_is_a_duplicate(http: httpx.Client, as_: As) -> None:
    submitted(http, as_)
    refused(http.post("/v1/demands", json=DEMAND, headers=as_(TAX)), 409, "E_DEMAND_DUPLICATE")


def test_the_same_idempotency_key_submits_once(http: httpx.Client, as_: As, service: MemoryService) -> None:
    headers = as_(TAX) | {"Idempotency-Key": "demand-1"}
    first = http.post("/v1/demands", json=DEMAND, headers=headers)
    again = http.post("/v1/demands", json=DEMAND, headers=headers)
    assert first.json()["demand"] == again.json()["demand"]
    assert len(service.ledger.state.demands) == 1
    other = http.post("/v1/demands", json=DEMAND | {"fields": ["name"]}, headers=headers)
    refused(other, 409, "E_IDEMPOTENCY")


def test_an_unusable_idempotency_key_is_refused(http: httpx.Client, as_: As) -> None:
    for key in ("", "x" * 129, "line\tfeed"):
        answer = http.post("/v1/demands", json=DEMAND, headers=as_(TAX) | {"Idempotency-Key": key})
        refused(answer, 422, "E_REQUEST")


def test_a_secret_and_a_token_are_shown_once(http: httpx.Client, as_: As, service: MemoryService) -> None:
    headers = as_("operator") | {"Idempotency-Key": "k"}
    added = http.post("/v1/departments", json={"department": HEALTH}, headers=headers)
    assert added.json()["secret"] == service.secrets[HEALTH]
    assert http.post("/v1/departments", json={"department": HEALTH}, headers=headers).json()["secret"] is None
    rotated = http.post(f"/v1/departments/{HEALTH}/rotate-secret", headers=as_("operator")).json()
    assert rotated["secret"] == service.secrets[HEALTH] != added.json()["secret"]
    issue = as_("operator") | {"Idempotency-Key": "t"}
    assert http.post("/v1/tokens", json={"role": "auditor"}, headers=issue).json()["token"]
    assert http.post("/v1/tokens", json={"role": "auditor"}, headers=issue).json()["token"] is None
    everything = "".join(event.text for event in service.ledger.events)
    assert service.secrets[HEALTH] not in everything
    listed = http.get("/v1/tokens", headers=as_("operator")).text
    assert "digest" not in listed


# form


def test_unknown_and_wrong_members_are_named_without_their_values(http: httpx.Client, as_: As) -> None:
    answer = http.post("/v1/demands", json=DEMAND | {"colour": "secret-value-1"}, headers=as_(TAX))
    refused(answer, 422, "E_REQUEST")
    assert "colour" in answer.json()["detail"]
    answer = http.post("/v1/demands", json=DEMAND | {"use_from": "secret-value-2"}, headers=as_(TAX))
    refused(answer, 422, "E_REQUEST")
    assert "secret-value" not in answer.text


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/zhangwei"}, {"Content-Type": "application/x-www-form-urlencoded"}, {}]
)
def test_a_body_under_another_header_is_told_which_is_expected(
    http: httpx.Client, as_: As, headers: dict[str, str]
) -> None:
    answer = http.post("/v1/demands", content='{"resource": "zhangwei"}', headers=as_(TAX) | headers)
    refused(answer, 422, "E_REQUEST")
    assert answer.json()["detail"] == "content-type: expected with a body is application/json"
    assert "zhangwei" not in answer.text


@pytest.mark.parametrize("kind", ["application/json", "application/cloudevents+json; charset=utf-8"])
def test_a_body_that_is_no_object_is_told_as_that(http: httpx.Client, as_: As, kind: str) -> None:
    answer = http.post("/v1/demands", content='["zhangwei"]', headers=as_(TAX) | {"Content-Type": kind})
    refused(answer, 422, "E_REQUEST")
    assert answer.json()["detail"].startswith("body: ")


def test_a_body_that_is_no_json_is_refused(http: httpx.Client, as_: As) -> None:
    headers = as_(TAX) | {"Content-Type": "application/json"}
    refused(http.post("/v1/demands", content=b"{", headers=headers), 422, "E_REQUEST")


def test_large_bodies_are_refused_however_they_come(http: httpx.Client, as_: As) -> None:
    refused(http.post("/v1/demands", content=b" " * (MOST_BYTES + 1), headers=as_(TAX)), 413, "E_REQUEST_TOO_LARGE")

    def chunks() -> Iterator[bytes]:
        for _ in range(MOST_BYTES // 1024 + 1):
            yield b" " * 1024

    refused(http.post("/v1/demands", content=chunks(), headers=as_(TAX)), 413, "E_REQUEST_TOO_LARGE")


def test_unknown_paths_and_methods_are_problems_too(http: httpx.Client, as_: As) -> None:
    refused(http.get("/v1/nothing", headers=as_(TAX)), 404, "E_NOT_FOUND")
    answer = http.delete("/v1/demands", headers=as_(TAX))
    refused(answer, 405, "E_METHOD")
    assert "POST" in answer.headers["allow"]


def test_lists_page_by_cursor_without_gap_or_repetition(http: httpx.Client, as_: As) -> None:
    wanted = [submitted(http, as_, fields=[name]) for name in ("name", "address", "status", "credit_code", "approved")]
    found: list[str] = []
    cursor = None
    while True:
        page = http.get("/v1/demands", params={"limit": 2, "cursor": cursor} if cursor else {"limit": 2},
                        headers=as_(TAX)).json()  # fmt: skip
        found += [one["demand"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert len(page["items"]) == 2
    assert found == wanted
    refused(http.get("/v1/demands", params={"cursor": "ÿ"}, headers=as_(TAX)), 422, "E_REQUEST")
    refused(http.get("/v1/demands", params={"limit": 0}, headers=as_(TAX)), 422, "E_REQUEST")


def test_demands_are_filtered(http: httpx.Client, as_: As) -> None:
    demand = submitted(http, as_)
    for query, expected in (
        ({"state": "submitted"}, [demand]),
        ({"state": "serving"}, []),
        ({"demander": TAX, "provider": MARKET, "registry": "legal-entity"}, [demand]),
        ({"registry": "credit"}, []),
        ({"overdue": True}, []),
    ):
        items = http.get("/v1/demands", params=query, headers=as_("auditor")).json()["items"]
        assert [one["demand"] for one in items] == expected, query
    refused(http.get("/v1/demands", params={"state": "happy"}, headers=as_(TAX)), 422, "E_REQUEST")


# views


def test_the_rate_can_be_asked_for_now_for_the_past_and_by_groups(
    http: httpx.Client, as_: As, service: MemoryService
) -> None:
    empty = http.get("/v1/satisfaction", headers=as_(TAX)).json()
    assert (empty["counted"], empty["strict"], empty["weighted"]) == (0, None, None)
    grant = consented(http, as_, submitted(http, as_))
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    service.ledger.execute(ActivateGrant(grant))
    service.ledger.execute(MarkFirstDelivered(grant, True))
    served = service.ledger.clock.forward(hours=1)
    service.ledger.execute(BreakFreshness(grant, "provider", served))
    service.ledger.clock.forward(hours=1)
    by = http.get("/v1/satisfaction", params={"by": "provider"}, headers=as_(TAX)).json()
    assert (by["strict"], by["by"]["provider"][MARKET]["counted"]) == (0.0, 1)
    before = http.get("/v1/satisfaction", params={"at": START.isoformat()}, headers=as_(TAX)).json()
    assert before["strict"] == 1.0
    refused(http.get("/v1/satisfaction", params={"at": "2999-01-01T00:00:00Z"}, headers=as_(TAX)), 422, "E_REQUEST")


def test_the_head_names_the_last_event(http: httpx.Client, as_: As, service: MemoryService) -> None:
    headers = as_(TAX)
    head = http.get("/v1/ledger/head", headers=headers).json()
    assert (head["seq"], head["hash"]) == (service.ledger.events[-1].seq, service.ledger.events[-1].hash)


def test_catalogue_paths_show_departments_resources_and_fields(http: httpx.Client, as_: As) -> None:
    slugs = {one["department"] for one in http.get("/v1/departments", headers=as_(TAX)).json()["items"]}
    assert {MARKET, TAX, POLICE, HEALTH, HR} <= slugs
    resource = http.get(f"/v1/resources/{ENTERPRISES}", headers=as_(TAX)).json()
    assert resource["provider"] == MARKET
    only = http.get("/v1/resources", params={"provider": HEALTH}, headers=as_(TAX)).json()["items"]
    assert {one["provider"] for one in only} == {HEALTH}
    types = {one["record_type"]: one for one in http.get("/v1/record-types", headers=as_(TAX)).json()["items"]}
    assert types["legal-entity.registration"]["personal"] is False
    assert all(field["meaning_zh"] for field in types["population.resident"]["fields"])
    refused(http.get("/v1/resources/9/9", headers=as_(TAX)), 404, "E_UNKNOWN_RESOURCE")


# the registry's paths


def basic(who: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{who}:{token}".encode()).decode()}


def test_registry_paths_take_basic_with_slug_and_token(http: httpx.Client, as_: As) -> None:
    token = as_(TAX)["Authorization"].removeprefix("Bearer ")
    assert http.get("/subjects", headers=basic(TAX, token)).is_success
    answer = http.get("/subjects", headers=basic(MARKET, token))
    assert (answer.status_code, answer.json()["error_code"]) == (401, 40101)
    for broken in ("Basic !!", "Basic " + base64.b64encode(b"no-colon").decode()):
        assert http.get("/subjects", headers={"Authorization": broken}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/demands"),
        ("GET", "/v1/tokens"),
        ("POST", f"/v1/departments/{TAX}/rotate-secret"),
        ("POST", "/v1/catalogue"),
        ("POST", "/v1/tokens/t-1/revoke"),
    ],
)
def test_basic_is_for_the_registry_paths_alone(
    http: httpx.Client, as_: As, service: MemoryService, method: str, path: str
) -> None:
    as_(TAX)
    http.post("/v1/departments", json={"department": TAX}, headers=as_("operator"))
    before = service.ledger.state.seq
    for name in ("operator", "", TAX):
        answer = http.request(method, path, headers=basic(name, OPERATOR_TOKEN))
        refused(answer, 401, "E_TOKEN")
        assert answer.headers["www-authenticate"] == "Bearer", "a browser asks nobody for a secret"
    assert service.ledger.state.seq == before
    assert http.get("/subjects").headers["www-authenticate"] == 'Bearer, Basic realm="exchange"'


@pytest.mark.parametrize("shown", [b"a:b\xff\xfe", b"taxation:\x00", b":", b"taxation:", b"taxation:x:y"])
def test_basic_of_any_bytes_is_a_wrong_token_and_no_fault(http: httpx.Client, as_: As, shown: bytes) -> None:
    text = base64.b64encode(shown).decode()
    for header in (f"Basic {text}", f"basic  {text}", f"BASIC\t{text}", "Basic", f"Basic {text}{text}="):
        assert http.get("/subjects", headers={"Authorization": header}).status_code == 401, header


def test_two_authorization_headers_are_none(http: httpx.Client, as_: As) -> None:
    mine, other = as_(TAX)["Authorization"], as_("operator")["Authorization"]
    for both in ([mine, other], [other, mine], [mine, mine]):
        headers = [("Authorization", one) for one in both]
        refused(http.get("/v1/tokens", headers=headers), 401, "E_TOKEN")
        assert http.get("/subjects", headers=headers).status_code == 401


def test_registry_reads_schemas_of_records_and_of_shares(http: httpx.Client, as_: As, service: MemoryService) -> None:
    headers = as_(TAX)
    subject = "legal-entity.registration"
    assert subject in http.get("/subjects", headers=headers).json()
    assert http.get(f"/subjects/{subject}/versions", headers=headers).json() == [1, 2]
    latest = http.get(f"/subjects/{subject}/versions/latest", headers=headers).json()
    assert http.get(f"/schemas/ids/{latest['id']}", headers=headers).json() == {"schema": latest["schema"]}
    inbox = f"inbox.{subject}.{MARKET}-value"
    assert http.get(f"/subjects/{inbox}/versions/2", headers=headers).json()["id"] == latest["id"]
    grant = consented(http, as_, submitted(http, as_))
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    shown = http.get(f"/v1/grants/{grant}", headers=headers).json()
    text = http.get(f"/schemas/ids/{shown['schema_id']}", headers=headers).json()["schema"]
    found = http.post(f"/subjects/{shown['topic']}-value", json={"schema": text}, headers=headers).json()
    assert (found["id"], found["version"]) == (shown["schema_id"], 1)
    assert http.get("/schemas/types", headers=headers).json() == ["AVRO"]
    assert http.get("/config", headers=headers).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}


def test_registry_errors_have_its_own_format(http: httpx.Client, as_: As) -> None:
    headers = as_(TAX)
    for path, status, number in (
        ("/subjects/nothing/versions", 404, 40401),
        ("/subjects/population.death/versions/9", 404, 40402),
        ("/subjects/population.death/versions/x", 422, 42202),
        ("/schemas/ids/99999", 404, 40403),
        ("/schemas/ids/x", 422, 42201),
        ("/config/nothing", 404, 40401),
    ):
        answer = http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (status, number), path
        assert answer.headers["content-type"].startswith("application/vnd.schemaregistry.v1+json")
    answer = http.post("/subjects/population.death", json={"schema": '"string"'}, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (404, 40403)
    answer = http.post("/subjects/population.death", json={"schema": "{"}, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (422, 42201)


def test_registry_writes_say_that_schemas_are_code(http: httpx.Client, as_: As) -> None:
    for method, path in (
        ("POST", "/subjects/population.death/versions"),
        ("DELETE", "/subjects/population.death"),
        ("DELETE", "/subjects/population.death/versions/1"),
        ("PUT", "/config"),
        ("PUT", "/config/population.death"),
    ):
        answer = http.request(method, path, headers=as_("operator"))
        assert (answer.status_code, answer.json()["error_code"]) == (403, 40301)
        assert "code" in answer.json()["message"]


def test_registry_judges_compatibility(http: httpx.Client, as_: As) -> None:
    headers = as_(TAX)
    subject = "population.death"
    text = http.get(f"/subjects/{subject}/versions/latest", headers=headers).json()["schema"]
    path = f"/compatibility/subjects/{subject}/versions/latest"
    assert http.post(path, json={"schema": text}, headers=headers).json() == {"is_compatible": True}
    answer = http.post(path, params={"verbose": True}, json={"schema": '"string"'}, headers=headers).json()
    assert answer["is_compatible"] is False
    assert answer["messages"]
