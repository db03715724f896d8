"""Successions over HTTP and on the command line: who may decide, what is shown, and the metric of what waits."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.catalogue.load import load
from exchange.cli.main import app
from exchange.names import Department
from exchange.observe import metrics
from exchange.settings import HttpSettings, Settings
from exchange.web.app import create_app
from tests.harness.memory.ledger import publish_demands
from tests.harness.memory.service import MemoryService, serving

OPERATOR_TOKEN = "operator-token-of-this-test"
TAX, HR, HEALTH = "taxation", "human-resources", "health"
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "all", "mode": "batch-exchange"}


@pytest.fixture
def service() -> MemoryService:
    service = MemoryService()
    service.apply_catalogue("operator", None)
    asked = SubmitDemand(
        demander=Department(TAX), resource="102001/0001", fields=("name",), **STATED, schemas=service.schemas
    )
    service.ledger.execute(asked)
    return service


@pytest.fixture
def demand(service: MemoryService) -> str:
    return next(iter(service.ledger.state.demands))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "operator.token"
    file.write_text(OPERATOR_TOKEN)
    return file


@pytest.fixture
def url(service: MemoryService, token_file: Path) -> Iterator[str]:
    with serving(create_app(service, HttpSettings(operator_token_file=token_file))) as url:
        yield url


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def as_(http: httpx.Client, role: str) -> dict[str, str]:
    first = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    if role == "operator":
        return first
    body = {"role": role} if role in ("supervisor", "auditor") else {"role": "department", "department": role}
    return {"Authorization": f"Bearer {http.post('/v1/tokens', json=body, headers=first).json()['token']}"}


def test_operators_and_supervisors_decide_a_succession_and_nobody_else(http: httpx.Client, demand: str) -> None:
    body = {"successors": [HR, HEALTH], "demands": {demand: HEALTH}, "reason": "reform"}
    for role in (TAX, HR, "auditor"):
        answer = http.post(f"/v1/departments/{TAX}/succeed", json=body, headers=as_(http, role))
        assert (answer.status_code, answer.json()["code"]) == (403, "E_ROLE")
    assert http.get(f"/v1/departments/{TAX}/succession", headers=as_(http, HR)).status_code == 403
    supervisor = as_(http, "supervisor")
    open_ = http.post(f"/v1/departments/{TAX}/succeed", json={**body, "demands": {}}, headers=supervisor)
    assert (open_.status_code, open_.json()["code"]) == (409, "E_SUCCESSION")
    done = http.post(f"/v1/departments/{TAX}/succeed", json=body, headers=supervisor).json()
    assert (done["successors"], done["demands"], done["awaited"]) == ([HR, HEALTH], [], False)
    assert done["succeeded"] is not None
    shown = http.get(f"/v1/departments/{HEALTH}/succession", headers=as_(http, "auditor")).json()
    assert [one["demand"] for one in shown["demands"]] == [demand]


def test_the_same_decision_sent_twice_is_done_once(http: httpx.Client, service: MemoryService) -> None:
    headers = as_(http, "operator") | {"Idempotency-Key": "reform-1"}
    body = {"successors": [HR], "reason": "reform"}
    first, again = (http.post(f"/v1/departments/{TAX}/succeed", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.json()) == (200, first.json())
    assert sum(event.event == "department-succeeded" for event in service.ledger.events) == 1


def test_a_succession_is_decided_on_the_command_line(
    url: str, token_file: Path, service: MemoryService, demand: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("API__URL", url), ("API__TOKEN_FILE", str(token_file))):
        monkeypatch.setenv(f"EXCHANGE_{name}", value)
    monkeypatch.delenv("EXCHANGE_CONFIG", raising=False)
    command = ("department", "succeed", TAX, "--to", HR, "--to", HEALTH, "--reason", "reform", "--json")
    wrong = CliRunner().invoke(app, (*command, "--demand", "d-1"))
    assert wrong.exit_code == 2
    done = CliRunner().invoke(app, (*command, "--demand", f"{demand}={HEALTH}", "--default", HR))
    assert done.exit_code == 0, done.output
    shown = CliRunner().invoke(app, ("department", "succession", HEALTH, "--json"))
    assert [one["demand"] for one in json.loads(shown.stdout)["demands"]] == [demand]
    assert demand in CliRunner().invoke(app, ("department", "succession", HEALTH)).stdout


def test_what_waits_for_a_decision_is_a_metric_of_the_department(service: MemoryService) -> None:
    command = ApplyCatalogue.of(load(Settings().catalogue))
    ends = {"valid_until": "2026-11-24", "successors": [HR, HEALTH]}
    told = tuple(data | (ends if data["department"] == TAX else {}) for data in command.departments)
    service.ledger.execute(replace(command, departments=told))
    publish_demands(service.ledger.state, service.clock.now())
    assert metrics.DEMANDS_AWAITING_HEIR.read() == {(TAX,): 1.0}
