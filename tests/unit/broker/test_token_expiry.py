from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.broker.departments.tokens import IssueToken, RevokeToken, authenticate, digest, new_token
from exchange.clock import format_time
from exchange.errors import ExchangeError
from exchange.ledger.fold.apply import fold
from exchange.observe import metrics
from tests.harness.memory.ledger import START, MemoryLedger, chain, publish_demands
from tests.harness.memory.web import WebHarness, refused, web_harness

TAX = "taxation"


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[WebHarness]:
    with web_harness(tmp_path, token_days=30) as harness:
        yield harness


def test_a_token_is_refused_from_its_last_moment_on(harness: WebHarness) -> None:
    issued = harness.post("operator", "/v1/tokens", {"role": "department", "department": TAX, "days": 2}).json()
    assert issued["expires"] == format_time(START + timedelta(days=2))
    harness.tokens[TAX] = issued["token"]
    harness.service.ledger.clock.forward(days=2, milliseconds=-1)
    assert harness.get(TAX, "/v1/departments").is_success
    harness.service.ledger.clock.forward(milliseconds=1)
    document = refused(harness.get(TAX, "/v1/departments"), 401, "E_TOKEN")
    assert document["detail"] == "the token has reached its last day"


def test_a_token_without_days_lives_as_long_as_the_setting_says(harness: WebHarness) -> None:
    issued = harness.post("operator", "/v1/tokens", {"role": "auditor"}).json()
    assert issued["expires"] == format_time(START + timedelta(days=30))
    listed = harness.get("operator", "/v1/tokens").json()["items"]
    assert [one["expires"] for one in listed] == [issued["expires"]]


@pytest.mark.parametrize("days", [0, 1097, -1])
def test_no_token_lives_for_ever(harness: WebHarness, days: int) -> None:
    refused(harness.post("operator", "/v1/tokens", {"role": "auditor", "days": days}), 422, "E_REQUEST")
    with pytest.raises(ExchangeError, match="E_REQUEST"):
        harness.service.ledger.execute(IssueToken("auditor", None, digest("x"), days))


def test_a_digest_may_be_issued_again_when_its_token_is_over() -> None:
    ledger, text = MemoryLedger(), new_token()
    first = ledger.execute(IssueToken("auditor", None, digest(text), 1)).entities
    assert ledger.execute(IssueToken("auditor", None, digest(text), 1)).entities == ()
    ledger.clock.forward(days=1)
    assert authenticate(ledger.state, text, ledger.clock.now()) is None
    second = ledger.execute(IssueToken("auditor", None, digest(text), 1)).entities
    found = authenticate(ledger.state, text, ledger.clock.now())
    assert found is not None
    assert (found.token,) == second != first


def test_tokens_that_end_within_two_weeks_are_a_metric_until_they_are_revoked() -> None:
    ledger = MemoryLedger()
    for days in (13, 14, 15, 90):
        ledger.execute(IssueToken("auditor", None, digest(f"a-{days}"), days))
    publish_demands(ledger.state, ledger.clock.now())
    assert metrics.TOKENS_ENDING.read() == {("auditor",): 2.0}
    ledger.execute(RevokeToken(next(iter(ledger.state.tokens))))
    publish_demands(ledger.state, ledger.clock.now())
    assert metrics.TOKENS_ENDING.read() == {("auditor",): 1.0}
    publish_demands(ledger.state, ledger.clock.forward(days=14))
    assert metrics.TOKENS_ENDING.read() == {("auditor",): 1.0}, "the next one; the other has ended"
    publish_demands(ledger.state, ledger.clock.forward(days=80))
    assert metrics.TOKENS_ENDING.read() == {}


def test_a_token_of_before_tokens_expired_stays_good() -> None:
    data = {"token": "t-1", "digest": digest("text"), "role": "auditor", "department": None}
    state = fold(chain([("token-issued", data)]))
    assert authenticate(state, "text", START + timedelta(days=10_000)) is not None
