"""Signing in and out in a real browser: what it keeps of that, and what a page of another site can do with it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from starlette.responses import HTMLResponse

from exchange.web.console.session import LOCAL_COOKIE
from tests.harness.memory.service import serving
from tests.harness.memory.web import WebHarness, web_harness

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
TAX = "taxation"


@pytest.fixture
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with ExitStack() as stack, ThreadPoolExecutor(1) as beside:  # the browser's own loop runs in this thread

        def made() -> WebHarness:
            found = stack.enter_context(web_harness(tmp_path_factory.mktemp("signing")))
            found.as_(TAX)
            return found

        yield beside.submit(made).result()


def sign_in(tab: "Page", harness: WebHarness) -> None:
    tab.goto(f"{harness.url}/console/sign-in")
    tab.locator("input[name=token]").fill(harness.tokens[TAX])
    tab.keyboard.press("Enter")
    tab.locator("nav").first.wait_for()


def test_a_browser_signs_in_keeps_no_token_and_signs_out(harness: WebHarness, browser: "Browser") -> None:
    context = browser.new_context()
    tab = context.new_page()
    sign_in(tab, harness)
    (cookie,) = [one for one in context.cookies() if one["name"] == LOCAL_COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert harness.tokens[TAX] not in str(context.cookies())
    tab.locator("form[action='/console/sign-out'] button").click()
    tab.locator("input[name=token]").wait_for()
    assert not [one for one in context.cookies() if one["name"] == LOCAL_COOKIE]
    context.close()


def test_a_page_of_another_site_can_neither_sign_out_nor_sign_in_nor_frame(
    harness: WebHarness, browser: "Browser"
) -> None:
    evil = FastAPI()
    hidden = f"<input name=token value='{harness.tokens[TAX]}'><input name=proof value=x><button>go</button></form>"

    @evil.get("/{step}")
    def page(step: str) -> HTMLResponse:
        form = f"<form method=post action='{harness.url}/console/{step}'>{hidden}"
        return HTMLResponse(f"{form}<iframe src='{harness.url}/console/sign-in'></iframe>")

    with ThreadPoolExecutor(1) as beside, ExitStack() as stack:
        there = beside.submit(lambda: stack.enter_context(serving(evil))).result().replace("127.0.0.1", "localhost")
        context = browser.new_context()
        for step, signed in (("sign-in", False), ("sign-out", True)):
            tab = context.new_page()
            if signed:
                sign_in(tab, harness)
            tab.goto(f"{there}/{step}")
            assert all('name="token"' not in frame.content() for frame in tab.frames[1:]), (
                "no frame shows a page of ours"
            )
            with tab.expect_navigation() as going:
                tab.locator("button").click()
            assert going.value is not None
            assert bool([one for one in context.cookies() if one["name"] == LOCAL_COOKIE]) is signed
            if signed:
                tab.goto(f"{harness.url}/console/demands")
                tab.locator("nav").first.wait_for()
        context.close()


def test_no_policy_of_ours_is_broken_by_our_own_pages(harness: WebHarness, browser: "Browser") -> None:
    context = browser.new_context()
    tab = context.new_page()
    said: list[str] = []
    asked: set[str] = set()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("request", lambda request: asked.add(request.url))
    sign_in(tab, harness)
    for path in ("/console/", "/console/demands", "/console/catalogue/102001/0001", "/docs"):
        tab.goto(harness.url + path)
    assert [text for text in said if "Policy" in text or "Refused" in text] == []
    assert all(url.startswith(harness.url) for url in asked)
    context.close()
