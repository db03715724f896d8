"""What a sink asks of the broker service, answered by the real application over a ledger in memory."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from exchange.broker.commands import ConsentDemand, SubmitDemand
from exchange.broker.commands_grants import ActivateGrant, SuspendGrant
from exchange.broker.commands_shares import PlaceGrant
from exchange.broker.departments import ApplyCatalogue, IssueToken, digest
from exchange.catalogue.load import load
from exchange.connect.target import RECORD_KEY, Layout
from exchange.errors import ExchangeError
from exchange.handover.grants import GrantFinder
from exchange.handover.receive import judge
from exchange.ledger.state import GrantEntry
from exchange.names import Department, RecordType
from exchange.settings import ApiSettings, HttpSettings, Settings
from exchange.testing.service import MemoryService, serving
from exchange.web.app import create_app

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
def finder(url: str) -> Iterator[Callable[[Department], GrantFinder]]:
    made: list[GrantFinder] = []

    def of(department: Department) -> GrantFinder:
        finder = GrantFinder(ApiSettings(url=url, token=f"{TOKEN}-{department}"))  # type: ignore[arg-type]
        made.append(finder)
        return finder

    yield of
    for one in made:
        one.__exit__()


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
    found = tax.wait(TAX, COMPANIES, None, threading.Event())
    assert found is not None
    assert (found.grant, found.provider) == (grant.grant, "market-regulation")
    assert (found.topic, found.group) == (f"share.{grant.share}", f"grant.{grant.grant}")
    assert not found.pseudonymous
    schema = tax.schema(found.schema_id)
    assert [field["name"] for field in schema["fields"]] == ["credit_code", "name", "region"]
    assert tax.active(TAX, COMPANIES, "civil-affairs") is None


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
    assert finder(TAX).wait(TAX, COMPANIES, None, stop) is None


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
    with (
        GrantFinder(ApiSettings(url=url, token="wrong")) as finder,  # type: ignore[arg-type]
        pytest.raises(ExchangeError) as caught,
    ):
        finder.wait(TAX, COMPANIES, None, threading.Event())
    assert caught.value.code == "E_TOKEN"


@pytest.mark.parametrize("answer", [httpx.Response(502, text="no"), httpx.Response(500, json={"code": "E_NO_SUCH"})])
def test_an_answer_that_is_not_ours_is_an_unreachable_service(answer: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    with (
        GrantFinder(ApiSettings(token="t"), transport) as finder,  # type: ignore[arg-type]
        pytest.raises(ExchangeError) as caught,
    ):
        finder.active(TAX, COMPANIES, None)
    assert caught.value.code == "E_API_UNREACHABLE"
