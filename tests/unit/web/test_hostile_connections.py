"""What one client does to its connections costs that client, and nobody else; the client is a process of its own."""

import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from exchange.web.server.connections import Bounds, Connections
from exchange.web.server.request import RequestBounds
from tests.harness.hostile_client import hostile
from tests.harness.memory.service import serving
from tests.harness.memory.web import WebHarness, web_harness

TAX = "taxation"
HELD = 64
SHORT = Bounds(head_seconds=1.0, drain_seconds=1.0)
ENOUGH_SECONDS = 30.0
SCOPES = map(str, count())
DEMAND: dict[str, Any] = {
    "resource": "102001/0001", "fields": ["credit_code", "name"], "legal_basis": "a law", "scenario": "a duty",
    "use_scope": "the province", "mode": "batch-exchange",
}  # fmt: skip


def demand() -> dict[str, Any]:
    """One that nobody has made before."""
    number = next(SCOPES)
    return DEMAND | {
        "scenario": f"a duty of {number}",
        "scope": [{"field": "credit_code", "operator": "prefix", "values": [number]}],
    }


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHarness]:
    with web_harness(tmp_path_factory.mktemp("hostile"), requests_per_second=10_000, request_burst=10_000) as harness:
        harness.as_(TAX)
        yield harness


def port_of(url: str) -> int:
    return httpx.URL(url).port or 80


@pytest.mark.parametrize("way", ["half-open", "slow-headers", "slow-body", "no-continue"])
def test_the_others_are_answered_while_one_holds_its_connections(harness: WebHarness, way: str) -> None:
    with hostile(port_of(harness.url), way, HELD, "/v1/demands") as client:
        with httpx.Client(base_url=harness.url, trust_env=False, timeout=ENOUGH_SECONDS) as http:
            assert http.get("/readyz").status_code == 200
            assert http.get("/healthz").status_code == 200
            answer = http.post("/v1/demands", json=demand(), headers=harness.as_(TAX))
            assert answer.status_code == 201
        assert client.left() == HELD, "all of them were still held then"


def test_who_reads_slowly_keeps_nobody_from_work(harness: WebHarness) -> None:
    authorization = harness.as_("auditor")["Authorization"]
    with hostile(port_of(harness.url), "slow-reader", HELD, "/openapi.json", authorization) as client:
        answer = harness.post(TAX, "/v1/demands", demand())
        assert answer.status_code == 201
        assert harness.http.get("/readyz").status_code == 200
        assert client.left() == HELD


@pytest.mark.parametrize("way", ["half-open", "slow-headers"])
def test_a_request_that_does_not_begin_or_end_its_headers_has_a_deadline(harness: WebHarness, way: str) -> None:
    with serving(harness.app, SHORT) as url, hostile(port_of(url), way, HELD) as client:
        assert client.until_left(0) == 0


def test_an_answer_that_nobody_takes_has_a_deadline(harness: WebHarness) -> None:
    async def large(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b" " * 50_000_000})

    with serving(large, SHORT) as url, hostile(port_of(url), "slow-reader", 4) as client:
        assert client.until_left(0) == 0


@pytest.mark.parametrize("way", ["slow-body", "no-continue"])
def test_a_body_that_does_not_come_has_a_deadline(harness: WebHarness, way: str) -> None:
    with serving(RequestBounds(harness.app, 1.0)) as url, hostile(port_of(url), way, HELD, "/v1/demands") as client:
        assert client.until_left(0) == 0


def test_who_is_told_that_the_body_was_slow_is_told_by_a_problem_document(harness: WebHarness) -> None:
    stop = threading.Event()

    def trickle() -> Iterator[bytes]:
        yield b"{"
        stop.wait(ENOUGH_SECONDS)

    with serving(RequestBounds(harness.app, 0.2)) as url, httpx.Client(trust_env=False) as http:
        request = http.build_request("POST", f"{url}/v1/demands", content=trickle(), headers=harness.as_(TAX))
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(http.send(request)))
        asking.start()
        stop.wait(1.0)
        stop.set()
        asking.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (408, "E_REQUEST_SLOW")


def test_a_thousand_half_open_connections_are_bounded_and_newcomers_come_in(harness: WebHarness) -> None:
    bounds = Bounds(head_seconds=600.0, most_waiting=100)
    with serving(harness.app, bounds) as url, hostile(port_of(url), "half-open", 1_000) as client:
        for _ in range(5):
            assert httpx.get(f"{url}/readyz", trust_env=False, timeout=ENOUGH_SECONDS).status_code == 200
        assert client.until_left(100) <= 100


def test_the_address_with_the_most_connections_gives_way() -> None:
    waiting: Connections[str] = Connections(Bounds(most_waiting=3))
    assert [waiting.enter("hostile", name) for name in ("one", "two")] == [None, None]
    assert waiting.enter("patient", "only") is None
    assert waiting.enter("another", "new") == "one"
    assert waiting.enter("hostile", "three") == "two"
    waiting.leave("patient", "only")
    assert waiting.enter("another", "newer") is None
