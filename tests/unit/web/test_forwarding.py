from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from exchange.broker.leader import AnnounceLeader
from exchange.web.forwarding import HOP
from tests.harness.memory.ledger import FollowingLedger, MemoryLedger
from tests.harness.memory.service import MemoryService, serving
from tests.harness.memory.web import WebHarness, refused, web_harness

TAX, MARKET, HEALTH = "taxation", "market-regulation", "health"
DEMAND: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": "税收征收管理法 art. 15",
    "scenario": "tax registration",
    "use_scope": "tax offices",
    "mode": "batch-exchange",
}


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[WebHarness]:
    with web_harness(tmp_path) as harness:
        harness.service.ledger.execute(AnnounceLeader("one", harness.url))
        yield harness


@pytest.fixture
def follower(leader: WebHarness, tmp_path: Path) -> Iterator[WebHarness]:
    """Another instance over the same ledger. Its callers show the same tokens."""
    service = MemoryService(FollowingLedger(leader.service.ledger))
    with web_harness(tmp_path, service) as harness:
        harness.tokens = leader.tokens
        yield harness


def announced(harness: WebHarness, url: str) -> None:
    harness.service.ledger.execute(AnnounceLeader("two", url))


def test_a_command_at_a_follower_is_done_by_the_leader(leader: WebHarness, follower: WebHarness) -> None:
    leader.as_(TAX)
    there = follower.post(TAX, "/v1/demands", DEMAND, key="k")
    assert there.status_code == 201
    here = leader.post(TAX, "/v1/demands", DEMAND, key="k")
    assert (here.status_code, here.json()) == (201, there.json())
    assert len(leader.service.ledger.state.demands) == 1
    event = leader.service.ledger.events[-1]
    assert (event.actor, event.command_id) == (TAX, "k")


def test_tokens_and_paths_with_escapes_reach_the_leader_as_they_are(leader: WebHarness, follower: WebHarness) -> None:
    issued = follower.post("operator", "/v1/tokens", {"role": "department", "department": TAX})
    assert issued.status_code == 201
    follower.tokens[TAX] = issued.json()["token"]
    assert follower.get(TAX, "/v1/departments").is_success
    refused(follower.post(TAX, "/v1/demands/d%2F1%3F/withdraw?x=%20"), 404, "E_NOT_FOUND")
    refused(follower.post(TAX, "/v1/demands/d%3F1/withdraw?x=%20"), 404, "E_UNKNOWN_DEMAND")


def test_refusals_of_the_leader_come_back_as_they_are(leader: WebHarness, follower: WebHarness) -> None:
    leader.as_(TAX)
    follower.post(TAX, "/v1/demands", DEMAND)
    refused(follower.post(TAX, "/v1/demands", DEMAND), 409, "E_DEMAND_DUPLICATE")
    refused(follower.post(TAX, "/v1/demands", {"colour": "x"}), 422, "E_REQUEST")
    refused(follower.post(TAX, "/v1/tokens", {"role": "auditor"}), 403, "E_ROLE")
    refused(follower.http.post("/v1/demands", json=DEMAND), 401, "E_TOKEN")


def test_a_follower_reads_itself_and_asks_for_the_books(leader: WebHarness, follower: WebHarness) -> None:
    announced(leader, "http://127.0.0.1:9")
    assert follower.get("operator", "/v1/demands").is_success
    assert follower.get("operator", "/subjects").is_success
    answer = follower.http.post(
        "/subjects/population.death", json={"schema": '"string"'}, headers=follower.as_("operator")
    )
    assert answer.json()["error_code"] == 40403
    announced(leader, leader.url)
    assert follower.get("operator", "/v1/books").json() == {"items": [], "next": None, "closed": True}


def test_a_follower_has_read_what_it_says_was_done(leader: WebHarness, follower: WebHarness) -> None:
    follower.post("operator", "/v1/departments", {"department": HEALTH})
    ledger = follower.service.ledger
    assert isinstance(ledger, FollowingLedger)
    assert ledger.waited_for == [leader.service.ledger.state.seq - 1]


def test_without_a_leader_nothing_is_done_and_the_caller_is_told_to_wait(
    leader: WebHarness, follower: WebHarness
) -> None:
    for url in ("http://127.0.0.1:9", follower.url):  # nobody there; an instance that does not lead
        announced(leader, url)
        answer = follower.post("operator", "/v1/departments", {"department": HEALTH})
        refused(answer, 503, "E_NOT_LEADER")
        assert int(answer.headers["retry-after"]) > 0


def test_a_follower_whose_ledger_names_no_leader_refuses(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    MemoryService(ledger).apply_catalogue("operator", None)
    with web_harness(tmp_path, MemoryService(FollowingLedger(ledger))) as alone:
        refused(alone.post("operator", "/v1/departments", {"department": HEALTH}), 503, "E_NOT_LEADER")


def test_a_forwarded_command_goes_no_further(leader: WebHarness, follower: WebHarness) -> None:
    headers = follower.as_("operator") | {HOP: "1"}
    refused(follower.http.post("/v1/departments", json={"department": HEALTH}, headers=headers), 503, "E_NOT_LEADER")
    assert leader.http.get("/v1/ledger/head", headers=headers).headers["exchange-ledger-seq"].isdigit()


def test_a_leader_that_breaks_off_leaves_the_outcome_open(leader: WebHarness, follower: WebHarness) -> None:
    broken = FastAPI()

    @broken.post("/v1/departments")
    async def hang_up() -> None:
        raise httpx.ReadError("x")

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"x"})
        else:
            await broken(scope, receive, send)

    with serving(cut) as url:
        announced(leader, url)
        refused(follower.post("operator", "/v1/departments", {"department": HEALTH}), 503, "E_LEADER_SILENT")


def test_a_leader_announces_itself_once_per_change(leader: WebHarness) -> None:
    ledger = leader.service.ledger
    before = ledger.state.seq
    assert ledger.execute(AnnounceLeader("one", leader.url)).entities == ()
    assert ledger.state.seq == before
    assert ledger.execute(AnnounceLeader("two", leader.url)).entities == ("two",)
    assert (ledger.state.leader_worker, ledger.state.leader_url) == ("two", leader.url)
