"""The console in a browser: no fault of accessibility that axe can find, and no page is wider than its screen."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exchange.web.app import create_app
from tests.harness.memory.web import WebHarness, web_harness
from tests.harness.worked_year.lives import Lives
from tests.harness.worked_year.year import WorkedYear

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
LEVEL = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
YEAR, DEMANDS, SEED = 2026, 60, 4
DEPARTMENT = "market-regulation"


def _harness(stack: ExitStack, folder: Path) -> WebHarness:
    with WorkedYear(YEAR, SEED, folder, create_app) as world:
        Lives(world).all(DEMANDS)
        world.run()
    plenty = {"requests_per_second": 100_000, "request_burst": 100_000}
    harness = stack.enter_context(web_harness(folder, world.service, **plenty))
    harness.as_(DEPARTMENT)
    return harness


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with ExitStack() as stack, ThreadPoolExecutor(1) as beside:  # the browser's own loop runs in this thread
        yield beside.submit(_harness, stack, tmp_path_factory.mktemp("console")).result()


def pages_of(harness: WebHarness) -> list[str]:
    """A page of each kind that the department may see."""
    state = harness.service.ledger.state
    grant = next(one for one in state.grants.values() if one.terms.provider == DEPARTMENT and one.activated)
    return ["", "demands", f"demands/{grant.demand}", "grants", f"grants/{grant.grant}", "corrections", "catalogue"]


def sign_in(tab: "Page", harness: WebHarness) -> None:
    tab.goto(f"{harness.url}/console/sign-in")
    tab.locator("input[name=token]").fill(harness.tokens[DEPARTMENT])
    tab.keyboard.press("Enter")
    tab.locator("nav").first.wait_for()


@pytest.mark.parametrize("lang", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_fault_on_any_kind_of_page_and_none_is_wider_than_the_screen(
    harness: WebHarness, browser: "Browser", lang: str, size: dict[str, int]
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - the extra `browser`

    context = browser.new_context(viewport=size, locale=lang, bypass_csp=True)  # axe is a script, the pages allow none
    tab = context.new_page()
    sign_in(tab, harness)
    for path in pages_of(harness):
        answer = tab.goto(f"{harness.url}/console/{path}")
        assert answer is not None and answer.status == 200, path
        found = Axe().run(tab, options=LEVEL)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"], path
    context.close()
