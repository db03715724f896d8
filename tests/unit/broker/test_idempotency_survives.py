"""An idempotency key means the same to the next leader, which knows of it only what the ledger says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.ledger.fold.apply import apply
from tests.harness.memory.ledger import MemoryLedger
from tests.harness.memory.service import MemoryService
from tests.harness.memory.web import WebHarness, refused, web_harness

TAX, MARKET, HEALTH, OPERATOR = "taxation", "market-regulation", "health", "operator"
SECRETS = {"secret", "token", "note"}
DEMAND: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": "税收征收管理法 art. 15",
    "scenario": "tax registration",
    "use_scope": "tax offices",
    "mode": "batch-exchange",
}
REASON = {"reason": "the purpose has ended"}


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[WebHarness]:
    with web_harness(tmp_path) as harness:
        harness.as_(TAX), harness.as_(MARKET)
        yield harness


def heir(before: WebHarness) -> MemoryService:
    """The service of the next leader: it has replayed the ledger and remembers nothing else."""
    ledger = MemoryLedger(before.service.ledger.clock)
    for event in before.service.ledger.events:
        apply(ledger.state, event)
        ledger.events.append(event)
    return MemoryService(ledger)


def test_every_command_of_a_life_repeated_at_the_next_leader_has_the_same_answer(
    harness: WebHarness, tmp_path: Path
) -> None:
    demand = harness.post(TAX, "/v1/demands", DEMAND, "k-demand").json()["demand"]
    other = harness.post(
        TAX, "/v1/demands", DEMAND | {"fields": ["address"], "scenario": "another duty"}, "k-other"
    ).json()["demand"]
    grant = harness.post(MARKET, f"/v1/demands/{demand}/consent", {}, "k-consent").json()["grants"][0]
    commands: list[tuple[str, str, dict[str, Any], str]] = [
        (OPERATOR, "/v1/catalogue", {}, "k-catalogue"),
        (OPERATOR, "/v1/departments", {"department": HEALTH}, "k-add"),
        (OPERATOR, f"/v1/departments/{HEALTH}/rotate-secret", {}, "k-rotate"),
        (OPERATOR, "/v1/tokens", {"role": "auditor", "days": 7}, "k-token"),
        (MARKET, f"/v1/demands/{other}/refuse", REASON, "k-refuse"),
        (MARKET, f"/v1/grants/{grant}/suspend", REASON, "k-suspend"),
        (MARKET, f"/v1/grants/{grant}/resume", REASON, "k-resume"),
        (MARKET, f"/v1/grants/{grant}/revoke", REASON, "k-revoke"),
        (TAX, f"/v1/demands/{demand}/withdraw", REASON, "k-withdraw"),
    ]
    for who, path, body, key in commands:
        first = harness.post(who, path, body, key)
        assert first.is_success, (path, first.text)
        with web_harness(tmp_path, heir(harness)) as after:
            after.tokens = harness.tokens
            seq = after.service.ledger.state.seq
            again = after.post(who, path, body, key)
            assert again.status_code == first.status_code, path
            assert without_secrets(again.json()) == without_secrets(first.json()), path
            assert not after.service.secrets, "a repetition sets no secret"
            assert after.service.ledger.state.seq == seq, "a repetition is no event"


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in SECRETS}


def test_a_key_of_another_command_is_refused_by_the_next_leader(harness: WebHarness, tmp_path: Path) -> None:
    harness.post(TAX, "/v1/demands", DEMAND, "k")
    with web_harness(tmp_path, heir(harness)) as after:
        after.tokens = harness.tokens
        refused(after.post(TAX, "/v1/demands", DEMAND | {"fields": ["name"]}, "k"), 409, "E_IDEMPOTENCY")


@pytest.mark.parametrize(
    ("path", "body", "shown"),
    [
        ("/v1/departments", {"department": HEALTH}, "secret"),
        ("/v1/tokens", {"role": "auditor"}, "token"),
    ],
)
def test_a_secret_is_not_shown_again_and_not_changed(
    harness: WebHarness, tmp_path: Path, path: str, body: dict[str, Any], shown: str
) -> None:
    first = harness.post(OPERATOR, path, body, "k").json()
    assert first[shown]
    here = harness.post(OPERATOR, path, body, "k").json()
    with web_harness(tmp_path, heir(harness)) as after:
        there = after.post(OPERATOR, path, body, "k").json()
        assert not after.service.secrets
    assert here[shown] is None
    assert here == there
    if shown == "token":
        headers = {"Authorization": f"Bearer {first[shown]}"}
        assert harness.http.get("/v1/demands", headers=headers).is_success, "the first one is the one in force"
    else:
        assert harness.service.secrets[HEALTH] == first[shown]


def test_a_key_belongs_to_its_caller_at_the_next_leader_too(harness: WebHarness, tmp_path: Path) -> None:
    first = harness.post(TAX, "/v1/demands", DEMAND, "k").json()["demand"]
    with web_harness(tmp_path, heir(harness)) as after:
        after.tokens = harness.tokens
        other = after.post("public-security", "/v1/demands", DEMAND, "k")
        assert other.status_code == 201
        assert other.json()["demand"] != first
