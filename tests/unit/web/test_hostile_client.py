"""A hostile department against a running service, from a process of its own: nothing of others, nothing by a trick."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.place import PlaceGrant
from exchange.web.console.session import COOKIE, LOCAL_COOKIE
from exchange.web.guard.rights import RIGHTS, may
from tests.harness.memory.hostile import Answer, attack, request
from tests.harness.memory.web import OPERATOR_TOKEN, WebHarness, web_harness

TAX, MARKET, STRANGER = "taxation", "market-regulation", "health"
PLENTY: dict[str, Any] = {"requests_per_second": 100_000, "request_burst": 100_000, "bad_tokens_per_minute": 100_000}
ASKED: dict[str, Any] = {
    "resource": "102001/0001", "fields": ["credit_code", "name"], "legal_basis": "a law", "scenario": "a duty",
    "use_scope": "an office", "mode": "batch-exchange",
}  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "consent": {}, "refuse": {"reason": "x"}, "review": {"passed": True}, "request-supplement": {"missing": ["x"]},
    "supplement": {"answer": "x"}, "extend": {"days": 5, "reason": "x"}, "withdraw": {"reason": "x"},
    "renew": {"legal_basis": "x"}, "dispute": {"grounds": "x"}, "escalate": {"reason": "x"},
    "settle": {"outcome": "upheld", "reason": "x"}, "suspend": {"reason": "x"}, "resume": {}, "revoke": {"reason": "x"},
    "amend": {"reason": "x", "fields": ["name"]}, "end-purpose": {"reason": "x"}, "confirm-disposal": {"how": "x"},
    "uses": {"scenario": "x", "process": "x"}, "recover": {}, "answer": {"answer": "corrected", "words": "x"},
}  # fmt: skip


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("hostile"), **PLENTY) as harness:
        for who in (TAX, MARKET, STRANGER):
            harness.as_(who)
        yield harness


@pytest.fixture(scope="module")
def known(harness: WebHarness) -> dict[str, str]:
    """What is between two departments: a demand, a grant that serves, a correction, a token's id."""
    demand = harness.post(TAX, "/v1/demands", ASKED).json()["demand"]
    grant = harness.post(MARKET, f"/v1/demands/{demand}/consent").json()["grants"][0]
    ledger, schemas = harness.service.ledger, harness.service.schemas
    for step in (PlaceGrant(grant, schemas), ActivateGrant(grant), MarkFirstDelivered(grant, False)):
        ledger.execute(step)
    doubt = {"grant": grant, "key": "91340100MA2MRY1T4G", "fields": ["name"], "words": "w"}
    correction = harness.post(TAX, "/v1/corrections", doubt).json()["correction"]
    return {"demand": demand, "grant": grant, "correction": correction, "token": "t-1"}


def bearer(harness: WebHarness, who: str) -> str:
    return f"Authorization: {harness.as_(who)['Authorization']}"


def posted(target: str, body: Any, *headers: str, method: str = "POST") -> bytes:
    return request(method, target, "Content-Type: application/json", *headers, body=json.dumps(body).encode())


def alike(one: Answer, other: Answer) -> bool:
    """Whether two answers tell the same, but for the numbers of the things that were asked for."""
    told = [re.sub(r"\b([a-z]+-)[0-9]+", r"\1#", answer.body) for answer in (one, other)]
    names = [{*answer.headers} for answer in (one, other)]
    return one.status == other.status and told[0] == told[1] and names[0] == names[1]


def test_what_is_between_others_and_what_is_not_there_are_answered_alike(
    harness: WebHarness, known: dict[str, str]
) -> None:
    stranger, places = bearer(harness, STRANGER), {}
    for method, path in RIGHTS:
        named = next((name for name in ("demand", "grant", "correction") if f"{{{name}}}" in path), None)
        if named is not None and may("department", method, path):
            places[(method, path)] = named
    assert len(places) > 20
    asked = []
    for (method, path), named in places.items():
        body = BODIES.get(path.rsplit("/", 1)[1], {})
        for thing in (known[named], re.sub(r"[0-9]+", "777777", known[named])):
            target = path.replace(f"{{{named}}}", thing)
            asked.append(
                request(method, target, stranger) if method == "GET" else posted(target, body, stranger)
            )  # fmt: skip
    before = harness.service.ledger.state.seq
    answers = attack(harness.url, asked)
    for (method, path), foreign, absent in zip(places, answers[::2], answers[1::2], strict=True):
        assert foreign.status == 404, (method, path, foreign.body)
        assert alike(foreign, absent), (method, path, foreign.body, absent.body)
    assert harness.service.ledger.state.seq == before


def test_a_doubt_a_replacement_and_a_quarantine_of_others_are_answered_as_if_there_were_none(
    harness: WebHarness, known: dict[str, str]
) -> None:
    stranger = bearer(harness, STRANGER)
    doubt = {"key": "91340100MA2MRY1T4G", "fields": ["name"], "words": "w"}
    foreign = [
        posted("/v1/corrections", {**doubt, "grant": known["grant"]}, stranger),
        request("GET", f"/v1/quarantine/{MARKET}/0/0", stranger),
        request("GET", f"/v1/corrections?grant={known['grant']}", stranger),
        posted("/v1/demands", {**ASKED, "replaces": known["demand"]}, stranger),
    ]
    absent = [
        posted("/v1/corrections", {**doubt, "grant": "g-777777"}, stranger),
        request("GET", "/v1/quarantine/nobody/0/0", stranger),
        request("GET", "/v1/corrections?grant=g-777777", stranger),
        posted("/v1/demands", {**ASKED, "replaces": "d-777777"}, stranger),
    ]
    answers = attack(harness.url, [*foreign, *absent])
    for one, other in zip(answers[:4], answers[4:], strict=True):
        assert alike(one, other), (one.body, other.body)


@pytest.mark.parametrize("token", ["", "operator"])
def test_no_spelling_of_a_path_reaches_what_the_role_may_not(harness: WebHarness, token: str) -> None:
    who = bearer(harness, STRANGER) if token else "X-Nothing: x"
    targets = [
        "//v1/tokens", "/v1//tokens", "/v1/tokens/", "/v1/tokens.", "/V1/tokens", "/v1/Tokens", "/v1/%74okens",
        "/v1/./tokens", "/v1/demands/../tokens", "/v1/demands/%2e%2e/tokens", "/v1/demands/..%2ftokens",
        "/console/../v1/tokens", "/console/%2e%2e/v1/tokens", "/v1/tokens%00", "/v1/tokens%20", "/v1/tokens;x",
        "/v1/tokens?", "/subjects/../v1/tokens", "/subjects/%2e%2e/v1/tokens", "http://127.0.0.1/v1/tokens", "*",
        "/v1/tokens#x", "/%76%31/tokens", "/v1\\tokens",
    ]  # fmt: skip
    for target, answer in zip(targets, attack(harness.url, [request("GET", one, who) for one in targets]), strict=True):
        assert answer.status in (303, 400, 401, 403, 404, 405), (target, answer.status)
        assert '"items"' not in answer.body, target


def test_no_header_changes_the_method_the_path_or_the_caller(harness: WebHarness, known: dict[str, str]) -> None:
    stranger = bearer(harness, STRANGER)
    before = harness.service.ledger.state.seq
    tricks = [
        "X-HTTP-Method-Override: POST", "X-Method-Override: POST", "X-HTTP-Method: POST", "X-Original-URL: /v1/tokens",
        "X-Rewrite-URL: /v1/tokens", "X-Forwarded-User: operator", "X-Remote-User: operator", "Exchange-Forwarded: 1",
        f"Cookie: {LOCAL_COOKIE}={OPERATOR_TOKEN}; Authorization=Bearer {OPERATOR_TOKEN}",
        f"X-Authorization: Bearer {OPERATOR_TOKEN}", f"Proxy-Authorization: Bearer {OPERATOR_TOKEN}",
    ]  # fmt: skip
    targets = ("/v1/tokens", f"/v1/departments/{TAX}/rotate-secret", f"/v1/tokens?access_token={OPERATOR_TOKEN}")
    asked = [request(method, target, stranger, trick) for trick in tricks for target in targets
             for method in ("GET", "POST")]  # fmt: skip
    for answer in attack(harness.url, asked):
        assert answer.status in (403, 405, 422), answer.body
        assert '"items"' not in answer.body
    assert harness.service.ledger.state.seq == before


def test_two_authorization_headers_are_refused_in_any_order_and_spelling(harness: WebHarness) -> None:
    mine, first = bearer(harness, STRANGER), f"AUTHORIZATION: Bearer {OPERATOR_TOKEN}"
    asked = [request("GET", "/v1/tokens", *both) for both in ((mine, first), (first, mine), (first, first))]
    asked.append(request("GET", "/v1/tokens", f"Authorization: Bearer x, Bearer {OPERATOR_TOKEN}"))
    asked.append(request("GET", "/v1/tokens", "Authorization: Bearer x\r\n Bearer", first))
    assert [answer.status for answer in attack(harness.url, asked)][:4] == [401] * 4


def test_bytes_of_any_kind_in_credentials_are_wrong_credentials(harness: WebHarness) -> None:
    shown = [b"\xff\xfe:\xff", b"taxation:\x00", b":", b"a:b:c:d", b"\x00", "税务:令牌".encode(), b"x" * 9000]
    asked = [
        request("GET", target, f"Authorization: {scheme} {base64.b64encode(one).decode()}")
        for one in shown
        for scheme in ("Basic", "basic", "BASIC", "Bearer")
        for target in ("/subjects", "/v1/demands")
    ]
    asked += [request("GET", "/v1/demands", f"Authorization: Bearer {one}") for one in ("\xff\xfe", "a b", "a\tb", "")]
    asked += [
        request("GET", "/subjects", f"Authorization: {one}") for one in ("Basic", "Basic =", "Basic é", "Negotiate x")
    ]
    for answer in attack(harness.url, asked):
        assert answer.status in (400, 401, 413, 431), (answer.status, answer.body)


def test_cookies_of_any_size_and_form_are_no_session(harness: WebHarness) -> None:
    values = ["A" * 43, "A" * 60_000, "../" * 20, "%00", '"quoted"', "a; a; a", "\xff" * 43, "=" * 43, ""]
    asked = [
        request("GET", "/console/", f"Cookie: {name}={value}") for value in values for name in (LOCAL_COOKIE, COOKIE)
    ]
    asked += [request("GET", "/console/", *[f"Cookie: {LOCAL_COOKIE}={'A' * 43}"] * 50)]
    for answer in attack(harness.url, asked):
        assert answer.status in (0, 303, 400, 413, 431), answer.status
        assert answer.status != 303 or answer.headers["location"][0].startswith("/console/sign-in")


def test_a_page_of_another_site_signs_nobody_in_and_gives_no_command(harness: WebHarness) -> None:
    before = harness.service.ledger.state.seq
    evil = ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
    form = ("Content-Type: application/x-www-form-urlencoded",)
    body = f"token={harness.tokens[TAX]}&next=/console/".encode()
    port = harness.url.rsplit(":", 1)[1]
    signing = [request("POST", "/console/sign-in", *form, *mark, body=body, host=f"127.0.0.1:{port}") for mark in (
        evil, evil[:1], evil[1:], ("Origin: null",), (f"Origin: {harness.url}", "Origin: https://evil.example"),
        (f"Origin: {harness.url}.evil.example",), (f"Origin: http://user@127.0.0.1:{port}",), ("Origin: ",),
        ("Sec-Fetch-Site: same-site",), (),
    )]  # fmt: skip
    for answer in attack(harness.url, signing):
        assert answer.status == 403 and "set-cookie" not in answer.headers, answer.body
    operator = f"Authorization: Bearer {OPERATOR_TOKEN}"
    commands = [posted(f"/v1/departments/{TAX}/rotate-secret", {}, operator, mark) for mark in evil]
    assert [answer.code for answer in attack(harness.url, commands)] == ["E_FORM"] * 2
    assert harness.service.ledger.state.seq == before


def test_no_preflight_lets_another_site_in_and_no_method_reads_without_a_token(
    harness: WebHarness, known: dict[str, str]
) -> None:
    ask = ("Origin: https://evil.example", "Access-Control-Request-Method: POST",
           "Access-Control-Request-Headers: authorization")  # fmt: skip
    paths = ["/v1/demands", f"/v1/grants/{known['grant']}", "/subjects", "/console/", "/openapi.json"]
    asked = [request("OPTIONS", path, *ask) for path in paths]
    asked += [
        request(method, path) for path in paths[:3] for method in ("HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY")
    ]
    for answer in attack(harness.url, asked):
        assert answer.status in (303, 400, 401, 403, 405), answer.status
        assert not any(name.startswith("access-control-") for name in answer.headers)
        assert known["grant"] not in answer.body


def test_no_validator_tells_whether_something_of_others_exists(harness: WebHarness, known: dict[str, str]) -> None:
    stranger = bearer(harness, STRANGER)
    asked = [
        request(method, f"/v1/grants/{grant}", stranger, condition)
        for condition in ("If-None-Match: *", 'If-Match: "x"', "If-Modified-Since: Wed, 25 Nov 2099 00:00:00 GMT",
                          "Range: bytes=0-0")
        for grant in (known["grant"], "g-777777")
        for method in ("GET", "HEAD")
    ]  # fmt: skip
    for answer in attack(harness.url, asked):
        assert answer.status == 404 and "etag" not in answer.headers and "last-modified" not in answer.headers
    assert len({answer.headers["content-length"][0] for answer in attack(harness.url, asked)}) == 1


@pytest.mark.parametrize(
    "going",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/console/..//evil.example", "/console/%2e%2e//x",
     "/console/../v1/x", "/console/%2E%2E/v1/x", "/console/%5cevil", "javascript:alert(1)",
     "/console/\r\nSet-Cookie: a=b", "\t/console/", "/console/@evil.example\\", "/consolex", "data:text/html,x"],
)  # fmt: skip
def test_a_sign_in_leads_nowhere_else(harness: WebHarness, going: str) -> None:
    body = urlencode({"token": harness.tokens[TAX], "next": going}).encode()
    port = harness.url.rsplit(":", 1)[1]
    signing = request("POST", "/console/sign-in", "Content-Type: application/x-www-form-urlencoded",
                      f"Origin: {harness.url}", body=body, host=f"127.0.0.1:{port}")  # fmt: skip
    (answer,) = attack(harness.url, [signing])
    assert answer.status == 303
    assert answer.headers["location"] == ["/console/?signed=1"]
    assert len(answer.headers["set-cookie"]) == 1
