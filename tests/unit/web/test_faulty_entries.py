"""A ledger with an entry that an older version should not have written: every view shows it, and everything else."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from exchange.ledger.events.event import NewEvent
from tests.harness.memory.console import browser
from tests.harness.memory.service import MemoryService
from tests.harness.memory.web import WebHarness, web_harness

FAR = ("9999-12-20T00:00:00.000Z", "9999-12-31T20:00:00.000Z", "9999-12-31T23:59:59.999Z")
"""The second begins in a year 10,000 of Shanghai."""
PAGES = (
    "/",
    "/demands",
    "/demands/d-1",
    "/demands/d-2",
    "/grants",
    "/grants/g-2",
    "/corrections",
    "/report",
    "/report/2026.html",
)


def wrote(event: str, **data: Any) -> Callable[..., Sequence[NewEvent]]:
    """A command that writes an event just so, as an older version may have."""
    return lambda _state, _now: [NewEvent(event, str(data.get("demand")), data)]


@pytest.fixture(scope="module", params=FAR)
def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    service = MemoryService()
    service.apply_catalogue("operator", None)
    for number, use_from in enumerate((None, request.param), 1):
        data = {
            "demand": f"d-{number}", "request": "r-1", "demander": "taxation", "provider": "market-regulation",
            "registry": "legal-entity", "record_type": "legal-entity.registration", "resource": "102001/0001",
            "fields": ["name"], "complete": True, "use_from": use_from, "use_until": use_from, "reply_days": 10,
            "details": {"legal_basis": "a law", "scenario": "a duty", "use_scope": "all", "mode": "batch-exchange"},
        }  # fmt: skip
        service.ledger.execute(wrote("demand-submitted", **data))
        service.ledger.execute(
            wrote("demand-consented", demand=f"d-{number}", grant=f"g-{number}", fields=["name"], masked=[],
                  scope_narrowed=False, freshness_seconds=60, until=use_from)
        )  # fmt: skip
    with web_harness(tmp_path_factory.mktemp("faulty"), service) as harness:
        yield harness


@pytest.mark.parametrize("who", ["operator", "auditor", "supervisor", "taxation", "market-regulation"])
def test_lists_show_the_faulty_entry_and_the_others(harness: WebHarness, who: str) -> None:
    found = harness.get(who, "/v1/demands")
    assert found.status_code == 200
    assert {one["demand"]: one["faulty"] for one in found.json()["items"]} == {"d-1": False, "d-2": True}
    for asked in ({"overdue": "true"}, {"overdue": "false"}, {"state": "consented"}):
        assert harness.get(who, "/v1/demands", **asked).status_code == 200
    for path in ("/v1/demands/d-2", "/v1/grants", "/v1/grants/g-2", "/v1/corrections"):
        assert harness.get(who, path).status_code == 200, path


def test_the_report_and_the_rate_are_made(harness: WebHarness) -> None:
    for form in ("json", "html", "csv"):
        assert harness.get("auditor", "/v1/report", year=2026, form=form).status_code == 200
    assert harness.get("auditor", "/v1/satisfaction", year=2026, by="provider").status_code == 200
    found = harness.get("auditor", "/v1/satisfaction")
    assert (found.status_code, found.json()["counted"]) == (200, 1)
    assert harness.http.get("/metrics").status_code == 200


@pytest.mark.parametrize("who", ["operator", "supervisor", "taxation", "market-regulation"])
def test_the_pages_of_the_console_are_shown(harness: WebHarness, who: str) -> None:
    with browser(harness, who) as person:
        pages = {path: person.http.get(f"/console{path}").status_code for path in PAGES}
        assert "its clocks cannot be told" in person.http.get("/console/demands?lang=en").text
    expected = 200 if who in ("operator", "supervisor") else 403
    assert pages == {path: expected if path.startswith("/report") else 200 for path in PAGES}
