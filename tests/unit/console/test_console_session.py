"""The way into the console: what a cookie holds and for how long, and that no other site can use it."""

import base64
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from exchange.web.console.session import COOKIE, LASTS, LOCAL_COOKIE, MOST_OF_ONE, Session, Sessions, own_path
from tests.harness.memory.console import Outline, browser
from tests.harness.memory.ledger import START
from tests.harness.memory.web import OPERATOR_TOKEN, PATIENCE_SECONDS, WebHarness, web_harness

TAX = "taxation"
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("session"), bad_tokens_per_minute=1000) as harness:
        harness.as_(TAX)
        yield harness


@pytest.fixture
def http(harness: WebHarness) -> Iterator[httpx.Client]:
    """A browser that follows no redirection and keeps no cookie by itself."""
    with httpx.Client(
        base_url=harness.url, trust_env=False, headers={"Origin": harness.url}, timeout=PATIENCE_SECONDS
    ) as found:
        yield found


def signed_in(http: httpx.Client, token: str, **headers: str) -> httpx.Response:
    return http.post("/console/sign-in", data={"token": token, "next": "/console/"}, headers=headers)


def test_without_a_sign_in_there_is_nothing_but_the_sign_in_page(http: httpx.Client) -> None:
    for path in (
        "",
        "demands",
        "demands/d-1",
        "grants/g-1",
        "books",
        "report/2026.html",
        "catalogue/102001/0001",
        "no",
    ):
        answer = http.get(f"/console/{path}")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/console/sign-in?"), path
        assert not answer.content
    for path in ("demands/d-1/withdraw", "grants/g-1/revoke", "catalogue/102001/0001/submit", "sign-out"):
        assert http.post(f"/console/{path}").headers["location"] == "/console/sign-in"
    assert http.get("/console").headers["location"].endswith("/console/")


def test_cookie_is_out_of_reach_of_scripts_and_of_other_sites(harness: WebHarness, http: httpx.Client) -> None:
    cookie = signed_in(http, harness.tokens[TAX]).headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={int(LASTS.total_seconds())}"} <= parts
    assert "secure" not in parts and cookie.startswith(f"{LOCAL_COOKIE}="), "on this machine"
    there = signed_in(http, harness.tokens[TAX], host="exchange.example", origin="https://exchange.example")
    parts = {part.strip().lower() for part in there.headers["set-cookie"].split(";")[1:]}
    assert there.headers["set-cookie"].startswith(f"{COOKIE}=")
    assert {"secure", "path=/", "httponly", "samesite=strict"} <= parts
    assert not any(part.startswith("domain") for part in parts), "else the prefix __Host- is no promise"


def test_cookie_is_a_random_name_and_says_nothing(harness: WebHarness, http: httpx.Client) -> None:
    names = []
    for _ in range(2):
        http.cookies.clear()
        signed_in(http, harness.tokens[TAX])
        names.append(http.cookies[LOCAL_COOKIE])
    assert names[0] != names[1]
    for name in names:
        plain = base64.urlsafe_b64decode(name + "=")
        assert len(plain) == 32
        assert harness.tokens[TAX] not in name and harness.tokens[TAX].encode() not in plain
        for shown in (name, f"{TAX}:{name}"):
            assert harness.http.get("/v1/demands", headers={"Authorization": f"Bearer {shown}"}).status_code == 401
    assert harness.http.get("/v1/demands", headers={"Cookie": f"{LOCAL_COOKIE}={names[0]}"}).status_code == 401


def test_what_was_signed_out_is_ended_in_the_service(harness: WebHarness, http: httpx.Client) -> None:
    with browser(harness, TAX) as person:
        stolen = person.http.cookies[LOCAL_COOKIE]
        http.cookies.set(LOCAL_COOKIE, stolen)
        assert http.get("/console/").status_code == 200
        person.send(person.form("/console/", "sign-out"))
        assert http.get("/console/").headers["location"].startswith("/console/sign-in?why=ended")


def test_no_name_that_a_browser_brings_becomes_a_session(harness: WebHarness, http: httpx.Client) -> None:
    planted = "A" * 43
    http.cookies.set(LOCAL_COOKIE, planted)
    answer = signed_in(http, harness.tokens[TAX])
    assert planted not in answer.headers["set-cookie"]
    http.cookies.clear()
    http.cookies.set(LOCAL_COOKIE, planted)
    assert http.get("/console/").status_code == 303


def test_who_signs_in_again_has_one_session_and_not_two(harness: WebHarness, http: httpx.Client) -> None:
    signed_in(http, harness.tokens[TAX])
    before = http.cookies[LOCAL_COOKIE]
    signed_in(http, harness.tokens[TAX])
    http.cookies.clear()
    http.cookies.set(LOCAL_COOKIE, before)
    assert http.get("/console/").status_code == 303


def test_a_cookie_of_this_machine_is_none_over_tls_and_the_other_way_round(
    harness: WebHarness, http: httpx.Client
) -> None:
    signed_in(http, harness.tokens[TAX])
    name = http.cookies[LOCAL_COOKIE]
    http.cookies.clear()
    there = {"host": "exchange.example"}
    assert http.get("/console/", headers={**there, "cookie": f"{LOCAL_COOKIE}={name}"}).status_code == 303
    assert http.get("/console/", headers={**there, "cookie": f"{COOKIE}={name}"}).status_code == 200
    assert http.get("/console/", headers={"cookie": f"{COOKIE}={name}"}).status_code == 303


def test_one_token_has_so_many_sessions_and_ends_nobody_elses() -> None:
    sessions, now = Sessions(), START
    other = sessions.begin("x", "t-2", now)
    mine = [sessions.begin("y", "t-1", now) for _ in range(MOST_OF_ONE + 3)]

    def found(session: Session) -> bool:
        scope = {"type": "http", "scheme": "https", "path": "/console/", "query_string": b"", "server": ("x", 443),
                 "headers": [(b"cookie", f"{COOKIE}={session.name}".encode())]}  # fmt: skip
        return sessions.of(Request(scope), now) is not None

    assert [found(one) for one in mine] == [False] * 3 + [True] * MOST_OF_ONE
    assert found(other)


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", "x"]
)
def test_a_form_that_no_page_of_ours_has_sent_is_refused(harness: WebHarness, origin: str | None) -> None:
    with browser(harness, TAX) as person:
        form = person.form("/console/", "sign-out")
        del person.http.headers["origin"]
        if origin is not None:
            person.http.headers["origin"] = origin
        refused = person.send(form)
        assert refused.status_code == 403 and "E_FORM" in refused.text
        assert person.sign_in(harness.tokens[TAX]).status_code == 403, "nor is anybody signed in by it"
        assert person.get("/console/").status_code == 200, "and it is not signed out"


def test_a_form_of_a_page_that_tells_no_address_counts_when_the_browser_vouches_for_it(harness: WebHarness) -> None:
    with browser(harness, TAX) as person:
        form = person.form("/console/", "sign-out")
        person.http.headers.update({"origin": "null", "sec-fetch-site": "same-origin"})
        assert person.send(form).url.path == "/console/sign-in"


def test_wrong_token_is_told_on_the_page_and_counted(tmp_path: Path) -> None:
    with web_harness(tmp_path, bad_tokens_per_minute=3) as harness, browser(harness, lang="zh") as person:
        for token in ("wrong", "", "x" * 5000):
            answer = person.sign_in(token)
            assert answer.status_code in (401, 429)
            assert "E_TOKEN" in answer.text and "令牌无效" in answer.text
            assert LOCAL_COOKIE not in person.http.cookies
        person.sign_in("wrong again")
        assert person.sign_in("wrong").status_code == 429
        assert person.sign_in(OPERATOR_TOKEN).status_code == 200, "a good token from there stays good"


def test_a_session_ends_after_some_hours(tmp_path: Path) -> None:
    with web_harness(tmp_path) as harness, browser(harness, "operator") as person:
        assert person.get("/console/").url.path == "/console/"
        clock = harness.service.ledger.clock
        clock.moment = clock.now() + LASTS + timedelta(seconds=1)
        ended = person.get("/console/demands")
        assert ended.url.path == "/console/sign-in"
        assert "has ended" in ended.text and COOKIE not in person.http.cookies
        assert 'value="/console/demands"' in ended.text


def test_a_session_ends_with_its_token(harness: WebHarness) -> None:
    issued = harness.post("operator", "/v1/tokens", {"role": "auditor"}).json()
    with browser(harness) as person:
        assert person.sign_in(issued["token"]).url.path == "/console/"
        harness.post("operator", f"/v1/tokens/{issued['id']}/revoke").raise_for_status()
        assert person.get("/console/").url.path == "/console/sign-in"
        assert LOCAL_COOKIE not in person.http.cookies


def test_a_cookie_that_is_none_of_ours_is_no_session(http: httpx.Client) -> None:
    for value in (
        "",
        "x",
        "1.2",
        "99999999999.n.!!",
        "99999999999.n.",
        "9.9.9",
        "99999999999.n.w4Q=",
        "²²²²²²²²²²²².n.eA==",
    ):
        http.cookies.clear()
        headers = {"cookie": f"{LOCAL_COOKIE}={value}".encode()}
        assert http.get("/console/", headers=headers).status_code == 303  # type: ignore[arg-type]


def test_signing_out_ends_it_in_this_browser(harness: WebHarness) -> None:
    with browser(harness, TAX) as person:
        form = person.form("/console/", "sign-out")
        assert person.send({**form, "proof": "x"}).status_code == 403
        assert person.send(form).url.path == "/console/sign-in"
        assert LOCAL_COOKIE not in person.http.cookies


def test_after_signing_in_one_is_where_one_wanted_to_be(harness: WebHarness) -> None:
    with browser(harness) as person:
        asked = person.get("/console/demands", state="refused")
        (form,) = [one for one in Outline(asked.text).forms if one[""] == "/console/sign-in"]
        there = person.send(form, token=harness.tokens[TAX])
        assert there.url.path == "/console/demands" and "state=refused" in str(there.url)


@pytest.mark.parametrize(
    "going",
    [
        "https://example.org/",
        "//example.org",
        "/console/..//x",
        "/v1/demands",
        "javascript:x",
        "/console/\\x",
        "/console/\nx",
        "",
    ],
)
def test_signing_in_leads_to_the_console_alone(harness: WebHarness, http: httpx.Client, going: str) -> None:
    assert own_path(going) == "/console/"
    answer = http.post("/console/sign-in", data={"token": harness.tokens[TAX], "next": going})
    assert answer.headers["location"] == "/console/?signed=1"


def test_a_browser_that_keeps_no_cookie_is_told_so(harness: WebHarness) -> None:
    with browser(harness, lang="en") as person:
        asked = person.get("/console/?signed=1")
        assert "did not keep the sign-in" in asked.text


def test_form_of_another_session_or_site_is_refused(harness: WebHarness) -> None:
    demand = {
        "resource": "102001/0001",
        "fields": ["credit_code"],
        "legal_basis": "x",
        "scenario": "x",
        "use_scope": "x",
    }
    made = harness.post(TAX, "/v1/demands", {**demand, "mode": "batch-exchange"}).raise_for_status().json()["demand"]
    address = f"/console/demands/{made}/withdraw"
    with browser(harness, TAX) as person, browser(harness, TAX) as other, browser(harness, "supervisor") as stranger:
        forms = {
            who: one.form(f"/console/demands/{made}", "withdraw" if who < 2 else "sign-out")
            for who, one in enumerate((person, other, stranger))
        }
        for proof in ("", "x", forms[1]["proof"], forms[2]["proof"]):
            refused = person.send({"": address, "proof": proof, "key": "k"}, reason="x")
            assert refused.status_code == 403 and "E_FORM" in refused.text
        for site in ("cross-site", "same-site"):
            person.http.headers["sec-fetch-site"] = site
            assert person.send(forms[0], reason="x").status_code == 403
            assert person.sign_in(harness.tokens[TAX]).status_code == 403
        assert harness.get(TAX, f"/v1/demands/{made}").json()["state"] != "withdrawn"
        person.http.headers["sec-fetch-site"] = "same-origin"
        assert person.send(forms[0], reason="x").status_code == 200
        assert harness.get(TAX, f"/v1/demands/{made}").json()["state"] == "withdrawn"


def test_a_link_from_another_site_asks_again_with_the_cookie(harness: WebHarness, http: httpx.Client) -> None:
    linked = http.get("/console/demands?state=refused", headers={"sec-fetch-site": "cross-site"})
    assert linked.status_code == 200
    assert "0; url=/console/demands?state=refused" in Outline(linked.text).values("content")
    odd = http.get("/console/%22%3E%3Cscript%3E", headers={"sec-fetch-site": "cross-site"})
    assert "<script" not in odd.text and "0; url=/console/%22%3E%3Cscript%3E" in Outline(odd.text).values("content")
    wild = http.get("/console/demands?state=';x", headers={"sec-fetch-site": "cross-site"})
    assert "0; url=/console/" in Outline(wild.text).values("content")
    same = http.get("/console/demands", headers={"sec-fetch-site": "same-origin"})
    assert same.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fdemands"


def test_headers_keep_scripts_frames_and_caches_out(harness: WebHarness) -> None:
    with browser(harness, "auditor") as person:
        pages = ["/console/", "/console/demands", "/console/nothing", "/console/report/2026.html", "/console/sign-in"]
        for path in pages:
            headers = person.get(path).headers
            policy = headers["content-security-policy"]
            if "report" in path:
                policy = re.sub(r"'sha256-[\w+/=]+'", "'self'", policy)
            assert policy == POLICY, path
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["cache-control"] == "no-store"
        style = person.get("/console/style.css")
        assert style.headers["content-type"].startswith("text/css")
        assert "url(" not in style.text and "@import" not in style.text


def test_no_page_holds_the_token(harness: WebHarness) -> None:
    with browser(harness, TAX) as person:
        for path in ("/console/", "/console/demands", "/console/grants", "/console/catalogue/102001/0001"):
            assert harness.tokens[TAX] not in person.get(path).text
