"""Pages that people get: no fault of accessibility that axe can find, and they fit on a phone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exchange.broker.rate.report import report
from exchange.web.app import create_app
from exchange.web.report.page import page as report_page
from tests.harness.worked_year.lives import Lives
from tests.harness.worked_year.year import WorkedYear

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
LEVEL = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def made(folder: Path) -> dict[str, str]:
    """Every page that is one file, by name: the report of a year, of a year not over, of nothing."""
    with WorkedYear(2026, 3, folder, create_app) as world:
        Lives(world).all(100)
        world.run()
        events, now = world.service.ledger.events, world.clock.moment
    return {
        "report": report_page(report(events, 2026, now)),
        "report of a part": report_page(report(events, 2026, now - timedelta(days=180))),
        "report of nothing": report_page(report([], 2026, now)),
    }


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with ThreadPoolExecutor(1) as beside:  # the browser's own loop runs in this thread
        return beside.submit(made, tmp_path_factory.mktemp("year")).result()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def tab(browser: "Browser", request: pytest.FixtureRequest) -> "Iterator[Page]":
    context = browser.new_context(viewport=request.param, bypass_csp=True)  # axe is a script, the pages allow none
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", ["report", "report of a part", "report of nothing"])
def test_axe_finds_no_fault(pages: dict[str, str], tab: "Page", name: str) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - the extra `browser`

    tab.set_content(pages[name])
    found = Axe().run(tab, options=LEVEL)
    assert found.violations_count == 0, found.generate_report()


def test_nothing_is_wider_than_a_phone(pages: dict[str, str], browser: "Browser") -> None:
    context = browser.new_context(viewport=PHONE)
    tab = context.new_page()
    tab.set_content(pages["report"])
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()
