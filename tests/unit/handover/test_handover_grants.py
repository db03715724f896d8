"""What a sink asks of the broker service, answered by the real application over a ledger in memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import ApplyCatalogue
from exchange.broker.departments.tokens import IssueToken, digest
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import SuspendGrant
from exchange.catalogue.load import load
from exchange.clock import Deadline, SystemClock
from exchange.errors import ExchangeError
from exchange.handover import grants
from exchange.handover.grants import GrantFinder, Holder
from exchange.handover.health import SinkHealth
from exchange.handover.layout import RECORD_KEY, Layout
from exchange.handover.receive import judge
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.names import Department, GrantId, RecordType
from exchange.observe.condition import Condition
from exchange.settings import ApiSettings, HttpSettings, Settings
from exchange.web.app import create_app
from tests.harness.memory.service import MemoryService, serving

TAX, HUMAN_RESOURCES = Department("taxation"), Department("human-resources")
COMPANIES = RecordType("legal-entity.registration")
DEATHS = RecordType("population.death")
STATED = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "the province", "mode": "batch-exchange"}
TOKEN = "token-of-this-test"
REFUSED = ExchangeError("E_KAFKA_FORBIDDEN", "reading a share")


@pytest.fixture
def service() -> MemoryService:
    service = MemoryService()
    service.ledger.execute(ApplyCatalogue.of(load(Settings().catalogue)), "operator")
    for department in (TAX, HUMAN_RESOURCES):
        service.ledger.execute(IssueToken("department", department, digest(f"{TOKEN}-{department}")), "operator")
    return service


@pytest.fixture
def url(service: MemoryService) -> Iterator[str]:
    with serving(create_app(service, HttpSettings())) as url:
        yield url


@pytest.fixture
def finder(url: str) -> Callable[[Department], GrantFinder]:
    return lambda department: GrantFinder(ApiSettings(url=url, token=SecretStr(f"{TOKEN}-{department}")))


def health(condition: Condition | None = None) -> SinkHealth:
    return SinkHealth("taxation.companies", condition or Condition(), SystemClock())


def consented(
    service: MemoryService, demander: Department, resource: str, fields: tuple[str, ...], **more: Any
) -> GrantEntry:
    schemas, execute = service.schemas, service.ledger.execute
    submit = SubmitDemand(demander=demander, resource=resource, fields=fields, schemas=schemas, **STATED, **more)
    demand = execute(submit, demander).entities[0]
    provider = service.ledger.state.demands[demand].provider
    execute(ConsentDemand(demand=demand, by=provider, schemas=schemas), str(provider))
    grant = service.ledger.state.demands[demand].grants[0]
    execute(PlaceGrant(grant, schemas), "exchange")
    return service.ledger.state.grants[grant]


def test_a_grant_is_found_as_soon_as_it_is_active(
    service: MemoryService, finder: Callable[[Department], GrantFinder]
) -> None:
    grant = consented(service, TAX, "102001/0001", ("credit_code", "name", "region"))
    tax = finder(TAX)
    assert tax.active(TAX, COMPANIES, None) is None
    service.ledger.execute(ActivateGrant(grant.grant), "exchange")
    found = tax.wait(Holder(TAX, COMPANIES), health(), threading.Event())
    assert found is not None
    assert (found.grant, found.provider) == (grant.grant, "market-regulation")
    assert (found.topic, found.group) == (f"share.{grant.share}", f"grant.{grant.grant}")
    assert not found.pseudonymous
    schema = tax.schema(found.schema_id)
    assert [field["name"] for field in schema["fields"]] == ["credit_code", "name", "region"]
    assert tax.active(TAX, COMPANIES, "civil-affairs") is None


def given_by(service: MemoryService, entry: GrantEntry, providers: int) -> None:
    """The same grant, as so many other departments would have given it."""
    for number in range(providers):
        grant, provider = GrantId(f"g-{1000 + number}"), Department(f"office-{number:03}")
        terms = replace(entry.terms, provider=provider)
        service.ledger.state.grants[grant] = replace(entry, grant=grant, terms=terms)


def test_a_grant_is_found_on_whatever_page_of_the_api_it_stands(
    service: MemoryService, finder: Callable[[Department], GrantFinder]
) -> None:
    entry = consented(service, TAX, "102001/0001", ("credit_code", "name"))
    service.ledger.execute(ActivateGrant(entry.grant), "exchange")
    given_by(service, service.ledger.state.grants[entry.grant], 100)
    tax = finder(TAX)
    for provider in ("market-regulation", "office-000", "office-098", "office-099"):
        found = tax.active(TAX, COMPANIES, provider)
        assert found is not None
        assert found.provider == provider
    found = tax.wait(Holder(TAX, COMPANIES, "office-099"), health(), threading.Event())
    assert found is not None
    assert found.grant == "g-1099"


def test_grants_of_all_pages_are_counted_before_one_is_taken(
    service: MemoryService, finder: Callable[[Department], GrantFinder]
) -> None:
    entry = consented(service, TAX, "102001/0001", ("credit_code", "name"))
    service.ledger.execute(ActivateGrant(entry.grant), "exchange")
    given_by(service, service.ledger.state.grants[entry.grant], 250)
    with pytest.raises(ExchangeError, match="251 grants"):
        finder(TAX).active(TAX, COMPANIES, None)


def test_a_sink_without_a_grant_is_ready_and_says_what_it_waits_for(
    service: MemoryService, finder: Callable[[Department], GrantFinder]
) -> None:
    entry = consented(service, TAX, "102001/0001", ("credit_code", "name"))
    condition, stop = Condition(), threading.Event()
    waiting = threading.Thread(target=finder(TAX).wait, args=(Holder(TAX, COMPANIES), health(condition), stop))
    waiting.start()
    try:
        deadline = Deadline.after(20)
        while condition.reason == "starting":
            assert not deadline.passed
            stop.wait(0.01)
        assert condition.state == (True, "waits for a grant")
        service.ledger.execute(ActivateGrant(entry.grant), "exchange")
        waiting.join(20)
        assert not waiting.is_alive()
    finally:
        stop.set()
        waiting.join()


def test_a_sink_goes_on_with_the_next_token_when_its_own_has_ended(
    service: MemoryService, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first-token-of-the-sink")
    service.ledger.execute(IssueToken("department", TAX, digest("first-token-of-the-sink"), 1), "operator")
    finder = GrantFinder(ApiSettings(url=url, token_file=file))
    assert finder.active(TAX, COMPANIES, None) is None
    service.ledger.clock.forward(days=1)
    with pytest.raises(ExchangeError, match="E_TOKEN"):
        finder.active(TAX, COMPANIES, None)
    file.unlink()
    with pytest.raises(ExchangeError, match="E_TOKEN"):
        finder.active(TAX, COMPANIES, None)
    service.ledger.execute(IssueToken("department", TAX, digest("next-token-of-the-sink")), "operator")
    file.write_text("next-token-of-the-sink\n")
    assert finder.active(TAX, COMPANIES, None) is None


def test_a_pseudonymous_grant_gets_a_key_column_of_its_own(
    service: MemoryService, finder: Callable[[Department], GrantFinder]
) -> None:
    masks = {"resident_id": "pseudonym"}
    grant = consented(service, HUMAN_RESOURCES, "101002/0001", ("resident_id", "death_date"), masks=masks)
    service.ledger.execute(ActivateGrant(grant.grant), "exchange")
    found = finder(HUMAN_RESOURCES).active(HUMAN_RESOURCES, DEATHS, None)
    assert found is not None
    schema = finder(HUMAN_RESOURCES).schema(found.schema_id)
    assert Layout.of(schema, ("provider_code", "resident_id"), found.pseudonymous).key == (RECORD_KEY,)


def test_a_stop_ends_the_waiting(finder: Callable[[Department], GrantFinder]) -> None:
    stop = threading.Event()
    stop.set()
    assert finder(TAX).wait(Holder(TAX, COMPANIES), health(), stop) is None


def test_a_refusal_of_kafka_is_the_end_of_the_grant_only_when_the_ledger_says_so(
    service: MemoryService, finder: Callable[[Department], GrantFinder]
) -> None:
    entry = consented(service, TAX, "102001/0001", ("credit_code", "name"))
    service.ledger.execute(ActivateGrant(entry.grant), "exchange")
    tax = finder(TAX)
    grant = tax.active(TAX, COMPANIES, None)
    assert grant is not None
    assert judge(REFUSED, grant, tax) is REFUSED
    service.ledger.execute(SuspendGrant(entry.grant, "market-regulation", "a doubt"), "market-regulation")
    assert judge(REFUSED, grant, tax).code == "E_GRANT_REFUSED"
    other = ExchangeError("E_KAFKA_UNREACHABLE")
    assert judge(other, grant, tax) is other


def test_a_wrong_token_is_an_error_and_not_a_reason_to_wait(url: str) -> None:
    finder = GrantFinder(ApiSettings(url=url, token=SecretStr("wrong")))
    with pytest.raises(ExchangeError) as caught:
        finder.wait(Holder(TAX, COMPANIES), health(), threading.Event())
    assert caught.value.code == "E_TOKEN"


@pytest.mark.parametrize(
    ("status", "body"), [(502, b"no"), (500, b'{"code": "E_NO_SUCH"}'), (404, b'["E_TOKEN"]'), (200, b"<html>")]
)
def test_an_answer_that_is_not_ours_is_an_unreachable_service(status: int, body: bytes) -> None:
    with answering(status, body) as url, pytest.raises(ExchangeError) as caught:
        GrantFinder(ApiSettings(url=url, token=SecretStr("t"))).active(TAX, COMPANIES, None)
    assert (caught.value.code, caught.value.detail) == ("E_API_UNREACHABLE", f"HTTP {status}")


@pytest.mark.parametrize(
    "body", [b"{}", b'{"items": {}}', b'{"items": null, "next": null}', b'{"items": [1]}', b'{"items": [{}]}']
)
def test_a_list_that_is_none_is_an_unreachable_service(body: bytes) -> None:
    with answering(200, body) as url, pytest.raises(ExchangeError) as caught:
        GrantFinder(ApiSettings(url=url, token=SecretStr("t"))).active(TAX, COMPANIES, None)
    assert caught.value.code == "E_API_UNREACHABLE"


def test_a_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "_MOST_PAGES", 5)
    with answering(200, b'{"items": [], "next": "again"}') as url, pytest.raises(ExchangeError) as caught:
        GrantFinder(ApiSettings(url=url, token=SecretStr("t"))).active(TAX, COMPANIES, None)
    assert caught.value.code == "E_API_UNREACHABLE"


@pytest.mark.parametrize(
    ("status", "code"), [(429, "E_RATE_LIMIT"), (503, "E_NOT_LEADER"), (503, "E_LEADER_SILENT"), (502, "E_NO_SUCH")]
)
def test_a_broker_service_that_restarts_or_is_busy_is_waited_for(status: int, code: str) -> None:
    condition, stop = Condition(), threading.Event()
    with answering(status, f'{{"code": "{code}"}}'.encode()) as url:
        finder = GrantFinder(ApiSettings(url=url, token=SecretStr("t")))
        ended: list[object] = []
        waiting = threading.Thread(
            target=lambda: ended.append(finder.wait(Holder(TAX, COMPANIES), health(condition), stop))
        )
        waiting.start()
        deadline = Deadline.after(20)
        while condition.reason == "starting" and not deadline.passed and waiting.is_alive():
            stop.wait(0.01)
        stop.set()
        waiting.join(20)
    assert ended == [None]
    assert not condition.ready
    assert condition.reason.startswith("away since")


def test_a_redirection_is_not_followed_with_the_token() -> None:
    with (
        answering(307, b"", ("Location", "http://127.0.0.1:9/elsewhere")) as url,
        pytest.raises(ExchangeError) as caught,
    ):
        GrantFinder(ApiSettings(url=url, token=SecretStr("t"))).active(TAX, COMPANIES, None)
    assert caught.value.detail == "HTTP 307"


def test_a_service_that_is_not_there_is_unreachable() -> None:
    with answering(200, b"{}") as url:
        pass
    with pytest.raises(ExchangeError, match="ConnectionRefusedError") as caught:
        GrantFinder(ApiSettings(url=url, token=SecretStr("t"))).active(TAX, COMPANIES, None)
    assert caught.value.code == "E_API_UNREACHABLE"


@pytest.mark.parametrize("url", ["", "localhost:8400", "ftp://localhost", "http://", "http://host:port", "http://[1"])
def test_an_address_that_is_none_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ExchangeError) as caught:
        GrantFinder(ApiSettings(url=url, token=SecretStr("t")))
    assert caught.value.code == "E_SETTINGS"


@contextmanager
def answering(status: int, body: bytes, *headers: tuple[str, str]) -> Iterator[str]:
    """A service of somebody else that gives one answer to everything."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
