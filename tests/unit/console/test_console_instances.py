"""The console with several instances: a session lives at the leader, whichever instance a browser comes to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange.broker.leader import AnnounceLeader
from exchange.web.console.session import LOCAL_COOKIE
from exchange.web.forwarding import HOP
from tests.harness.memory.console import browser
from tests.harness.memory.ledger import FollowingLedger
from tests.harness.memory.service import MemoryService
from tests.harness.memory.web import PATIENCE_SECONDS, WebHarness, web_harness

TAX = "taxation"
ALONE: dict[str, Any] = {"trust_env": False, "timeout": PATIENCE_SECONDS}


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[WebHarness]:
    with web_harness(tmp_path) as harness:
        harness.service.ledger.execute(AnnounceLeader("one", harness.url))
        harness.as_(TAX)
        yield harness


@pytest.fixture
def follower(leader: WebHarness, tmp_path: Path) -> Iterator[WebHarness]:
    with web_harness(tmp_path, MemoryService(FollowingLedger(leader.service.ledger))) as harness:
        harness.tokens = leader.tokens
        yield harness


def test_who_signs_in_at_one_instance_is_signed_in_at_every_one(leader: WebHarness, follower: WebHarness) -> None:
    with browser(follower, TAX) as person:
        assert person.get("/console/demands").status_code == 200
        there = httpx.get(
            f"{leader.url}/console/demands",
            cookies=dict(person.http.cookies),
            trust_env=False,
            timeout=PATIENCE_SECONDS,
        )
        assert there.status_code == 200


def test_two_people_at_one_follower_are_two_and_a_third_is_nobody(leader: WebHarness, follower: WebHarness) -> None:
    leader.as_("auditor")
    with browser(follower, TAX) as person, browser(follower, "auditor") as other, browser(follower) as nobody:
        mine, theirs = person.page("/console/").values("href"), other.page("/console/").values("href")
        assert "/console/quarantine" in mine and "/console/books" not in mine
        assert "/console/books" in theirs and "/console/quarantine" not in theirs
        assert nobody.get("/console/").url.path == "/console/sign-in"


def test_a_sign_out_at_one_instance_ends_the_session_at_every_one(leader: WebHarness, follower: WebHarness) -> None:
    with browser(follower, TAX) as person:
        stolen = person.http.cookies[LOCAL_COOKIE]
        person.send(person.form("/console/", "sign-out"))
        for url in (leader.url, follower.url):
            answer = httpx.get(f"{url}/console/", cookies={LOCAL_COOKIE: stolen}, **ALONE)
            assert answer.headers["location"].startswith("/console/sign-in?why=ended")


def test_when_another_instance_leads_one_signs_in_once_more_and_is_where_one_was(
    leader: WebHarness, follower: WebHarness, tmp_path: Path
) -> None:
    with browser(follower, TAX) as person, web_harness(tmp_path, leader.service) as successor:
        leader.service.ledger.execute(AnnounceLeader("two", successor.url))
        asked = person.get("/console/demands", state="refused")
        assert asked.url.path == "/console/sign-in" and "has ended" in asked.text
        assert LOCAL_COOKIE not in person.http.cookies
        there = person.sign_in(leader.tokens[TAX], "/console/demands?state=refused")
        assert there.status_code == 200 and there.url.path == "/console/demands"


def test_a_form_at_a_follower_is_held_to_the_same_origin_by_the_leader(follower: WebHarness) -> None:
    with browser(follower, TAX) as person:
        form = person.form("/console/", "sign-out")
        for header, value in (("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")):
            answer = person.http.post(form[""], data={"proof": form["proof"]}, headers={header: value})
            assert answer.status_code == 403 and "E_FORM" in answer.text


def test_without_a_leader_the_console_says_so_in_the_readers_language_and_the_style_is_there(
    leader: WebHarness, follower: WebHarness
) -> None:
    for url in ("http://127.0.0.1:9", follower.url):
        leader.service.ledger.execute(AnnounceLeader("three", url))
        with browser(follower, lang="zh") as person:
            for path in ("/console/", "/console/demands", "/console/nothing", "/console/sign-in"):
                answer = person.get(path)
                assert answer.status_code == 503 and "E_NOT_LEADER" in answer.text, path
                assert 'lang="zh' in answer.text and int(answer.headers["retry-after"]) > 0
                assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
            assert person.get("/console/style.css").status_code == 200


def test_what_comes_from_the_leader_comes_whole_and_once(leader: WebHarness, follower: WebHarness) -> None:
    mark = {"Origin": follower.url}
    asked = {"token": leader.tokens[TAX], "next": "/console/demands?state=refused"}
    answer = httpx.post(f"{follower.url}/console/sign-in", data=asked, headers=mark, **ALONE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/demands?state=refused&signed=1"
    assert len(answer.headers.get_list("set-cookie")) == 1
    for name in ("content-security-policy", "content-length", "date", "cache-control", "x-frame-options"):
        assert len(answer.headers.get_list(name)) == 1, name
    assert HOP not in answer.headers and "exchange-ledger-seq" not in answer.headers


def test_an_address_of_any_bytes_at_a_follower_is_no_fault(leader: WebHarness, follower: WebHarness) -> None:
    for path in ("/console/%ff%00", "/console/%2e%2e/v1/tokens", "/console//x", "/console/%F0%9F%98%80?a=%ff"):
        for url in (leader.url, follower.url):
            answer = httpx.get(url + path, **ALONE)
            assert answer.status_code in (303, 400, 404), (path, answer.status_code)
