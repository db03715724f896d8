"""No payload leaks: all output of a running province is searched for names, addresses and numbers of its records."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from exchange import names
from exchange.cli.main import app
from exchange.ledger.events.event import write_line
from exchange.testing.leaks import find_leaks
from tests.harness.kafka.province import Province

pytestmark = pytest.mark.kafka
SAMPLE = 200
VALUES = {
    "public-security": "SELECT resident_id, name, former_name, household_address, household_id, current_address,"
    f" spouse_id FROM residents ORDER BY resident_id LIMIT {SAMPLE}",
    "health": f"SELECT resident_id, name, certificate_number FROM deaths ORDER BY resident_id LIMIT {SAMPLE}",
    "market-regulation": "SELECT credit_code, name, legal_representative, address, old_number FROM registrations"
    f" ORDER BY credit_code LIMIT {SAMPLE}",
}
"""Names, addresses and identifiers of the sampled records."""
COMMANDS = (
    ("books",),
    ("demand", "list"),
    ("demand", "list", "--json"),
    ("grant", "list"),
    ("grant", "list", "--json"),
    ("department", "list"),
    ("token", "list"),
)
_BARE_TOPICS = ("exchange.ledger", "exchange.admission.", "receipt.")
"""Topics of which also keys and values hold no payload."""


@pytest.fixture(scope="module")
def values(province: Province) -> list[str]:
    """What must not be found, and what is wrong in the registers, which is where an error message would quote it."""
    found = {
        value
        for department, statement in VALUES.items()
        for row in province.sql(department, statement)
        for value in row
    }
    found |= {key for keys in province.refused_rows.values() for key in keys}
    return sorted(value for value in found if value is not None)


@contextmanager
def a_sink_that_refuses(province: Province) -> Iterator[None]:
    """PostgreSQL would quote the whole row in its error."""
    city = "region = '340100'"
    province.sql("taxation", "ALTER TABLE companies ADD CONSTRAINT closed CHECK (status <> '2') NOT VALID")
    province.sql("market-regulation", f"UPDATE registrations SET status = '2' WHERE {city} AND status = '1'")
    province.settle()
    yield
    province.sql("taxation", "ALTER TABLE companies DROP CONSTRAINT closed")
    province.sql("market-regulation", f"UPDATE registrations SET status = '1' WHERE {city} AND status = '2'")


def problems(province: Province, secret: str, code: str) -> Iterator[httpx.Response]:
    """Requests that fail, each with a value of a record where somebody might put it by mistake."""
    token = province.places.secret_file("taxation.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    demand = {"record_type": "legal-entity.registration", "fields": ["name"], "legal_basis": "x", "scenario": "x"}
    with httpx.Client(base_url=province.platform.http, headers=headers, trust_env=False) as client:
        for body in (
            {**demand, "fields": ["name", secret]},
            {**demand, "record_type": secret},
            {**demand, "provider": secret},
            {**demand, "resource": code},
            {**demand, "masks": {secret: "first"}},
            {**demand, "masks": {"name": secret}},
            {**demand, "scope": [{"field": secret, "operator": "equals", "values": ["1"]}]},
            {**demand, "scope": [{"field": "name", "operator": secret, "values": [code]}]},
            {**demand, "freshness_seconds": secret},
            {**demand, "use_from": secret},
            {**demand, secret: code},
            [secret],
        ):
            yield client.post("/v1/demands", json=body)
        yield client.post("/v1/demands", content=f'{{"record_type": "{secret}'.encode())
        yield client.post(f"/v1/demands/{code}/consent", json={"fields": [secret]})
        for path in ("/v1/demands/", "/v1/grants/", "/schemas/ids/", "/subjects/", "/v1/", "/"):
            yield client.get(f"{path}{secret}")
        yield client.get("/v1/demands", params={"cursor": secret, "state": code})
        yield client.get("/v1/satisfaction", params={"at": secret})
        yield client.get("/v1/books", headers={"Authorization": f"Bearer {code}"})
        yield client.get("/subjects", auth=(code, code))


def outputs_of_commands(province: Province) -> Iterator[tuple[str, str]]:
    """What the commands print, by command."""
    runner = CliRunner(
        env={
            "EXCHANGE_API__URL": province.platform.http,
            "EXCHANGE_API__TOKEN_FILE": str(province.places.secret_file("operator.token")),
        }
    )
    for words in COMMANDS:
        yield f"exchange {' '.join(words)}", runner.invoke(app, words).output


def records_of_topics(province: Province) -> Iterator[tuple[str, str]]:
    """The headers of every record, and of topics without payload also keys and values, by topic."""
    for topic in sorted(province.admin.topics()):
        if topic.startswith("__"):
            continue
        messages = province.records(topic)
        texts = [content for m in messages for name, raw in m.headers() or () for content in (name, _text(raw))]
        if topic.startswith(_BARE_TOPICS):
            texts += [_text(part) for m in messages for part in (m.key(), m.value())]
        yield topic, "\n".join(texts)


def _text(raw: Any) -> str:
    return bytes(raw or b"").decode("utf-8", "replace")


def test_no_output_of_a_province_holds_a_value_of_its_records(province: Province, values: list[str]) -> None:
    province.settle()
    assert len(values) > 5 * SAMPLE
    resident, company = province.refused_rows["residents"][0], province.refused_rows["registrations"][0]
    name = next(value for value in values if "·" in value)
    texts: dict[str, str] = {}
    with a_sink_that_refuses(province):
        for secret in (resident, name):
            for number, answer in enumerate(problems(province, secret, company)):
                assert answer.status_code >= 400
                texts[f"problem {number} {answer.request.method} of {len(secret)} characters"] = answer.text
        texts |= dict(records_of_topics(province))
    texts |= dict(outputs_of_commands(province))
    texts |= {f"metrics of {child}": province.metrics(child) for child in province.platform.children.names()}
    texts |= {str(file.relative_to(province.places.root)): file.read_text(errors="replace") for file in logs(province)}
    texts["export"] = "".join(write_line(event) for event in province.ledger())
    assert_everything_is_there(province, texts)
    assert find_leaks(texts, values) == {}


def logs(province: Province) -> list[Any]:
    """Every log file of every process; the segments of Kafka, called the same, are what it is there for."""
    data = province.places.root / "kafka" / "node-1" / "data"
    return sorted(file for file in province.places.root.rglob("*.log") if not file.is_relative_to(data))


def assert_everything_is_there(province: Province, texts: dict[str, str]) -> None:
    """The search looked at the real thing: what may be said is found where it is expected."""
    for child in province.platform.children.names():
        assert "exchange_" in texts[f"metrics of {child}"]
        assert f"logs/{child}.log" in texts
    assert "handover.batch" in texts["logs/taxation.companies.log"]
    assert "E_CREDIT_CODE_CHECK_DIGIT" in texts["quarantine.market-regulation"]
    assert "E_CODE_UNKNOWN" in texts["quarantine.health"]
    assert "ce_sequence" in texts["share.population.death.100001"]
    assert any("kafka.log" in name for name in texts)
    assert any("postgres.log" in name for name in texts)
    assert "demand-consented" in texts["export"]
    assert "legal-entity.registration" in texts["exchange books"]
    faults = [json.loads(message.value()) for message in province.records(names.faults_topic("taxation"))]
    assert "E_APPLY" in {fault.get("code") for fault in faults if fault}


def test_a_planted_value_would_be_found(province: Province, values: list[str]) -> None:
    with_leaks = {"log": json.dumps({"event": "x", "detail": values[0]})}
    assert find_leaks(with_leaks, values) == {"log": 1}
