"""Corrections: a grantee doubts a record, the provider answers, the next version closes; the ledger is silent."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from exchange.broker.corrections.commands import CloseCorrection, correction_clock
from exchange.broker.demands.reply import ConsentDemand
from exchange.broker.demands.submit import SubmitDemand
from exchange.broker.departments.commands import AddDepartment
from exchange.broker.departments.succession import SucceedDepartment
from exchange.broker.enforcement.wanted import wanted
from exchange.broker.grants.activate import ActivateGrant
from exchange.broker.grants.place import PlaceGrant
from exchange.broker.grants.suspend import RevokeGrant, SuspendGrant
from exchange.cli.main import app
from exchange.errors import ExchangeError
from exchange.ledger import fold
from exchange.ledger.state.ledger_state import GrantEntry
from exchange.names import CorrectionId, DemandId, Department, RecordType, correction_topic
from exchange.observe import logs, metrics
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from tests.harness.memory.ledger import chain, publish_demands
from tests.harness.memory.service import MemoryService, serving

OPERATOR_TOKEN = "operator-token-of-this-test"
TAX, MARKET, HR = Department("taxation"), Department("market-regulation"), Department("human-resources")
HEALTH = Department("health")
COMPANY = RecordType("legal-entity.registration")
KEY = "91340100MA2N00001X"
WORDS = "王小明 says that the company moved"
STATED: dict[str, Any] = {"legal_basis": "a law", "scenario": "a duty", "use_scope": "all", "mode": "batch-exchange"}
Ask = Callable[..., httpx.Response]


@pytest.fixture
def service() -> MemoryService:
    service = MemoryService()
    service.apply_catalogue("operator", None)
    for department in (TAX, MARKET, HR):
        service.ledger.execute(AddDepartment(department))
    return service


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process of the product logs."""
    stream = io.StringIO()
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()


def granted(service: MemoryService, *fields: str) -> GrantEntry:
    """An active grant of the tax office."""
    asked = SubmitDemand(demander=TAX, resource="102001/0001", fields=fields, **STATED, schemas=service.schemas)
    demand = service.ledger.state.demands[DemandId(service.ledger.execute(asked).entities[0])]
    service.ledger.execute(ConsentDemand(demand=demand.demand, by=MARKET, schemas=service.schemas))
    service.ledger.execute(PlaceGrant(demand.grants[0], service.schemas))
    service.ledger.execute(ActivateGrant(demand.grants[0]))
    return service.ledger.state.grants[demand.grants[0]]


@pytest.fixture
def grant(service: MemoryService) -> GrantEntry:
    return granted(service, "credit_code", "name", "address")


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
def token(url: str) -> Callable[[str], str]:
    """The token of a role or a department."""
    tokens = {"operator": OPERATOR_TOKEN}

    def token(who: str) -> str:
        if who not in tokens:
            role = who if who in ("supervisor", "auditor") else "department"
            body = {"role": role, "department": who if role == "department" else None}
            headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
            answer = httpx.post(f"{url}/v1/tokens", json=body, headers=headers, trust_env=False)
            tokens[who] = answer.json()["token"]
        return tokens[who]

    return token


@pytest.fixture
def ask(url: str, token: Callable[[str], str], grant: GrantEntry) -> Ask:
    """Send a request as somebody: without a path a doubt about the address of a record."""

    def ask(who: str, path: str = "", method: str = "POST", once: str | None = None, **body: Any) -> httpx.Response:
        doubt = {"grant": grant.grant, "key": KEY, "fields": ["address"], "words": WORDS}
        headers = {"Authorization": f"Bearer {token(who)}"} | ({} if once is None else {"Idempotency-Key": once})
        json_ = None if method == "GET" else body if path else doubt | body
        address = f"{url}/v1/corrections{path}"
        return httpx.request(method, address, json=json_, headers=headers, trust_env=False)

    return ask


def made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    return dict(answer.json())


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert KEY not in answer.text
    assert WORDS not in answer.text


# the life


def test_a_doubt_is_answered_and_closed_by_the_next_version_of_the_record(
    service: MemoryService, ask: Ask, grant: GrantEntry
) -> None:
    registry = service.written.registry.setdefault(COMPANY, [KEY.encode()])
    one = made(ask(TAX))
    name = one["correction"]
    assert (one["state"], one["provider"], one["fields"]) == ("submitted", MARKET, ["address"])
    assert (one["clocks"]["correction"]["due"], one["clocks"]["correction"]["overdue"]) == ("2026-12-08", False)
    answered = made(ask(MARKET, f"/{name}/answer", answer="corrected", words="a typing error"))
    assert (answered["state"], answered["answer_words"]) == ("answered", "a typing error")
    service.corrections.watch()
    registry += [b"another", KEY.encode()]
    service.corrections.watch()
    closed = made(ask(TAX, f"/{name}", "GET"))
    assert (closed["state"], closed["version"]) == ("closed", {"partition": 0, "offset": 2})
    assert service.written.looked == [1, 1]
    assert grant.active
    told = [e.event for e in service.ledger.state.demands[grant.demand].history][-3:]
    assert told == ["correction-submitted", "correction-answered", "correction-closed"]
    assert fold(service.ledger.events) == service.ledger.state
    before = service.ledger.state.seq
    service.ledger.execute(CloseCorrection(name, 7))
    service.corrections.watch()
    assert service.ledger.state.seq == before


def test_a_version_that_came_between_doubt_and_answer_closes_too(service: MemoryService, ask: Ask) -> None:
    name = made(ask(TAX))["correction"]
    with pytest.raises(ExchangeError, match="E_CORRECTION_STATE"):
        service.ledger.execute(CloseCorrection(name, 0))
    service.written.registry[COMPANY] = [KEY.encode()]
    service.corrections.watch()
    assert made(ask(TAX, f"/{name}", "GET"))["state"] == "submitted"
    made(ask(MARKET, f"/{name}/answer", answer="withdrawn"))
    service.corrections.watch()
    assert made(ask(TAX, f"/{name}", "GET"))["state"] == "closed"


def test_the_watch_goes_on_where_it_stopped(service: MemoryService, ask: Ask) -> None:
    name = made(ask(TAX))["correction"]
    made(ask(MARKET, f"/{name}/answer", answer="corrected"))
    service.written.registry[COMPANY] = [b"another"] * 5
    service.corrections.watch()
    service.corrections.watch()
    assert service.written.looked == [0, 5]


def test_a_correction_whose_key_cannot_be_read_keeps_no_other_waiting(service: MemoryService, ask: Ask) -> None:
    one, other = (made(ask(TAX))["correction"] for _ in range(2))
    for name in (one, other):
        made(ask(MARKET, f"/{name}/answer", answer="corrected"))
    service.written.registry[COMPANY] = [KEY.encode()]
    service.written.unreadable.add(one)
    service.corrections.watch()
    assert made(ask("auditor", "?state=closed", "GET"))["items"][0]["correction"] == other
    service.written.unreadable.clear()
    service.corrections.watch()
    assert [item["state"] for item in made(ask("auditor", "?", "GET"))["items"]] == ["closed", "closed"]


def test_a_record_that_is_right_as_it_is_closes_at_once_and_needs_words(service: MemoryService, ask: Ask) -> None:
    name = made(ask(TAX))["correction"]
    refused(ask(MARKET, f"/{name}/answer", answer="right-as-it-is"), 422, "E_CORRECTION_REASON")
    done = made(ask(MARKET, f"/{name}/answer", answer="right-as-it-is", words="as the register says"))
    assert (done["state"], done["answer"], done["answer_words"]) == ("closed", "right-as-it-is", "as the register says")
    refused(ask(MARKET, f"/{name}/answer", answer="corrected"), 409, "E_CORRECTION_STATE")
    service.corrections.watch()
    assert service.written.looked == []


def test_a_late_answer_is_overdue_and_shown_by_department(service: MemoryService, ask: Ask) -> None:
    name = made(ask(TAX))["correction"]
    service.ledger.clock.forward(days=14)
    publish_demands(service.ledger.state, service.clock.now())
    assert ("correction", MARKET) not in metrics.DEMANDS_OVERDUE.read()
    service.ledger.clock.forward(days=1)
    publish_demands(service.ledger.state, service.clock.now())
    assert metrics.DEMANDS_OVERDUE.read()[("correction", MARKET)] == 1.0
    assert [one["correction"] for one in made(ask(TAX, "?overdue=true", "GET"))["items"]] == [name]
    made(ask(MARKET, f"/{name}/answer", answer="corrected"))
    publish_demands(service.ledger.state, service.clock.now())
    assert ("correction", MARKET) not in metrics.DEMANDS_OVERDUE.read()
    clock = correction_clock(service.ledger.state.corrections[CorrectionId(name)], service.clock.now())
    assert (clock.overdue, clock.late) == (True, False)


def test_a_correction_repeated_with_its_key_is_made_once_and_not_for_another_record(
    service: MemoryService, ask: Ask
) -> None:
    first, again = made(ask(TAX, once="one")), made(ask(TAX, once="one"))
    assert first == again
    refused(ask(TAX, once="one", fields=["name"]), 409, "E_IDEMPOTENCY")
    refused(ask(TAX, once="one", key="91340100MA2N00002X"), 409, "E_IDEMPOTENCY")
    assert len(service.ledger.state.corrections) == 1


# who may do what


def test_only_the_two_parties_see_key_and_words_and_nobody_else_that_it_exists(ask: Ask) -> None:
    name = made(ask(TAX))["correction"]
    for party in (TAX, MARKET):
        shown = made(ask(party, f"/{name}", "GET"))
        assert (shown["key"], shown["words"]) == (KEY, WORDS)
    for overseer in ("supervisor", "operator", "auditor"):
        answer = ask(overseer, f"/{name}", "GET")
        assert made(answer)["key"] is None
        assert WORDS not in answer.text
    refused(ask(HR, f"/{name}", "GET"), 404, "E_UNKNOWN_CORRECTION")
    assert made(ask(HR, "?state=submitted", "GET"))["items"] == []
    listed = ask(MARKET, "?state=submitted", "GET")
    assert [one["correction"] for one in made(listed)["items"]] == [name]
    assert KEY not in listed.text


def test_a_grantee_doubts_and_the_provider_answers_and_nobody_else(ask: Ask) -> None:
    refused(ask(MARKET), 403, "E_ROLE")
    refused(ask(HR), 404, "E_UNKNOWN_GRANT")
    refused(ask("operator"), 403, "E_ROLE")
    name = made(ask(TAX))["correction"]
    refused(ask(TAX, f"/{name}/answer", answer="corrected"), 403, "E_ROLE")
    refused(ask(HR, f"/{name}/answer", answer="corrected"), 404, "E_UNKNOWN_CORRECTION")
    refused(ask("supervisor", f"/{name}/answer", answer="corrected"), 403, "E_ROLE")


def test_what_is_no_doubt_about_a_granted_field_is_refused(service: MemoryService, ask: Ask, grant: GrantEntry) -> None:
    cases: tuple[tuple[dict[str, Any], int, str], ...] = (
        ({"fields": ["status"]}, 422, "E_UNKNOWN_FIELD"),
        ({"fields": []}, 422, "E_REQUEST"),
        ({"words": " "}, 422, "E_CORRECTION_REASON"),
        ({"key": "~"}, 422, "E_REQUEST"),
        ({"grant": "g-0"}, 404, "E_UNKNOWN_GRANT"),
    )
    for body, status, code in cases:
        refused(ask(TAX, **body), status, code)
    service.written.without_topic.add(MARKET)
    assert ask(TAX).json()["code"] == "E_KAFKA_TOPIC_MISSING"
    service.written.without_topic.clear()
    service.ledger.execute(SuspendGrant(grant.grant, MARKET, "misuse"))
    made(ask(TAX))
    service.ledger.execute(RevokeGrant(grant.grant, MARKET, "misuse"))
    refused(ask(TAX), 409, "E_GRANT_STATE")


def test_a_record_under_a_pseudonym_cannot_be_named(service: MemoryService, ask: Ask, grant: GrantEntry) -> None:
    service.ledger.execute(RevokeGrant(grant.grant, MARKET, "the other one"))
    pseudonymous = granted(service, "name", "status")
    refused(ask(TAX, grant=pseudonymous.grant, fields=["name"]), 422, "E_CORRECTION_PSEUDONYM")


def test_the_successor_of_the_provider_answers_and_keeps_the_words_of_new_doubts(
    service: MemoryService, ask: Ask
) -> None:
    before = made(ask(TAX))["correction"]
    service.ledger.execute(SucceedDepartment(department=MARKET, heirs=(HEALTH,), reason="reform"))
    after = made(ask(TAX))["correction"]
    assert {one.topic for one in service.ledger.beside} == {correction_topic(MARKET), correction_topic(HEALTH)}
    for name in (before, after):
        assert made(ask(HEALTH, f"/{name}", "GET"))["words"] == WORDS
        made(ask(HEALTH, f"/{name}/answer", answer="corrected"))


def test_the_provider_reads_its_correction_topic_and_no_other_department_does(service: MemoryService) -> None:
    state = wanted(service.ledger.state, service.clock.now(), None)
    rights = {(acl.principal, acl.operation) for acl in state.acls if acl.name == correction_topic(MARKET)}
    assert rights == {(MARKET, "read")}
    assert correction_topic(MARKET) in state.topics


# silence


def test_neither_ledger_nor_logs_nor_reprs_hold_key_or_words(
    service: MemoryService, ask: Ask, log: io.StringIO
) -> None:
    name = made(ask(TAX, once="one"))["correction"]
    ask(TAX, fields=["status"])
    made(ask(MARKET, f"/{name}/answer", answer="corrected", words=WORDS))
    service.written.registry[COMPANY] = [KEY.encode()]
    service.corrections.watch()
    said = json.dumps([event.exported() for event in service.ledger.events], ensure_ascii=False)
    for text in (said, log.getvalue(), repr(service.ledger.state), repr(service.ledger.beside)):
        assert KEY not in text
        assert "王小明" not in text
    assert "corrections.closed" in log.getvalue()


def test_a_ledger_with_the_promised_members_alone_folds() -> None:
    about = {"correction": "c-9", "grant": "g-9"}
    state = fold(chain([("correction-submitted", about), ("correction-answered", about)]))
    assert state.unread == 2


# command line


def test_a_correction_lives_on_the_command_line(
    url: str, token: Callable[[str], str], grant: GrantEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_API__URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("EXCHANGE_CONFIG", raising=False)

    def run(who: str, *words: str, input_: str | None = None) -> str:
        monkeypatch.setenv("EXCHANGE_API__TOKEN", token(who))
        done = CliRunner().invoke(app, ("correction", *words), input=input_)
        assert done.exit_code == 0, done.output
        return done.stdout

    shown = run(TAX, "submit", "--grant", grant.grant, "--field", "address", input_=f"{KEY}\n{WORDS}\n")
    name = shown.split("correction ", 1)[1].split()[0]
    assert "2026-12-08" in run(MARKET, "list", "--state", "submitted")
    assert KEY in run(MARKET, "show", name)
    assert json.loads(run(MARKET, "answer", name, "corrected", "--json"))["state"] == "answered"
