"""`exchange reconcile` as people meet it: what it prints, to whom, and its exit status."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from exchange.cli import reconcile as command
from exchange.cli.main import app
from exchange.clock import parse_time
from exchange.errors import ExchangeError
from exchange.names import Department, GrantId
from exchange.reconcile import halves, result
from exchange.reconcile.result import Difference, Finding, Half, Kind
from exchange.settings import ConnectorSettings, Settings
from tests.harness.memory.web import OPERATOR_TOKEN, WebHarness, web_harness

TAX, MARKET = "taxation", "market-regulation"
DEMAND: dict[str, Any] = {
    "resource": "102001/0001",
    "fields": ["credit_code", "name"],
    "legal_basis": "a law",
    "scenario": "a duty",
    "use_scope": "the province",
    "mode": "batch-exchange",
}
AT = parse_time("2026-11-24T08:00:00Z")
KEY = "91340100MA2MRY1T4G"


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebHarness]:
    with web_harness(tmp_path) as harness:
        monkeypatch.setenv("EXCHANGE_API__URL", harness.url)
        monkeypatch.setenv("EXCHANGE_API__TOKEN", OPERATOR_TOKEN)
        yield harness


@pytest.fixture
def grant(harness: WebHarness) -> str:
    demand = harness.post(TAX, "/v1/demands", DEMAND).raise_for_status().json()["demand"]
    found: str = harness.post(MARKET, f"/v1/demands/{demand}/consent").raise_for_status().json()["grants"][-1]
    return found


def as_(monkeypatch: pytest.MonkeyPatch, harness: WebHarness, department: str) -> None:
    monkeypatch.setenv("EXCHANGE_KAFKA__USERNAME", department)
    monkeypatch.setenv("EXCHANGE_API__TOKEN", harness.as_(department)["Authorization"].removeprefix("Bearer "))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["reconcile", *arguments])


def found(half: Half, *differences: Difference, compared: int = 5) -> Finding:
    counts, named = result.counted(half, AT, compared, differences)
    what = "the table companies" if half is Half.GRANTEE else "what market-regulation.registrations reads"
    return Finding(GrantId("g-1"), counts, named, what)


def test_who_is_no_party_sees_what_both_said_last_and_no_key(harness: WebHarness, grant: str) -> None:
    said = run(grant)
    assert said.exit_code == 1
    assert said.stdout.splitlines() == ["grantee   has not compared yet", "provider  has not compared yet"]
    half = result.view(found(Half.GRANTEE).result)
    other = result.view(found(Half.PROVIDER, Difference(Kind.MISSING, KEY)).result)
    harness.service.results[GrantId(grant)] = {"grantee": half, "provider": other}
    said = run(grant)
    assert said.exit_code == 1
    assert "grantee   2026-11-24T08:00:00.000Z: equal" in said.stdout
    assert "provider  2026-11-24T08:00:00.000Z: NOT equal (1 missing)" in said.stdout
    assert KEY not in run(grant, "--json").stdout
    harness.service.results[GrantId(grant)] = {"grantee": half, "provider": {**half, "half": "provider"}}  # type: ignore[dict-item]
    assert run(grant).exit_code == 0


def test_what_cannot_be_meant_is_wrong_usage(harness: WebHarness, grant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(grant, "--remove-extra").exit_code == 2
    assert run(grant, "--patience", "-1").exit_code == 2
    assert run(grant, "--mend").exit_code == 2
    as_(monkeypatch, harness, MARKET)
    said = run(grant, "--mend")
    assert (said.exit_code, "for the grantee" in said.stderr) == (2, True)
    as_(monkeypatch, harness, TAX)
    said = run(grant, "--connector", "taxation.nothing")
    assert (said.exit_code, "E_CONNECTOR" in said.stderr) == (2, True)


def test_a_grant_that_is_not_active_is_not_compared(
    harness: WebHarness, grant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_CONNECTOR__DATABASE", "sqlite://")
    monkeypatch.setenv("EXCHANGE_KAFKA__PASSWORD", "none")
    monkeypatch.setenv("EXCHANGE_CONNECTOR__PATH", "nowhere")
    for department in (TAX, MARKET):
        as_(monkeypatch, harness, department)
        said = run(grant)
        assert (said.exit_code, "E_GRANT_STATE" in said.stderr) == (1, True), said.stderr


def test_when_the_broker_service_is_away_the_exit_status_is_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_API__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("EXCHANGE_API__TOKEN", OPERATOR_TOKEN)
    assert run("g-1").exit_code == 3


@pytest.mark.parametrize(("half", "department"), [(Half.GRANTEE, TAX), (Half.PROVIDER, MARKET)])
def test_the_owner_sees_the_keys_and_what_to_do_next(
    harness: WebHarness, grant: str, monkeypatch: pytest.MonkeyPatch, half: Half, department: str
) -> None:
    as_(monkeypatch, harness, department)
    told: list[Finding] = []
    monkeypatch.setattr(halves, "tell", lambda _settings, findings: told.extend(findings))
    finding = found(half, Difference(Kind.ALTERED, KEY, ("name",)), Difference(Kind.WAITING, "W"))
    monkeypatch.setattr(halves, "grantee_half", lambda *_: finding)
    monkeypatch.setattr(halves, "provider_half", lambda *_: finding)
    monkeypatch.setenv("EXCHANGE_CONNECTOR__DATABASE", "sqlite:///none.db")
    said = run(grant)
    assert said.exit_code == 1
    for text in (KEY, "altered", "waiting", "NOT equal.", f"taxation reads legal-entity.registration of {MARKET}"):
        assert text in said.stdout
    mending = f"exchange reconcile {grant} --mend" if half is Half.GRANTEE else "exchange connector reread"
    assert mending in said.stdout
    assert told == [finding]
    shown = json.loads(run(grant, "--json").stdout)
    assert shown["differences"] == [
        {"kind": "altered", "key": KEY, "fields": ["name"]},
        {"kind": "waiting", "key": "W", "fields": []},
    ]
    assert (shown["altered"], shown["holds"], shown["told"]) == (1, False, True)


def test_a_result_that_cannot_be_told_is_shown_all_the_same(
    harness: WebHarness, grant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_(monkeypatch, harness, TAX)

    def away(*_: Any) -> None:
        raise ExchangeError("E_KAFKA_UNREACHABLE", "away")

    monkeypatch.setattr(halves, "tell", away)
    monkeypatch.setattr(halves, "grantee_half", lambda *_: found(Half.GRANTEE))
    said = run(grant)
    assert said.exit_code == 0
    assert "they are equal" in said.stdout
    assert "could not be told (E_KAFKA_UNREACHABLE" in said.stdout


def test_a_department_s_connectors_are_found_and_those_without_an_address_are_not_run_here(tmp_path: Path) -> None:
    market = Department(MARKET)
    grant = {"record_type": "legal-entity.registration", "provider": MARKET}
    database = {"database": f"sqlite:///{tmp_path / 'd.db'}"}
    here = Settings(connector=ConnectorSettings(**database))  # type: ignore[arg-type]
    assert [name for name, _ in halves.sources_of(here, market, grant)] == ["market-regulation.registrations"]
    other = halves.sources_of(here, market, grant, ["market-regulation.registrations-file"])
    assert [name for name, _ in other] == ["market-regulation.registrations-file"]
    for names, settings, code in (
        (["market-regulation.nothing"], here, "E_CONNECTOR"),
        ([], Settings(), "E_SETTINGS"),
    ):
        with pytest.raises(ExchangeError) as caught:
            halves.sources_of(settings, market, grant, names)
        assert caught.value.code == code
    deaths = [{"record_type": "population.death", "provider": one} for one in ("health", "civil-affairs")]
    found = [halves.sink_of(Department("human-resources"), one).name for one in deaths]
    assert found == ["human-resources.deaths", "human-resources.deaths-of-civil-affairs"]


def test_what_is_only_on_its_way_is_not_called_different() -> None:
    finding = found(Half.GRANTEE, Difference(Kind.WAITING, "W"))
    assert command._verdict({"grant": "g-1"}, finding, False).startswith("what has arrived is equal")
    refused = found(Half.GRANTEE, Difference(Kind.SET_ASIDE, "S"))
    assert "mend the table" in command._verdict({"grant": "g-1"}, refused, True)
