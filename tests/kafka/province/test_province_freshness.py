"""Who stands still for longer than agreed breaks the freshness; the rate says so everywhere, until it goes on."""

import json
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from exchange import names
from exchange.calendar import ZONE
from exchange.cli.main import app
from tests.harness.kafka.province import Province

pytestmark = pytest.mark.kafka
RATIO = "exchange_shared_demand_satisfaction_ratio"
Rates = dict[str, float]
"""The rate by variant (`strict`, `weighted`)."""


def of_the_api(province: Province) -> Rates:
    answer = province.operator.get("/v1/satisfaction")
    return {variant: answer[variant] for variant in ("strict", "weighted")}


def of_the_metrics(province: Province) -> Rates:
    families = text_string_to_metric_families(province.metrics("serve"))
    return {
        sample.labels["variant"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == RATIO
    }


def of_an_export(province: Province, file: Path) -> Rates:
    run(province, "ledger", "export", "--to", str(file))
    answer = json.loads(run(province, "ledger", "rate", "--from", str(file), "--json"))
    return {variant: answer[variant] for variant in ("strict", "weighted")}


def run(province: Province, *arguments: str) -> str:
    """The output of a command, run as the broker's principal."""
    settings = province.platform.kafka.settings(names.BROKER, province.places.principal_secret(names.BROKER))
    environment = {
        "EXCHANGE_KAFKA__BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "EXCHANGE_KAFKA__SECURITY_PROTOCOL": settings.security_protocol,
        "EXCHANGE_KAFKA__USERNAME": settings.username,
        "EXCHANGE_KAFKA__PASSWORD_FILE": str(settings.password_file),
    }
    done = CliRunner(env=environment).invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_report_of_the_service_is_that_of_an_export(province: Province, tmp_path: Path) -> None:
    file, year = tmp_path / "ledger.jsonl", str(datetime.now(ZONE).year)
    served = province.operator.get("/v1/report", year=year)
    run(province, "ledger", "export", "--to", str(file))
    computed = run(province, "report", "--year", year, "--from", str(file), "--at", served["at"], "--json")
    assert json.loads(computed) == served
    assert served["total"]["counted"] > 0


def agreed_rate(province: Province, file: Path) -> Rates:
    """The rate that API and an export give at one and the same length of the ledger, and metrics a moment later."""
    answers: list[Any] = []

    def asked_without_an_event_between() -> bool:
        before = province.operator.get("/v1/ledger/head")
        answers[:] = [of_the_api(province), of_an_export(province, file)]
        shown = of_the_metrics(province)  # made once a second, whoever asks
        return bool(shown == answers[0] and province.operator.get("/v1/ledger/head") == before)

    province.wait(asked_without_an_event_between, "a moment without events at which metrics show the rate")
    api, export = answers
    assert api == export
    return api


def causes(province: Province) -> set[str]:
    """The open causes of taxation's grant."""
    return {breach["cause"] for breach in province.grant("taxation")["breaches"]}


def change_a_company(province: Province) -> None:
    """A new version of a company that taxation is granted."""
    province.sql(
        "market-regulation",
        "UPDATE registrations SET capital_amount = coalesce(capital_amount, 0) + 1 WHERE credit_code ="
        " (SELECT max(credit_code) FROM registrations WHERE region = '340100')",
    )


@pytest.mark.parametrize(
    ("child", "cause"),
    [
        ("taxation.companies", "grantee"),
        ("deliver", "exchange"),
        ("market-regulation.registrations", "provider"),
    ],
)
def test_who_stands_still_breaks_the_freshness_until_it_goes_on(
    province: Province, child: str, cause: str, tmp_path: Path
) -> None:
    province.wait(lambda: not causes(province), "freshness at the beginning")
    third, two_thirds = (float(Fraction(number, 3)) for number in (1, 2))
    assert agreed_rate(province, tmp_path / "before") == {"strict": two_thirds, "weighted": two_thirds}

    with province.away(child):
        change_a_company(province)
        province.wait(lambda: causes(province) == {cause}, f"a breach by the {cause} alone")
        assert province.grant("taxation")["state"] == "breached"
        assert agreed_rate(province, tmp_path / "broken") == {"strict": third, "weighted": third}

    province.wait(lambda: not causes(province), "freshness again")
    assert province.grant("taxation")["state"] == "serving"
    assert agreed_rate(province, tmp_path / "restored") == {"strict": two_thirds, "weighted": two_thirds}
    told = [(event.event, event.data["cause"]) for event in province.ledger() if event.event.startswith("freshness-")]
    assert [event for event, why in told if why == cause][-2:] == ["freshness-broken", "freshness-restored"]
