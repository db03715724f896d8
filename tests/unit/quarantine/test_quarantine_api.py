"""Quarantine over HTTP and by the command line, on records in memory."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from exchange.avro import Codec
from exchange.cli.main import app as commands
from exchange.demo.province.people import Population
from exchange.names import Department, RecordType
from exchange.record import frame
from exchange.settings import HttpSettings
from exchange.web.app import create_app
from tests.harness.memory.quarantine import Sent
from tests.harness.memory.service import MemoryService, serving

OPERATOR_TOKEN = "operator-token-of-this-test"
MARKET, HEALTH = Department("market-regulation"), Department("health")
TYPES = {MARKET: RecordType("legal-entity.registration"), HEALTH: RecordType("population.death")}
SECRET_KEY = b"349901199001011234"


@dataclasses.dataclass
class Bus:
    """A service with records in quarantine, its address, and tokens by who has them."""

    service: MemoryService
    http: httpx.Client
    folder: Path
    tokens: dict[str, str]

    def put(self, owner: Department, code: str, number: int = 1, value: bytes = b"v", **sent: Any) -> list[str]:
        record = Sent(SECRET_KEY, value, [("ce_sequence", b"1"), ("phone-13800000000", b"x")], **sent)
        return [str(self.service.store.put(owner, TYPES[owner], code, record)) for _ in range(number)]

    def get(self, who: str, path: str = "", **params: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        return self.http.get(f"/v1/quarantine{path}", params=params, headers=headers)

    def post(self, who: str, path: str, key: str | None = None, **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} | ({"Idempotency-Key": key} if key else {})
        return self.http.post(f"/v1/quarantine/{path}", json=body, headers=headers)

    def ids(self, who: str, **params: Any) -> list[str]:
        return [item["id"] for item in self.get(who, **params).json()["items"]]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    service, file = MemoryService(), tmp_path / "operator.token"
    file.write_text(OPERATOR_TOKEN)
    app = create_app(service, HttpSettings(operator_token_file=file))
    with serving(app) as url, httpx.Client(base_url=url, trust_env=False) as http:
        operator = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
        http.post("/v1/catalogue", json={}, headers=operator)
        tokens = {"operator": OPERATOR_TOKEN}
        for who in (MARKET, HEALTH, "supervisor", "auditor"):
            role = who if who in ("supervisor", "auditor") else "department"
            body = {"role": role, "department": who if role == "department" else None}
            tokens[who] = http.post("/v1/tokens", json=body, headers=operator).json()["token"]
        yield Bus(service, http, tmp_path, tokens)


Run = Callable[..., Result]


@pytest.fixture
def run(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`exchange quarantine …` as the operator, in a terminal of 80 columns."""
    monkeypatch.setenv("EXCHANGE_API__URL", str(bus.http.base_url))
    monkeypatch.setenv("EXCHANGE_API__TOKEN", OPERATOR_TOKEN)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(commands, ["quarantine", *arguments])

    return run


# who may see and do what


def test_supervisors_and_auditors_have_no_business_in_quarantine(bus: Bus) -> None:
    (place,) = bus.put(MARKET, "E_FRAMING")
    for who in ("supervisor", "auditor"):
        answers = [
            bus.get(who),
            bus.get(who, f"/{place}"),
            bus.post(who, "redrive", department=MARKET, code="E_FRAMING"),
            bus.post(who, "discard", department=MARKET, code="E_FRAMING", reason="why"),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "E_ROLE")] * 4


def test_a_department_sees_and_settles_its_own_alone(bus: Bus) -> None:
    (mine,), (other,) = bus.put(MARKET, "E_FRAMING"), bus.put(HEALTH, "E_FRAMING")
    assert bus.ids(MARKET) == [mine]
    assert bus.ids("operator") == [other, mine]
    assert bus.get(MARKET).json()["counts"] == {MARKET: {"E_FRAMING": 1}}
    assert bus.get(MARKET, department=HEALTH).json()["code"] == "E_ROLE"
    assert bus.get(MARKET, f"/{other}").json()["code"] == "E_UNKNOWN_QUARANTINED"
    assert bus.get(MARKET, f"/{mine}").status_code == 200
    for path in ("redrive", "discard"):
        answer = bus.post(
            MARKET, path, department=HEALTH, code="E_FRAMING", **({"reason": "x"} if path == "discard" else {})
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "E_ROLE")
    assert bus.post(MARKET, "redrive", department=MARKET, ids=[mine]).json()["redriven"] == 1
    assert bus.ids("operator") == [other]


# what the API does


def test_a_list_is_filtered_and_paged(bus: Bus) -> None:
    framing, unknown = bus.put(MARKET, "E_FRAMING", 3), bus.put(MARKET, "E_CODE_UNKNOWN", 2)
    death = bus.put(HEALTH, "E_CODE_UNKNOWN")
    assert bus.ids("operator", code="E_CODE_UNKNOWN") == death + unknown
    assert bus.ids("operator", stage="admission.unseal") == framing
    assert bus.ids("operator", record_type="population.death") == death
    assert bus.ids("operator", department=MARKET) == framing + unknown
    assert bus.ids("operator", since="2026-11-24T08:00:00Z") == death + framing + unknown
    assert bus.ids("operator", since="2026-11-24T08:00:01Z") == []
    found: list[str] = []
    cursor: str | None = None
    while cursor is not None or not found:
        page = bus.get("operator", limit=2, **({"cursor": cursor} if cursor else {})).json()
        found, cursor = found + [item["id"] for item in page["items"]], page["next"]
        assert len(page["items"]) <= 2
    assert found == death + framing + unknown


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"department": "nobody"}, "E_UNKNOWN_DEPARTMENT"),
        ({"status": "lost"}, "E_REQUEST"),
        ({"since": "2026-11-24"}, "E_REQUEST"),
        ({"cursor": "bm8gcGxhY2U="}, "E_REQUEST"),
        ({"limit": 501}, "E_REQUEST"),
    ],
)
def test_a_question_of_wrong_form_is_refused(bus: Bus, params: dict[str, Any], code: str) -> None:
    assert bus.get("operator", **params).json()["code"] == code


def test_showing_a_record_says_why_and_what_helps_and_no_value(bus: Bus) -> None:
    locked = bus.service.schemas.latest(TYPES[MARKET])
    row = dataclasses.asdict(next(iter(Population(3).companies(1, "11340000EXCH00018B"))))
    (place,) = bus.put(MARKET, "E_CODE_UNKNOWN", value=frame(locked.id) + Codec(locked.schema).encode(row))
    shown = bus.get("operator", f"/{place}").json()
    assert (shown["code"], shown["stage"], shown["status"]) == ("E_CODE_UNKNOWN", "admission.check", "waiting")
    assert shown["advice"] == "use a code of the list that the message names"
    assert shown["origin"] == "inbox.legal-entity.registration.market-regulation/0/0"
    assert [header["name"] for header in shown["headers"]] == ["ce_sequence", "<17 characters>"]
    assert [field["field"] for field in shown["value"]["fields"]][: len(row)] == list(row)
    text = json.dumps([shown, bus.get("operator").json()], ensure_ascii=False)
    assert SECRET_KEY.decode() not in text
    assert not any(held in text for held in row.values() if isinstance(held, str) and len(held) > 3)


def test_a_redrive_says_what_it_did_and_the_record_waits_no_longer(bus: Bus) -> None:
    ids = bus.put(MARKET, "E_FRAMING", 3)
    astray = bus.put(MARKET, "E_KEY_PARTITION", partition=7)
    bus.service.store.entries[-1] = dataclasses.replace(bus.service.store.entries[-1], headers=[])
    dry = bus.post("operator", "redrive", department=MARKET, code="E_FRAMING", dry_run=True).json()
    assert (dry["redriven"], dry["event"], dry["dry_run"]) == (3, None, True)
    assert bus.service.ledger.beside == []
    answer = bus.post("operator", "redrive", "key-1", department=MARKET, record_type=TYPES[MARKET]).json()
    assert answer == {
        "department": MARKET,
        "redriven": 3,
        "dry_run": False,
        "by_code": {"E_FRAMING": 3},
        "left": {"no-order": 1},
        "ids": ids,
        "event": bus.service.ledger.state.seq,
        "repeated": False,
        "next": None,
    }
    assert bus.ids("operator") == astray
    assert bus.ids("operator", status="redriven") == ids
    assert bus.ids("operator", status="any") == ids + astray
    again = bus.post("operator", "redrive", "key-1", department=MARKET, record_type=TYPES[MARKET]).json()
    assert (again["repeated"], again["redriven"], again["event"]) == (True, 3, answer["event"])
    assert len(bus.service.ledger.beside) == 3
    settled = bus.get("operator", f"/{ids[0]}").json()["settled"]
    assert (settled["by"], settled["event"]) == ("operator", answer["event"])


def test_a_misspelt_filter_is_refused_instead_of_redriving_everything(bus: Bus) -> None:
    bus.put(MARKET, "E_FRAMING")
    for body in ({"department": MARKET, "codes": "E_FRAMING"}, {"department": MARKET}, {"code": "E_FRAMING"}):
        answer = bus.http.post(
            "/v1/quarantine/redrive", json=body, headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "E_REQUEST")
    assert len(bus.ids("operator")) == 1


# what the commands say


def test_the_list_fits_a_terminal_and_counts_what_waits(bus: Bus, run: Run) -> None:
    bus.put(MARKET, "E_RESIDENT_ID_CHECK_DIGIT", 3)
    result = run("list", "--limit", "2")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert lines[0].split() == ["id", "age", "code", "type"]
    assert lines[1].split()[0] == "market-regulation/0/0"
    assert lines[1].split()[2:] == ["E_RESIDENT_ID_CHECK_DIGIT", "registration"]
    assert any(line.split() == ["3", MARKET, "E_RESIDENT_ID_CHECK_DIGIT"] for line in lines)
    assert "there are more than these 2" in result.output
    assert "waiting" in run("list", "--status", "any").output.splitlines()[1]
    shown = json.loads(run("list", "--json").output)
    assert (len(shown["items"]), shown["more"]) == (3, False)


def test_show_prints_names_and_masks(bus: Bus, run: Run) -> None:
    locked = bus.service.schemas.latest(TYPES[MARKET])
    row = dataclasses.asdict(next(iter(Population(3).companies(1, "11340000EXCH00018B"))))
    (place,) = bus.put(MARKET, "E_CODE_UNKNOWN", value=frame(locked.id) + Codec(locked.schema).encode(row))
    result = run("show", place)
    assert result.exit_code == 0, result.output
    assert "text of" in result.output
    assert row["name"] not in result.output
    assert json.loads(run("show", place, "--json").output)["id"] == place
    assert run("show", "market-regulation/0/99").exit_code == 1
    assert run("show", "nonsense").exit_code == 2


def test_redrive_and_discard_say_how_many_and_what_is_left(bus: Bus, run: Run) -> None:
    ids = bus.put(MARKET, "E_FRAMING", 3)
    dry = run("redrive", "--department", MARKET, "--code", "E_FRAMING", "--dry-run")
    assert "3 records of market-regulation would be redriven" in dry.output
    one = run("redrive", ids[0])
    assert (one.exit_code, one.output.splitlines()[0]) == (0, "1 record of market-regulation redriven")
    again = run("redrive", ids[0], ids[1])
    assert again.exit_code == 1
    assert "left: redriven or discarded before" in again.output
    rest = json.loads(run("discard", "--department", MARKET, "--code", "E_FRAMING", "--reason", "x", "--json").output)
    assert (rest["discarded"], rest["by_code"], rest["more"], len(rest["events"])) == (1, {"E_FRAMING": 1}, False, 1)
    assert bus.ids("operator") == []


def test_a_large_redrive_goes_in_parts_and_stops_at_its_limit(bus: Bus, run: Run) -> None:
    bus.put(MARKET, "E_FRAMING", 2_500)
    part = json.loads(run("redrive", "--department", MARKET, "--code", "E_FRAMING", "--limit", "1200", "--json").output)
    assert (part["redriven"], len(part["events"]), part["more"]) == (1_200, 2, True)
    rest = json.loads(run("redrive", "--department", MARKET, "--code", "E_FRAMING", "--limit", "5000", "--json").output)
    assert (rest["redriven"], rest["more"]) == (1_300, False)
    assert len(bus.service.ledger.beside) == 2_500


@pytest.mark.parametrize(
    "arguments", [[], ["health/0/1", "market-regulation/0/1"], ["health/0/1", "--department", MARKET]]
)
def test_wrong_usage_is_told_before_anything_is_sent(run: Run, arguments: list[str]) -> None:
    assert run("redrive", *arguments).exit_code == 2


def test_a_filter_that_is_empty_does_not_settle_everything(bus: Bus, run: Run) -> None:
    ids = bus.put(MARKET, "E_FRAMING", 2)
    for option in ("--code", "--stage"):
        filters = ("--department", MARKET, "--record-type", TYPES[MARKET], option, "")
        found = run("discard", *filters, "--reason", "a shell variable that is not set")
        assert (found.exit_code, "E_REQUEST" in found.output) == (2, True), found.output
    assert bus.ids("operator") == ids


def test_every_command_shows_an_example(run: Run) -> None:
    for command in ("list", "show", "redrive", "discard"):
        assert "Example: " in run(command, "--help").output
