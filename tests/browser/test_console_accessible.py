"""The console in a browser: no fault of accessibility that axe can find, and no page is wider than its screen."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exchange.testing.web_ground import WebGround, web_ground
from exchange.testing.worked_lives import Lives
from exchange.testing.worked_year import WorkedYear
from exchange.web.app import create_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
LEVEL = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
YEAR, DEMANDS, SEED = 2026, 60, 4
DEPARTMENT = "market-regulation"


def _ground(stack: ExitStack, folder: Path) -> WebGround:
    with WorkedYear(YEAR, SEED, folder, create_app) as world:
        Lives(world).all(DEMANDS)
        world.run()
    plenty = {"requests_per_second": 100_000, "request_burst": 100_000}
    ground = stack.enter_context(web_ground(folder, world.service, **plenty))
    ground.as_(DEPARTMENT)
    return ground


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebGround]:
    with ExitStack() as stack, ThreadPoolExecutor(1) as beside:  # the browser's own loop runs in this thread
        yield beside.submit(_ground, stack, tmp_path_factory.mktemp("console")).result()


def pages_of(ground: WebGround) -> list[str]:
    """A page of each kind that the department may see."""
    state = ground.service.ledger.state
    grant = next(one for one in state.grants.values() if one.terms.provider == DEPARTMENT and one.activated)
    return ["", "demands", f"demands/{grant.demand}", "grants", f"grants/{grant.grant}", "corrections", "catalogue"]


def sign_in(tab: "Page", ground: WebGround) -> None:
    tab.goto(f"{ground.url}/console/sign-in")
    tab.locator("input[name=token]").fill(ground.tokens[DEPARTMENT])
    tab.keyboard.press("Enter")
    tab.locator("nav").first.wait_for()


@pytest.mark.parametrize("lang", ["zh-CN", "en-GB"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_fault_on_any_kind_of_page_and_none_is_wider_than_the_screen(
    ground: WebGround, browser: "Browser", lang: str, size: dict[str, int]
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - the extra `browser`

    context = browser.new_context(viewport=size, locale=lang, bypass_csp=True)  # axe is a script, the pages allow none
    tab = context.new_page()
    sign_in(tab, ground)
    for path in pages_of(ground):
        answer = tab.goto(f"{ground.url}/console/{path}")
        assert answer is not None and answer.status == 200, path
        found = Axe().run(tab, options=LEVEL)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"], path
    context.close()
