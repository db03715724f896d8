"""Both halves against a broker service at work: digests of real shares, results beside the evidence, the command."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app
from exchange.connect import sink, table
from exchange.connect.declare import Sink, Source
from exchange.connect.find import Connector
from exchange.connect.reading import Cursor, Page, SourceRow
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.embedded.postgres import EmbeddedPostgres
from exchange.errors import ExchangeError
from exchange.handover.granted import Run
from exchange.handover.start import serve
from exchange.names import Department, GrantId
from exchange.reconcile import halves
from exchange.reconcile.result import Finding
from exchange.reconcile.sink import Pace
from exchange.settings import ApiSettings, ConnectorSettings, HttpSettings, Settings
from exchange.web.app import create_app
from exchange.web.client import ApiClient
from tests.harness.kafka.broker_service import PROVIDER, TYPE, Office, company
from tests.harness.memory.service import serving
from tests.harness.source_tables import execute

pytestmark = pytest.mark.kafka
GRANTEE, STRANGER = Department("taxation"), Department("health")
OPERATOR_TOKEN = "operator-token-of-this-test"
FIELDS = ("credit_code", "name", "region", "established")
SINK: Sink = sink(TYPE, table("companies"))


@dataclass
class Register:
    """The provider's own table, in memory."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    fingerprint: str = "register"
    waiting: bool = False
    brings_all: bool = True

    def reader(self, settings: ConnectorSettings) -> "Register":
        return self

    def page(self, cursor: Cursor, limit: int) -> Page | None:
        return None

    def due(self, cursor: Cursor | None) -> bool:
        return False

    def whole(self, limit: int) -> Iterator[Page]:
        yield Page([SourceRow(row, 1) for row in self.rows.values()], {})

    def close(self) -> None: ...


@dataclass
class Desks:
    """The desks of departments beside a broker service at work."""

    office: Office
    url: str
    operator: ApiClient
    folder: Path

    def settings(self, department: Department, **connector: Any) -> Settings:
        """As a department has them: its own secret and token."""
        self.office.register(department)
        token = self.operator.post("/v1/tokens", {"role": "department", "department": department})["token"]
        secret = self.folder / f"{department}.secret"
        secret.write_text(self.office.secrets[department])
        kafka = self.office.settings.kafka.model_copy(
            update={"username": department, "password_file": secret, "admin_password_file": None}
        )
        return Settings(
            kafka=kafka,
            api=ApiSettings(url=self.url, token=token),
            connector=ConnectorSettings(**connector),
            worker_id=f"desk-{department}",
        )


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    folder = tmp_path_factory.mktemp("office")
    file = folder / "operator.token"
    file.write_text(OPERATOR_TOKEN)
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")).start() as kafka, Office(folder, kafka) as office:
        service = create_app(office.service, HttpSettings(operator_token_file=file))
        with serving(service) as url, ApiClient(ApiSettings(url=url, token=OPERATOR_TOKEN)) as operator:  # type: ignore[arg-type]
            yield Desks(office, url, operator, folder)


ROWS = {row["credit_code"]: row for row in (company(number, region=f"34{number % 3}000") for number in range(60))}


def test_both_halves_of_a_served_grant_are_equal_and_then_say_what_is_not(
    desks: Desks, postgres: EmbeddedPostgres, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = desks.office
    office.write(ROWS.values())
    grant = office.consent(GRANTEE, FIELDS)
    share = office.entry(grant).share
    assert share is not None
    office.until(lambda: office.content(share).keys() == ROWS.keys(), "the share is filled")
    own = desks.settings(GRANTEE, database=postgres.database(unique))
    connector = Connector(f"{GRANTEE}.companies", GRANTEE, SINK)
    run_sink(connector, own)
    register = Register(dict(ROWS))
    theirs = desks.settings(PROVIDER)

    assert grantee(own, grant).result.holds
    assert provider(theirs, grant, register).result.holds

    execute(
        own.connector.database.get_secret_value(), "UPDATE companies SET name = 'forged' WHERE credit_code = 'C00007'"
    )
    execute(own.connector.database.get_secret_value(), "DELETE FROM companies WHERE credit_code = 'C00008'")
    assert named(grantee(own, grant)) == {("altered", "C00007"), ("missing", "C00008")}

    register.rows["C00003"] = ROWS["C00003"] | {"region": "999999"}
    register.rows["NEW"] = company(1, credit_code="NEW")
    del register.rows["C00005"]
    assert named(provider(theirs, grant, register)) == {
        ("altered", "C00003"),
        ("missing", "NEW"),
        ("extra", "C00005"),
    }

    # the command, the grantee's word beside the evidence, and the mending
    monkeypatch.setattr(halves, "of_department", lambda _department: [connector])
    with environment(monkeypatch, own):
        shown = CliRunner().invoke(app, ["reconcile", grant, "--json"])
        assert shown.exit_code == 1, shown.output
        assert {(one["kind"], one["key"]) for one in json.loads(shown.stdout)["differences"]} == {
            ("altered", "C00007"),
            ("missing", "C00008"),
        }
        office.until(lambda: reconciled(desks, grant, "altered") == 1, "the result stands beside the evidence")
        assert "C00007" not in json.dumps(desks.operator.get(f"/v1/grants/{grant}"))
        mended = CliRunner().invoke(app, ["reconcile", grant, "--mend"])
        assert mended.exit_code == 0, mended.output
        assert "mended: they are equal" in mended.output
    office.until(lambda: reconciled(desks, grant, "altered") == 0, "the new result stands beside the evidence")


def test_a_share_of_some_rows_and_masked_fields_is_compared_as_it_is_cut(desks: Desks) -> None:
    office = desks.office
    office.write(ROWS.values())
    grant = office.consent(Department("civil-affairs"), ("credit_code", "name", "region"))
    share = office.entry(grant).share
    assert share is not None
    office.until(lambda: office.content(share).keys() == ROWS.keys(), "the share is filled")
    register = Register({code: row | {"address": "not granted"} for code, row in ROWS.items()})
    assert provider(desks.settings(PROVIDER), grant, register).result.holds


def test_a_stranger_gets_no_digests(desks: Desks) -> None:
    grant = desks.office.consent(Department("finance"), FIELDS[:2])
    with ApiClient(desks.settings(STRANGER).api) as api, pytest.raises(ExchangeError) as caught:
        api.get(f"/v1/grants/{grant}/digests")
    assert caught.value.code == "E_UNKNOWN_GRANT"
    with pytest.raises(ExchangeError) as caught:
        desks.operator.get(f"/v1/grants/{grant}/digests")
    assert caught.value.code == "E_ROLE"


def run_sink(connector: Connector, settings: Settings) -> None:
    declared = connector.declaration
    assert isinstance(declared, Sink)
    serve(connector, declared, settings, Run(threading.Event(), once=True))


def grantee(settings: Settings, grant: GrantId) -> Finding:
    with ApiClient(settings.api) as api:
        return halves.grantee_half(settings, api, api.get(f"/v1/grants/{grant}"), SINK, Pace())


def provider(settings: Settings, grant: GrantId, register: Register) -> Finding:
    with ApiClient(settings.api) as api:
        source = Source(TYPE, register, dict)
        view = api.get(f"/v1/grants/{grant}")
        return halves.provider_half(settings, api, view, [("market-regulation.register", source)], Pace(2.0))


def named(finding: Finding) -> set[tuple[str, str]]:
    return {(one.kind.value, one.key) for one in finding.differences}


def reconciled(desks: Desks, grant: GrantId, what: str) -> Any:
    half = (desks.operator.get(f"/v1/grants/{grant}")["reconciled"] or {}).get("grantee")
    return None if half is None else half[what]


@contextmanager
def environment(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    """The settings of a department as its process has them."""
    kafka = settings.kafka
    named: Mapping[str, str] = {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
        "KAFKA__USERNAME": kafka.username,
        "KAFKA__PASSWORD_FILE": str(kafka.password_file),
        "API__URL": settings.api.url,
        "API__TOKEN": settings.api.token.get_secret_value(),
        "CONNECTOR__DATABASE": settings.connector.database.get_secret_value(),
        "WORKER_ID": settings.worker_id,
    }
    with monkeypatch.context() as patched:
        for name, value in named.items():
            patched.setenv(f"EXCHANGE_{name}", value)
        yield
