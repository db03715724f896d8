"""Every answer keeps scripts, frames, other sites and caches out: the API, its pages, faults, what is not there."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import structlog

from exchange.broker.evidence.books import Account
from exchange.web.guard.rights import RIGHTS
from tests.harness.memory.web import WebHarness, web_harness

KEPT_OUT = ("x-content-type-options", "referrer-policy", "x-frame-options", "cache-control", "permissions-policy")


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("guarded")) as harness:
        yield harness


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/demands"), ("HEAD", "/v1/demands"), ("GET", "/v1/nothing"), ("PATCH", "/v1/demands"),
        ("OPTIONS", "/v1/demands"), ("POST", "/v1/demands"), ("GET", "/subjects"), ("GET", "/schemas/ids/7777777"),
        ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/healthz"), ("GET", "/readyz"),
        ("GET", "/metrics"), ("GET", "/"), ("GET", "/console"), ("GET", "/console/"), ("GET", "/console/sign-in"),
        ("GET", "/console/style.css"), ("GET", "/console/nothing"), ("POST", "/console/sign-in"),
        ("TRACE", "/v1/demands"), ("GET", "/v1/report?year=2026&form=html"),
    ],
)  # fmt: skip
def test_every_answer_has_a_strict_policy(harness: WebHarness, method: str, path: str) -> None:
    for headers in ({}, harness.as_("operator")):
        answer = harness.http.request(method, path, headers=headers)
        policy = answer.headers["content-security-policy"]
        parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert (parts["default-src"], parts["frame-ancestors"], parts["base-uri"]) == ("'none'",) * 3, policy
        assert "script-src" not in parts and "unsafe" not in policy and "*" not in policy and "http" not in policy
        assert all(name in answer.headers for name in KEPT_OUT)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
        assert not any(name.startswith("access-control-") for name in answer.headers)


def test_an_answer_to_a_fault_has_them_too(harness: WebHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[Account]:
        raise RuntimeError

    monkeypatch.setattr(harness.service, "books", fail)
    with structlog.testing.capture_logs():
        answer = httpx.get(f"{harness.url}/v1/books", headers=harness.as_("operator"), trust_env=False, timeout=60)
    assert answer.status_code == 500
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert all(name in answer.headers for name in KEPT_OUT)


class _Addresses(HTMLParser):
    """What a page loads, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        assert not any(name.startswith("on") for name, _ in attrs)


def test_the_page_of_the_api_loads_nothing_from_anywhere(harness: WebHarness) -> None:
    page = _Addresses(harness.http.get("/docs").text)
    assert not page.tags & {"script", "iframe", "object", "embed", "link", "img", "form"}
    assert all(not urlsplit(one).netloc for one in page.addresses)
    assert harness.http.get("/redoc").status_code == 404
    assert harness.http.get("/docs/oauth2-redirect").status_code == 404


def test_the_page_of_the_api_shows_every_path_with_who_may_use_it(harness: WebHarness) -> None:
    text = harness.http.get("/docs").text
    for path, item in harness.http.get("/openapi.json").json()["paths"].items():
        for method in item:
            assert f"<code>{method.upper()} {path}" in text, path
    row = next(part for part in text.split("<tr>") if "<code>POST /v1/grants/{grant}/recover<" in part)
    assert RIGHTS[("POST", "/v1/grants/{grant}/recover")].who == {"operator"} and "<td>operator</td>" in row
    assert "anyone, without a token" in next(part for part in text.split("<tr>") if "<code>GET /healthz<" in part)


def test_the_style_of_a_page_that_brings_its_own_is_the_only_one_it_may_use(harness: WebHarness) -> None:
    for path in ("/docs", "/v1/report?year=2026&form=html"):
        policy = harness.get("operator", path.partition("?")[0], **dict(
            one.split("=") for one in path.partition("?")[2].split("&") if one
        )).headers["content-security-policy"]  # fmt: skip
        assert re.search(r"style-src 'sha256-[\w+/]+=*';", policy), policy


def test_no_template_of_any_page_names_another_site_or_a_script() -> None:
    root = Path(__file__).parents[3] / "exchange" / "web"
    pages = [file for file in root.rglob("*") if file.suffix in (".jinja", ".css")]
    assert len(pages) > 10
    for file in pages:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(src|href|action)=[\"']?(https?:)?//", text), file.name
        assert "<script" not in text and "@import" not in text and "javascript:" not in text, file.name
        assert not re.search(r"\son[a-z]+=[\"']", text), file.name
