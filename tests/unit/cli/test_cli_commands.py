import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from exchange.broker.evidence.books import Account
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.first_delivery import MarkFirstDelivered
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.seams import ClientAccess
from exchange.cli.demand.command import condition_of, masks_of
from exchange.cli.main import COMMANDS, app, load
from exchange.cli.output import DOES_NOT_HOLD, UNREACHABLE, USAGE
from exchange.errors import TABLE, ExchangeError
from exchange.names import RecordType
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from tests.harness.memory.service import MemoryService, serving

OPERATOR_TOKEN = "operator-token-of-this-test"
ENTERPRISES = "102001/0001"
TAX, MARKET = "taxation", "market-regulation"
STATED = ("--legal-basis", "a law", "--scenario", "tax registration", "--use-scope", "tax offices")
Run = Callable[..., Result]


@pytest.fixture
def service() -> MemoryService:
    service = MemoryService()
    service.apply_catalogue("operator", None)
    return service


@pytest.fixture
def run(service: MemoryService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run `exchange …` as the operator, or as a department (`by=`), against a served API."""
    file = tmp_path / "operator"
    file.write_text(OPERATOR_TOKEN)
    monkeypatch.delenv("EXCHANGE_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    with serving(create_app(service, HttpSettings(operator_token_file=file))) as url:
        monkeypatch.setenv("EXCHANGE_API__URL", url)

        def run(*words: str, by: str = "operator") -> Result:
            token = tmp_path / by
            if not token.exists():
                issued = run("token", "issue", "department", "--department", by, "--json")
                token.write_text(json.loads(issued.stdout)["token"])
            monkeypatch.setenv("EXCHANGE_API__TOKEN_FILE", str(token))
            return CliRunner().invoke(app, words)

        yield run


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(result: Result) -> Any:
    return json.loads(done(result))


def submit(run: Run) -> str:
    shown = done(run("demand", "submit", "credit_code", "name", "--resource", ENTERPRISES, *STATED, by=TAX))
    return shown.strip()


def test_every_step_of_a_demand_has_its_command(run: Run, service: MemoryService, tmp_path: Path) -> None:
    competent = as_json(run("token", "issue", "supervisor", "--json"))["token"]
    (tmp_path / "supervisor").write_text(competent)
    asked = ("demand", "submit", "certificate_number", "event", "--resource", "101004/0001", "--mode", "batch-exchange")
    demand = done(run(*asked, "--scenario", "joint ownership", by="natural-resources")).splitlines()[0]
    done(run("demand", "supplement", demand, "--legal-basis", "a law", "--use-scope", "staff", by="natural-resources"))
    done(run("demand", "request-supplement", demand, "--missing", "the article", by="supervisor"))
    done(run("demand", "supplement", demand, "--answer", "art. 23", by="natural-resources"))
    done(run("demand", "review", demand, by="supervisor"))
    done(run("demand", "extend", demand, "--days", "5", "--reason", "moving", by="civil-affairs"))
    done(run("demand", "extend", demand, by="supervisor"))
    done(run("demand", "refuse", demand, "--reason", "no duty", by="civil-affairs"))
    done(run("demand", "dispute", "open", demand, "--grounds", "the law names it", by="natural-resources"))
    done(run("demand", "dispute", "escalate", demand, "--reason", "no agreement", by="supervisor"))
    words = ("--outcome", "reply-again", "--reason", "it holds")
    done(run("demand", "dispute", "settle", demand, *words, by="supervisor"))
    shown = done(run("demand", "show", demand, by="natural-resources"))
    for part in ("5 working days, given", "settled: reply-again", "reply of the provider due ", "dispute-settled"):
        assert part in shown, shown
    consent = ("demand", "consent", demand, "--conditions", "only at the window", "--json")
    (grant,) = as_json(run(*consent, by="civil-affairs"))["grants"]
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    service.ledger.execute(ActivateGrant(grant))
    used = ("--scenario", "joint ownership", "--process", "matched by certificate")
    done(run("grant", "record-use", grant, *used, by="natural-resources"))
    assert "joint ownership" in done(run("grant", "uses", grant, by="civil-affairs"))
    done(run("grant", "end-purpose", grant, "--reason", "done", by="natural-resources"))
    done(run("grant", "confirm-disposal", grant, "--how", "table dropped", by="natural-resources"))
    assert as_json(run("grant", "show", grant, "--json"))["must_dispose"] is False
    assert "withdraw" in done(run("demand", "life")) and "| `renew` |" in done(run("demand", "life", "--markdown"))


def test_an_idempotency_key_that_is_empty_is_refused_instead_of_replaced(run: Run) -> None:
    words = ("demand", "submit", "credit_code", "--resource", ENTERPRISES, *STATED, "--key", "")
    found = run(*words, by=TAX)
    assert found.exit_code == USAGE and "E_REQUEST" in found.output


def test_a_wider_demand_replaces_one_on_the_command_line(run: Run, service: MemoryService) -> None:
    first = submit(run)
    wider = ("demand", "submit", "credit_code", "name", "status", "--resource", ENTERPRISES, *STATED)
    refused = run(*wider, by=TAX)
    assert refused.exit_code != 0 and "E_DEMAND_SPLIT" in refused.output and first in refused.output
    second = done(run(*wider, "--replaces", first, by=TAX)).strip()
    assert f"replaced by {second}" in " ".join(done(run("demand", "show", first, by=TAX)).split())
    assert f"replaces {first}" in " ".join(done(run("demand", "show", second, by=TAX)).split())
    (grant,) = as_json(run("demand", "consent", second, "--json", by=MARKET))["grants"]
    for command in (PlaceGrant(grant, service.schemas), ActivateGrant(grant), MarkFirstDelivered(grant, empty=False)):
        service.ledger.execute(command)
    assert as_json(run("demand", "show", first, "--json", by=TAX))["state"] == "withdrawn"


def test_a_demand_lives_on_the_command_line(run: Run, service: MemoryService) -> None:
    demand = submit(run)
    listed = as_json(run("demand", "list", "--state", "submitted", "--json", by=MARKET))
    assert [one["demand"] for one in listed] == [demand]
    consented = as_json(run("demand", "consent", demand, "--field", "name", "--json", by=MARKET))
    grant = consented["grants"][0]
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    service.ledger.execute(ActivateGrant(grant))
    held = as_json(run("grant", "list", "--active", "--json", by=TAX))
    assert [one["grant"] for one in held] == [grant]
    assert "demand-consented" in done(run("demand", "show", demand, by=TAX))
    assert "ended" in done(run("grant", "revoke", grant, "--reason", "purpose met", by=MARKET))
    assert "withdrawn" in done(run("demand", "withdraw", demand, by=TAX))


def test_a_refusal_is_told_to_the_demander(run: Run) -> None:
    demand = submit(run)
    assert "refused" in done(run("demand", "refuse", demand, "--reason", "not needed", by=MARKET))
    assert as_json(run("demand", "show", demand, "--json", by=TAX))["state"] == "refused"


def test_client_config_is_a_properties_file_for_any_client(run: Run, service: MemoryService) -> None:
    grant = as_json(run("demand", "consent", submit(run), "--json", by=MARKET))["grants"][0]
    early = run("grant", "show", grant, "--client-config", by=TAX)
    assert (early.exit_code, "E_GRANT_STATE" in early.stderr) == (DOES_NOT_HOLD, True)
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    shown = done(run("grant", "show", grant, "--client-config", by=TAX))
    lines = shown.splitlines()
    properties = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    share = service.ledger.state.shares[next(iter(service.ledger.state.shares))]
    assert properties == {
        "bootstrap.servers": "kafka.example:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": TAX,
        "sasl.password": "SECRET-OF-TAXATION",
        "group.id": f"grant.{grant}",
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "ssl.ca.location": "exchange-ca.pem",
    }
    said = "\n".join(line for line in lines if line.startswith("#"))
    assert f"share.{share.share}" in said
    assert f"/schemas/ids/{share.schema_id} " in said
    assert "# ssl.truststore.location=exchange-ca.pem" in lines
    told = as_json(run("grant", "show", grant, "--client-config", "--json", by=TAX))
    assert told == {"topic": f"share.{share.share}", "schema_id": share.schema_id, "properties": properties}


def test_client_config_names_no_authority_where_nothing_is_encrypted(run: Run, service: MemoryService) -> None:
    service.access = ClientAccess("127.0.0.1:9092", "SASL_PLAINTEXT", "SCRAM-SHA-512")
    grant = as_json(run("demand", "consent", submit(run), "--json", by=MARKET))["grants"][0]
    service.ledger.execute(PlaceGrant(grant, service.schemas))
    shown = done(run("grant", "show", grant, "--client-config", by=TAX))
    assert "security.protocol=SASL_PLAINTEXT" in shown
    assert "ssl." not in shown


def test_a_department_is_added_with_its_secret_shown_once(run: Run, service: MemoryService) -> None:
    shown = done(run("department", "add", TAX))
    assert service.secrets[TAX] in shown
    assert service.secrets[TAX] not in done(run("department", "add", TAX))
    rotated = done(run("department", "rotate-secret", TAX))
    assert service.secrets[TAX] in rotated
    assert service.secrets[TAX] not in shown
    registered = {one["department"]: one["registered"] for one in as_json(run("department", "list", "--json"))}
    assert registered[TAX] is True
    assert registered[MARKET] is False


def test_a_revoked_token_is_refused(run: Run) -> None:
    assert run("demand", "list", by=TAX).exit_code == 0
    token = next(one for one in as_json(run("token", "list", "--json")) if one["department"] == TAX)
    done(run("token", "revoke", token["id"]))
    refused = run("demand", "list", by=TAX)
    assert refused.exit_code == USAGE
    assert "E_TOKEN" in refused.stderr
    assert TABLE["E_TOKEN"].advice.split()[0] in refused.stderr


def test_books_that_do_not_close_end_with_one(run: Run, service: MemoryService) -> None:
    name = RecordType("population.death")
    service.accounts = [Account(name, None, {"taken": 1, "admitted": 1, "in_flight": 0}, 0)]
    assert "the books close" in done(run("books"))
    service.accounts = [Account(name, None, {"taken": 2, "admitted": 1, "in_flight": 0}, 1)]
    result = run("books")
    assert result.exit_code == DOES_NOT_HOLD
    assert "do NOT close" in result.stdout
    assert "E_BOOKS_OPEN: 1 of 1 sums" in result.stderr
    assert json.loads(run("books", "--json").stdout)["closed"] is False


def test_exit_status_tells_refused_from_wrong_use_and_from_unreachable(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand = submit(run)
    done(run("demand", "withdraw", demand, by=TAX))
    assert run("demand", "withdraw", demand, by=TAX).exit_code == DOES_NOT_HOLD
    assert run("demand", "show", "d-0", by=TAX).exit_code == DOES_NOT_HOLD
    assert run("demand", "refuse", demand, by=MARKET).exit_code == USAGE
    assert run("demand", "submit", "name", "--mask", "nonsense", by=TAX).exit_code == USAGE
    monkeypatch.setenv("EXCHANGE_API__URL", "http://127.0.0.1:1")
    away = run("books")
    assert away.exit_code == UNREACHABLE
    assert "E_API_UNREACHABLE" in away.stderr
    monkeypatch.delenv("EXCHANGE_API__TOKEN_FILE")
    assert CliRunner().invoke(app, ["books"]).exit_code == USAGE


def test_conditions_and_masks_are_written_shortly() -> None:
    assert condition_of("region^3401") == {"field": "region", "operator": "prefix", "values": ["3401"]}
    assert condition_of("status=1") == {"field": "status", "operator": "equals", "values": ["1"]}
    assert condition_of("status:1,2") == {"field": "status", "operator": "in", "values": ["1", "2"]}
    assert condition_of("name=a:b^c") == {"field": "name", "operator": "equals", "values": ["a:b^c"]}
    assert masks_of(["name=first"]) == {"name": "first"}
    for wrong in ("region", "=x", "region^", "a b=c"):
        with pytest.raises(ExchangeError):
            condition_of(wrong)
    with pytest.raises(ExchangeError):
        masks_of(["name="])


def test_errors_and_settings_are_printed_with_their_meaning() -> None:
    rows = json.loads(CliRunner().invoke(app, ["errors", "--json"]).stdout)
    assert {row["code"] for row in rows} == set(TABLE)
    assert all(row["meaning"] and row["advice"] for row in rows)
    assert CliRunner().invoke(app, ["errors", "E_NOTHING"]).exit_code == USAGE
    settings = {row["setting"]: row for row in json.loads(CliRunner().invoke(app, ["settings", "--json"]).stdout)}
    assert settings["EXCHANGE_HTTP__PORT"]["default"] == "8400"
    assert settings["EXCHANGE_KAFKA__PASSWORD"]["default"] is None
    assert all(row["meaning"] for row in settings.values())


def leaves_of(command: Any) -> Iterator[Any]:
    """Every command under a group, also of the groups in it."""
    if not hasattr(command, "commands"):
        yield command
        return
    for part in command.commands.values():
        yield from leaves_of(part)


def test_every_command_has_help_with_an_example() -> None:
    for name in COMMANDS:
        for leaf in leaves_of(load(name)):
            assert "Example" in (leaf.help or ""), f"{name} {leaf.name}"


@pytest.mark.parametrize(
    ("command", "forbidden"),
    [
        ("admit", {"fastapi", "sqlalchemy", "uvicorn", "httpx"}),
        ("deliver", {"fastapi", "sqlalchemy", "uvicorn", "httpx"}),
        ("run", {"fastapi", "uvicorn"}),
        ("serve", {"sqlalchemy", "psycopg"}),
    ],
)
def test_a_process_loads_only_what_it_needs(command: str, forbidden: set[str]) -> None:
    script = f"""
import sys
from typer.testing import CliRunner
from exchange.cli.main import app
result = CliRunner().invoke(app, ["{command}", "--help"])
assert result.exit_code == 0, result.output
if "{command}" == "serve":
    import exchange.broker.service, exchange.web.app
print(sorted({forbidden!r} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def test_the_catalogue_is_applied_once(service: MemoryService, run: Run) -> None:
    assert "nothing to apply" in done(run("catalogue", "apply"))
