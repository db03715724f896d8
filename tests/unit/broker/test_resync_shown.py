"""A foreign grantee that was away for too long is told so: by the API, and on the command line before it reads on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.cli.main import app
from exchange.names import DemandId, Department, GrantId
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from tests.harness.memory.service import MemoryService, serving

TAX, MARKET = Department("taxation"), Department("market-regulation")
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "all", "mode": "batch-exchange"}
ADVICE = "read it from its beginning"
Run = Callable[..., str]


@pytest.fixture
def service() -> MemoryService:
    service = MemoryService()
    service.apply_catalogue("operator", None)
    return service


@pytest.fixture
def grant(service: MemoryService) -> GrantId:
    asked = SubmitDemand(
        demander=TAX, resource="102001/0001", fields=("credit_code",), **STATED, schemas=service.schemas
    )
    demand = DemandId(service.ledger.execute(asked).entities[0])
    service.ledger.execute(ConsentDemand(demand=demand, by=MARKET, schemas=service.schemas))
    (grant,) = service.ledger.state.demands[demand].grants
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    service.ledger.execute(ActivateGrant(grant))
    return grant


@pytest.fixture
def show(service: MemoryService, grant: GrantId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    file = tmp_path / "operator"
    file.write_text("operator-token-of-this-test")
    monkeypatch.setenv("COLUMNS", "300")
    with serving(create_app(service, HttpSettings(operator_token_file=file))) as url:
        monkeypatch.setenv("EXCHANGE_API__URL", url)
        monkeypatch.setenv("EXCHANGE_API__TOKEN_FILE", str(file))

        def show(*options: str, words: tuple[str, ...] = ("show", grant)) -> str:
            done = CliRunner().invoke(app, ["grant", *words, *options])
            assert done.exit_code == 0, done.output
            return done.stdout

        yield show


def test_a_grantee_that_was_not_away_is_told_nothing(show: Run) -> None:
    assert json.loads(show("--json"))["resync_needed"] is False
    assert ADVICE not in show() + show("--client-config") + show(words=("list",))


def test_a_grantee_that_was_away_too_long_is_told_to_begin_again(
    show: Run, service: MemoryService, grant: GrantId
) -> None:
    service.absent.add(grant)
    assert json.loads(show("--json"))["resync_needed"] is True
    assert json.loads(show("--json", words=("list",)))[0]["resync_needed"] is True
    for said in (show(), show("--client-config"), show(words=("list",))):
        assert ADVICE in said
    assert all(line.startswith("#") for line in show("--client-config").splitlines() if ADVICE in line)
