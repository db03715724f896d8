"""The console over a worked year: every demand, grant and correction with every kind of step has its page."""

from collections.abc import Iterator

import pytest

from exchange.web.app import create_app
from tests.harness.memory.console import browser
from tests.harness.memory.web import WebHarness, web_harness
from tests.harness.worked_year.lives import Lives
from tests.harness.worked_year.year import WorkedYear

YEAR, DEMANDS, SEED = 2026, 100, 20260101


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with WorkedYear(YEAR, SEED, tmp_path_factory.mktemp("year"), create_app) as world:
        Lives(world).all(DEMANDS)
        world.run()
        plenty = {"requests_per_second": 100_000, "request_burst": 100_000}
        with web_harness(tmp_path_factory.mktemp("console"), world.service, **plenty) as found:
            yield found


@pytest.mark.parametrize(("who", "lang"), [("supervisor", "zh"), ("auditor", "en"), ("market-regulation", "zh")])
def test_whatever_happened_in_a_year_has_its_page(harness: WebHarness, who: str, lang: str) -> None:
    state = harness.service.ledger.state
    with browser(harness, who, lang) as person:
        for place, ids in (
            ("demands", list(state.demands)),
            ("grants", list(state.grants)),
            ("corrections", list(state.corrections)),
        ):
            for one in ids:
                asked = harness.get(who, f"/v1/{place}/{one}")
                shown = person.get(f"/console/{place}/{one}")
                assert shown.status_code == asked.status_code, f"{place} {one} as {who}"
        assert person.get("/console/").status_code == 200
