"""The ledger says of every command who gave it: which token, or which person an issuer vouched for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exchange.broker.demands.automatic import ConsentUnconditional
from exchange.broker.seams import EXCHANGE
from exchange.ledger import fold
from exchange.ledger.events.event import LedgerEvent, read_lines, write_line
from exchange.ledger.store.command import Actor, said
from tests.harness.memory.ledger import MemoryLedger
from tests.harness.memory.web import WebHarness, web_harness
from tests.unit.web.test_oidc import AUDIENCE, ISSUER, KEYS, bearer, public, token

TAX, MARKET = "taxation", "market-regulation"
ROTATED = "secret-rotated"
"""An event whose fold changes nothing."""
ASKED: dict[str, Any] = {
    "resource": "102001/0001", "fields": ["credit_code", "name"], "legal_basis": "税收征收管理法 art. 15",
    "scenario": "tax registration", "use_scope": "tax offices", "mode": "batch-exchange",
}  # fmt: skip


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[WebHarness]:
    file = tmp_path / "keys.json"
    file.write_bytes(public(*KEYS.values()))
    issuer = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_file": file}
    with web_harness(tmp_path, **issuer) as harness:
        yield harness


def last(harness: WebHarness) -> LedgerEvent:
    return harness.service.ledger.events[-1]


def token_id(harness: WebHarness, who: str) -> str:
    harness.as_(who)
    state = harness.service.ledger.state
    return next(one.token for one in reversed(state.tokens.values()) if who in (one.department, one.role))


def test_every_command_of_a_department_names_the_token_that_gave_it(harness: WebHarness) -> None:
    tax, market = token_id(harness, TAX), token_id(harness, MARKET)
    demand = harness.post(TAX, "/v1/demands", ASKED).json()["demand"]
    assert (last(harness).actor, last(harness).data["caller"]) == (TAX, tax)
    harness.post(MARKET, f"/v1/demands/{demand}/consent", key="once")
    assert (last(harness).event, last(harness).data["caller"]) == ("demand-consented", market)
    harness.post(TAX, f"/v1/demands/{demand}/withdraw")
    assert last(harness).data["caller"] == tax


def test_two_tokens_of_one_department_are_told_apart(harness: WebHarness) -> None:
    body = {"role": "department", "department": TAX}
    second = harness.post("operator", "/v1/tokens", body).json()
    harness.as_(TAX)
    harness.tokens["the colleague"] = second["token"]
    harness.post("the colleague", "/v1/demands", ASKED)
    assert (last(harness).actor, last(harness).data["caller"]) == (TAX, second["id"])


def test_what_an_operator_does_to_principals_and_tokens_names_its_token(harness: WebHarness) -> None:
    operator = harness.post("operator", "/v1/tokens", {"role": "operator"}).json()
    assert last(harness).data["caller"] == "first"
    harness.tokens["the operator"] = operator["token"]
    harness.post("the operator", "/v1/departments", {"department": TAX})
    harness.post("the operator", f"/v1/departments/{TAX}/rotate-secret")
    harness.post("the operator", f"/v1/tokens/{operator['id']}/revoke")
    done = harness.service.ledger.events[-3:]
    assert {one.data["caller"] for one in done} == {operator["id"]}, [one.event for one in done]


def test_a_person_of_an_issuer_is_named_by_the_issuers_subject(harness: WebHarness) -> None:
    shown = bearer(token(sub="clerk-8841", exchange_role="department", exchange_department=TAX))
    assert harness.http.post("/v1/demands", json=ASKED, headers=shown).status_code == 201
    assert last(harness).data["caller"] == "issuer:clerk-8841"


@pytest.mark.parametrize("subject", ["s" * 256, "a\nb", "a\u0000b"])
def test_an_issuers_subject_that_no_event_could_bear_is_no_caller(harness: WebHarness, subject: str) -> None:
    assert harness.http.get("/v1/demands", headers=bearer(token(sub=subject))).status_code == 401


def test_what_the_exchange_does_by_itself_names_nobody(harness: WebHarness) -> None:
    harness.post(TAX, "/v1/demands", ASKED)
    ledger = harness.service.ledger
    ledger.execute(ConsentUnconditional(harness.service.schemas), EXCHANGE, None)
    assert last(harness).actor == EXCHANGE
    assert "caller" not in last(harness).data


def test_every_event_of_a_command_names_who_gave_it() -> None:
    ledger = MemoryLedger()
    ledger.execute(lambda _state, _now: (*said(ROTATED, "a", x=1), *said(ROTATED, "b", y=2)), Actor("taxation", "t-9"))
    assert [one.data for one in ledger.events] == [{"x": 1, "caller": "t-9"}, {"y": 2, "caller": "t-9"}]
    assert {type(one.actor) for one in ledger.events} == {str}


def test_a_ledger_with_callers_is_exported_and_chained_as_one_without(harness: WebHarness) -> None:
    harness.post(TAX, "/v1/demands", ASKED)
    lines = [write_line(event) for event in harness.service.ledger.events]
    state = fold(read_lines(lines))
    assert state.head == harness.service.ledger.state.head
    assert set(json.loads(lines[-1])) == {
        "seq", "offset", "event", "at", "actor", "entity", "command_id", "prev_hash", "data"
    }  # fmt: skip


def test_another_token_of_the_same_department_repeats_a_command_and_is_answered_as_before(harness: WebHarness) -> None:
    first = harness.post(TAX, "/v1/demands", ASKED, key="k-1").json()["demand"]
    body = {"role": "department", "department": TAX}
    harness.tokens["next"] = harness.post("operator", "/v1/tokens", body).json()["token"]
    assert harness.post("next", "/v1/demands", ASKED, key="k-1").json()["demand"] == first


def test_a_command_that_is_no_callers_keeps_its_plain_actor() -> None:
    ledger = MemoryLedger()
    ledger.execute(lambda _state, _now: said(ROTATED, "a"), "taxation")
    assert dict(ledger.events[-1].data) == {}
